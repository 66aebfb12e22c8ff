"""Recorded justifications come back by query and option."""

import gzip
import json

import pytest
from matching_instances import DATA, needs_data, real_task

from distiller.config import DistillerError
from distiller.teacher.justifications import recorded_justifications


def written(folder, *records):
    (folder / "justifications").mkdir(exist_ok=True)
    with gzip.open(folder / "justifications" / "someone.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def record(query, option, text):
    return {"query_id": query, "option": option, "right_id": None, "explanation": text, "seconds": 1.0}


@needs_data
@pytest.mark.parametrize(("name", "number"), [("abt-buy", 769), ("dblp-acm", 1352)])
def test_every_option_of_every_training_query_is_justified(name, number):
    task, _, train = real_task(name)
    texts = recorded_justifications(DATA / name, "qwen2.5-32b")
    assert sorted(texts) == train.tolist()
    rows, offsets = task.candidates.of(train)
    shown = task.candidates.candidate_ids[rows]
    options = {q: shown[a:b].tolist() for q, a, b in zip(train.tolist(), offsets[:-1], offsets[1:], strict=True)}
    assert {query: len(own) for query, own in texts.items()} == {query: len(own) + 1 for query, own in options.items()}
    assert sum(map(len, texts.values())) == number
    with gzip.open(DATA / name / "justifications" / "qwen2.5-32b.jsonl.gz", "rt", encoding="utf-8") as lines:
        for each in map(json.loads, lines):
            query, option = each["query_id"], each["option"]
            assert texts[query][option] == (each["explanation"] or None)
            assert each["right_id"] == (options[query][option - 1] if option else None)


def test_an_option_without_a_text_is_none(tmp_path):
    written(tmp_path, record(1, 2, "b"), record(1, 0, "n"), record(2, 0, None), record(2, 1, ""))
    assert recorded_justifications(tmp_path, "someone") == {1: ["n", None, "b"], 2: [None, None]}


def test_what_is_not_there_or_broken_is_named(tmp_path):
    with pytest.raises(DistillerError, match="has no recorded justifications of nobody; known: none"):
        recorded_justifications(tmp_path, "nobody")
    written(tmp_path, record(1, 0, "a"))
    with pytest.raises(DistillerError, match=r"has no recorded justifications of somone; did you mean 'someone'\?"):
        recorded_justifications(tmp_path, "somone")
    path = tmp_path / "justifications" / "someone.jsonl.gz"
    whole = path.read_bytes()
    damaged = bytes([*whole[:-12], *(255 - byte for byte in whole[-12:])])
    for broken in (
        b"no gzip",
        whole[:-9],
        damaged,
        gzip.compress(b"{"),
        gzip.compress(b"{}\n"),
        gzip.compress(b"\xff"),
    ):
        path.write_bytes(broken)
        with pytest.raises(
            DistillerError, match=r"someone.jsonl.gz is not a readable file of justifications .*; fetch it"
        ):
            recorded_justifications(tmp_path, "someone")
    written(tmp_path, record(1, 0, "a"), record(1, 0, "b"))
    with pytest.raises(DistillerError, match="query 1 has option 0 twice"):
        recorded_justifications(tmp_path, "someone")
