"""Rules of the authors that conversion repeats, held against all that was recorded by them."""

import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from distiller.dataset.convert import SOURCES, shown_order
from distiller.dataset.replies import read_reply

DATA = Path(os.environ.get("DISTILLER_DATA") or Path(__file__).parents[3] / "shared" / "data")
recorded = pytest.mark.skipif(not DATA.is_dir(), reason="needs DISTILLER_DATA")


def text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


@recorded
@pytest.mark.parametrize("name", SOURCES)
def test_candidates_were_shown_in_the_order_we_rebuild(name: str) -> None:
    shown: dict[str, list[int]] = {}
    for row in csv.DictReader(text(DATA / name / "candidates.csv.gz").splitlines()):
        shown.setdefault(row["left_id"], []).append(int(row["right_id"]))
    for candidates in shown.values():
        assert candidates == [sorted(candidates)[i] for i in shown_order(len(candidates))]


@recorded
def test_recorded_replies_are_read_as_our_data_reads_them() -> None:
    read = other = 0
    for path in sorted(DATA.glob("*/annotations*/**/*.jsonl.gz")):
        for line in text(path).splitlines():
            record = json.loads(line)
            raw = record["answer_raw"]
            # the data keep the explanation that was found; the recording has none where the reply was not well-formed
            well_formed = record["read"] == "ok" or (len(raw) < 10 and "{" not in raw)
            reply = read_reply(raw, record["explanation"] if well_formed else None, len(record["options"]))
            if reply == (record["answer"], record["read"], record["explanation"]):
                read += 1
            else:
                other += 1
                assert '"answer": "[None]"' in raw  # no number: we count it as unparsed
                assert (reply.choice, record["answer"]) == (0, 0)
    assert read > 40_000
    assert other <= 1


@pytest.mark.parametrize(
    ("answer", "explanation", "read"),
    [
        ("[2]", "why", (2, "ok", "why")),
        ("[0]", "why", (0, "ok", "why")),
        ("[4]", "why", (0, "out_of_range", "why")),
        ("3", "why", (0, "unparsed", "why")),
        ("[1, 2]", "why", (0, "unparsed", "why")),
        ("It is [1], no, [3].", None, (3, "recovered", None)),
        ('So: {"answer": "[2]", "explanation": "why"} Done [1]', None, (2, "recovered", "why")),
        ('{"answer": "[2]", "explanation": "don\\\'t"}', None, (0, "unparsed", None)),
        ("nothing at all", None, (0, "unparsed", None)),
        (None, None, (0, "timeout", None)),
    ],
)
def test_a_reply_is_read_strictly(
    answer: str | None, explanation: str | None, read: tuple[int, str, str | None]
) -> None:
    assert read_reply(answer, explanation, 3) == read
