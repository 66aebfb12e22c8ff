"""Score the recorded explanations of the language-model teachers, right answers against wrong ones.

    DISTILLER_DATA=<folder> python benchmarks/explanations.py [--by-dataset]

Three kinds of recorded text about the eight datasets (D2 to D9):

* `train`: what each teacher said about its answers to the training queries of the `blocking_max` split;
* `recorded`: the same for all queries with a recorded answer, test queries included;
* `justify`: qwen2.5-32b was told an answer and asked to justify it, for every option of every training query.

No score sees gold. Gold only splits the rows: an answer is right when it names a gold match of its query, or "none" where no
candidate is one. `own` and `others` split the justifications without gold, by whether the option was the teacher's own answer.
Replies that could not be read are left out. AUC: the probability that a right answer's explanation scores above a wrong
one's, ties counted half; 0.5 says that the score cannot tell them apart. `invented` is better when lower, so its AUC is below 0.5
where it helps.

The last lines ask whether justifications can find the teacher's own wrong labels: by the consistency and grounding of the
label's own justification, and by how few other candidates it justified without contradicting itself.
"""

import argparse
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from recorded_students import DATASETS, data_folder, recorded_task
from scipy.stats import rankdata

from distiller.artifacts import AnswerSet
from distiller.rationale.scores import RationaleScores, score_rationales, summary
from distiller.task import Task
from distiller.teacher.recorded import Recorded

TEACHERS = ("qwen2.5-32b", "llama3.1-70b", "llama3.1-8b")
JUSTIFIER = "qwen2.5-32b"
SCORES = ("grounded", "invented", "consistent", "specific")
_task = cache(recorded_task)


class Tally:
    """Scores of many answers, and which of them are right (or the teacher's own)."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.flags: list[np.ndarray] = []

    def add(self, scores: RationaleScores, flag: np.ndarray) -> None:
        """Some more answers; flag: [n_answers] bool."""
        self.tables.append(scores.table)
        self.flags.append(flag)

    def pooled(self) -> tuple[RationaleScores, np.ndarray]:
        """All scores, of all datasets together, and all flags."""
        return RationaleScores(pa.concat_tables(self.tables)), np.concatenate(self.flags)


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a value of `right` lies above one of `wrong`, ties counted half; NaN where one is empty.

    Source: Mann and Whitney 1947.
    """
    if not len(right) or not len(wrong):
        return float("nan")
    ranks = rankdata(np.concatenate([right, wrong]))
    return float((ranks[: len(right)].sum() - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong)))


def rightness(answers: AnswerSet, gold: pa.Table) -> np.ndarray:
    """Whether each answer is right by gold, [n_answers]."""
    pairs = set(zip(gold["query_id"].to_pylist(), gold["candidate_id"].to_pylist(), strict=True))
    bounds = zip(answers.query_ids.tolist(), answers.offsets[:-1], answers.offsets[1:], strict=True)
    has = [any((q, c) in pairs for c in answers.option_ids[a:b].tolist()) for q, a, b in bounds]
    chosen = zip(answers.query_ids.tolist(), answers.chosen_ids.tolist(), answers.choice.tolist(), has, strict=True)
    return np.array([(q, c) in pairs if choice > 0 else choice == 0 and not some for q, c, choice, some in chosen])


def justified(root: Path, name: str, task: Task, told: AnswerSet) -> Iterator[tuple[int, AnswerSet]]:
    """For each option number, the answer sets that claim it, explained by the recorded justifications.

    told: the justifier's own answers to the same queries, which say in what order it saw the candidates.
    """
    texts: dict[int, dict[int, str | None]] = {}
    with gzip.open(root / name / "justifications" / f"{JUSTIFIER}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            texts.setdefault(record["option"], {})[record["query_id"]] = record["explanation"]
    for option, by_query in sorted(texts.items()):
        asked = told.of(np.array(list(by_query)))
        claimed = np.full(len(asked.query_ids), option)
        explained = [by_query[q] for q in asked.query_ids.tolist()]
        name_of = f"{JUSTIFIER} told {option}"
        yield (
            option,
            AnswerSet.make(name_of, asked.query_ids, asked.option_ids, asked.offsets, claimed, rationale=explained),
        )


def tallies(root: Path, names: tuple[str, ...]) -> dict[str, tuple[Tally, str, str]]:
    """By row of the table: the scores, and what the flag and its absence mean."""
    rows: dict[str, tuple[Tally, str, str]] = {}
    for part in ("train", "recorded"):
        for teacher in TEACHERS:
            rows[f"{teacher} {part}"] = (tally := Tally(), "right", "wrong")
            for name in names:
                task, gold, train = _task(root, name)
                asked = train if part == "train" else task.candidates.query_ids
                answers = Recorded(name=teacher, missing="skip").annotate(task, asked)
                answers = answers.of(answers.query_ids[answers.choice >= 0])
                tally.add(score_rationales(task, answers), rightness(answers, gold))
    rows[f"{JUSTIFIER} justify"] = (by_gold := Tally(), "right", "wrong")
    rows[f"{JUSTIFIER} justify, own"] = (by_label := Tally(), "own", "others")
    for name in names:
        task, gold, train = _task(root, name)
        told = Recorded(name=JUSTIFIER).annotate(task, train)
        for _, answers in justified(root, name, task, told):
            scores = score_rationales(task, answers)
            by_gold.add(scores, rightness(answers, gold))
            by_label.add(scores, answers.choice == told.of(answers.query_ids).choice)
    return rows


def suspicions(root: Path, names: tuple[str, ...]) -> dict[str, float]:
    """AUC, right labels of the justifier against its wrong ones, of what its justifications say about each label."""
    found: dict[str, list[np.ndarray]] = {}
    for name in names:
        task, gold, train = _task(root, name)
        told = Recorded(name=JUSTIFIER).annotate(task, train)
        told = told.of(told.query_ids[told.choice >= 0])
        own = {score: np.full(len(told.choice), np.nan) for score in ("consistent", "grounded")}
        rivals = np.zeros(len(told.choice))
        for option, answers in justified(root, name, task, told):
            scores = score_rationales(task, answers)
            place = np.searchsorted(told.query_ids, answers.query_ids)
            label = told.choice[place] == option
            for score, values in own.items():
                values[place[label]] = scores.rate(score)[label]
            if option:
                rivals[place[~label]] += np.nan_to_num(scores.rate("consistent")[~label])
        for signal, values in {**own, "few rivals": -rivals, "right": rightness(told, gold)}.items():
            found.setdefault(signal, []).append(values)
    pooled = {signal: np.concatenate(values) for signal, values in found.items()}
    right = pooled.pop("right").astype(bool)
    return {signal: _area(values, right) for signal, values in pooled.items()}


def show(rows: dict[str, tuple[Tally, str, str]]) -> None:
    """Print the table: two lines and the AUCs of each row."""
    counts = ("answers", "explained", "quotes nothing")
    print(f"{'':28}{'':8}" + "".join(f"{c:>16}" for c in counts) + "".join(f"{s:>12}" for s in SCORES))
    for row, (tally, yes, no) in rows.items():
        scores, flags = tally.pooled()
        for flag, word in ((True, yes), (False, no)):
            told = summary(scores, flags == flag)
            numbers = [told[f"rationale_{count.replace(' ', '_')}"] for count in counts]
            means = "".join(f"{told[f'rationale_{score}']:12.4f}" for score in SCORES)
            print(f"{row:28}{word:8}" + "".join(f"{n:16,.0f}" for n in numbers) + means)
        print(f"{row:28}{'AUC':8}{'':48}" + "".join(f"{_area(scores.rate(s), flags):12.4f}" for s in SCORES))


def _area(values: np.ndarray, flags: np.ndarray) -> float:
    known = ~np.isnan(values)
    return auc(values[known & flags], values[known & ~flags])


def main() -> None:
    """Print one table over all datasets, or one for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--by-dataset", action="store_true", help="one table for each dataset instead of one in all")
    options = parser.parse_args()
    root = data_folder()
    for names in [(name,) for name in DATASETS] if options.by_dataset else [DATASETS]:
        print(", ".join(names))
        show(tallies(root, names))
        told = "  ".join(f"{signal} {area:.4f}" for signal, area in suspicions(root, names).items())
        print(f"{JUSTIFIER}'s own labels, right against wrong, AUC:  {told}")


if __name__ == "__main__":
    main()
