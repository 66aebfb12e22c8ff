"""Read every recorded reply anew and compare with how the authors of the paper read it.

    DISTILLER_DATA=<folder> python benchmarks/parsing.py

Teachers: for each dataset and recording, how many replies the annotation file says were read in which way ("read") and how
ours reads them, then every reply where the two give different numbers, with the reason. No gold is looked at. Students: the
untouched replies of the recorded student that was trained on labels of qwen2.5-32b, against its recorded answers.
"""

import csv
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorded_students import DATASETS, data_folder

from distiller.elicitation.base import Reading
from distiller.elicitation.replies import read_bracketed
from distiller.teacher.recorded import as_filed, read_anew

STUDENT = "sft-llm__qwen2.5-32b"

GIVEN_UP = "a complete answer field, mostly beside a bad escape: ours takes it, theirs gives the reply up"
RESTATED = "theirs takes the number of the restated question, '[0] if there is none'"
QUOTED_RECORD = "theirs takes the number in front of a quoted candidate record"
NO_NUMBER = "the answer field has no number: ours fails, theirs takes a number from elsewhere"
STATED = "the reply says what its answer is: ours takes that, theirs a number mentioned later"
SEVERAL = "several numbers and none at the beginning: ours fails, theirs takes the first"
BEYOND = "theirs keeps a number beyond the list"
NOTHING = "no number: ours fails, theirs takes it for none"


@dataclass(frozen=True)
class Disagreement:
    """A reply that is read differently; numbers are None where the reply counts as unread."""

    dataset: str
    source: str
    query_id: int
    theirs: int | None
    ours: int | None
    reason: str
    excerpt: str


def recordings(root: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(dataset, recording, record) of every recorded reply of a teacher."""
    for dataset in DATASETS:
        folder = root / dataset
        files = sorted(folder.glob("annotations/*.gz")) + sorted(folder.glob("annotations_other_selections/*/*.gz"))
        for path in files:
            name = path.name.removesuffix(".jsonl.gz")
            source = name if path.parent.name == "annotations" else f"{name} ({path.parent.name})"
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    yield dataset, source, json.loads(line)


def teachers(root: Path) -> tuple[Counter[tuple[str, str, str, str]], list[Disagreement]]:
    """Replies by (dataset, recording, their `read`, our parse), and every disagreement about the number."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    found = []
    for dataset, source, record in recordings(root):
        ours, theirs = read_anew(record), as_filed(record)
        counts[dataset, source, record["read"], ours.parse.value] += 1
        if ours.choice != theirs.choice:
            text = record["answer_raw"]
            found.append(_disagreement(dataset, source, record["query_id"], theirs.choice, ours, _reason(text), text))
    return counts, found


def _reason(text: str) -> str:
    """Why a teacher's reply is read differently."""
    field = re.search(r'"answer"\s*:\s*"([^"]*)"', text)
    *_, last = re.finditer(r"\[\d+\]", text)
    after = text[last.end() :]
    if field and not re.search(r"\d", field[1]):
        return NO_NUMBER
    if re.match(r"\\?\"? if ", after):
        return RESTATED
    if field:
        return GIVEN_UP
    return QUOTED_RECORD if re.match(r"\s*\[COL\]", after) else STATED


def students(root: Path) -> tuple[Counter[tuple[str, str]], list[Disagreement]]:
    """Replies by (same or other number, our parse), and every disagreement where theirs is not "none" for want of any."""
    sizes = {
        dataset: Counter(int(row["left_id"]) for row in _rows(root / dataset / "candidates.csv.gz"))
        for dataset in DATASETS
    }
    counts: Counter[tuple[str, str]] = Counter()
    found = []
    with gzip.open(root / "recorded_students" / f"{STUDENT}.responses.jsonl.gz", "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            dataset, query, text, theirs = (record[name] for name in ("dataset", "query_id", "response", "answer"))
            n_options = sizes[dataset][query]
            ours = read_bracketed(text, n_options)
            counts["same" if ours.choice == theirs else "other", ours.parse.value] += 1
            if ours.choice != theirs:
                reason = _student_reason(text, theirs, n_options)
                found.append(_disagreement(dataset, STUDENT, query, theirs, ours, reason, text))
    return counts, found


def _student_reason(text: str, theirs: int, n_options: int) -> str:
    first = re.search(r"\[\d+\]", text)
    if not first:
        return NOTHING
    if theirs > n_options:
        return BEYOND
    if re.match(r"\\?\"? if ", text[first.end() :]):
        return RESTATED
    return QUOTED_RECORD if re.match(r"\s*\[COL\]", text[first.end() :]) else SEVERAL


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _disagreement(
    dataset: str, source: str, query: int, theirs: int, ours: Reading, reason: str, text: str
) -> Disagreement:
    numbers = (None if theirs < 0 else theirs, None if ours.choice < 0 else ours.choice)
    excerpt = text if len(text) <= 200 else f"{text[:90]} ... {text[-110:]}"
    return Disagreement(dataset, source, query, *numbers, reason, excerpt.replace("\n", " "))


def _show(found: list[Disagreement]) -> None:
    for reason, number in Counter(each.reason for each in found).most_common():
        print(f"\n{number} x {reason}")
        for each in found:
            if each.reason == reason:
                place = f"{each.dataset} {each.query_id} {each.source}"
                print(f"  {place}: theirs {each.theirs}, ours {each.ours}\n      {each.excerpt}")


def main() -> None:
    """Print the tables and all disagreements."""
    root = data_folder()
    counts, found = teachers(root)
    pairs = sorted({key[2:] for key in counts})
    print(f"{'replies by (their read, our parse)':56}" + "".join(f"{f'{r}, {p}':>25}" for r, p in pairs))
    for dataset, source in dict.fromkeys(key[:2] for key in counts):
        row = "".join(f"{counts[dataset, source, *pair]:>25,}" for pair in pairs)
        print(f"{dataset:16}{source:40}{row}")
    totals = [sum(n for key, n in counts.items() if key[2:] == pair) for pair in pairs]
    print(f"{'all':56}" + "".join(f"{total:>25,}" for total in totals))
    print(f"\n{len(found)} of {counts.total():,} replies are read as another number")
    _show(found)
    of_students, other = students(root)
    print(f"\nreplies of {STUDENT} by (number, our parse)")
    for (same, parse), number in sorted(of_students.items()):
        print(f"  {same:8}{parse:12}{number:8,}")
    _show([each for each in other if each.reason != NOTHING])
    print(f"\n{sum(each.reason == NOTHING for each in other)} x {NOTHING}")


if __name__ == "__main__":
    main()
