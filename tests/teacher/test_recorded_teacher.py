"""Answers of language models, replayed: nothing is lost, nothing is made up."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
from matching_instances import DATA, Instance, needs_data, real_task

from distiller.artifacts import Parse
from distiller.config import DistillerError
from distiller.teacher.recorded import Recorded

TEACHERS = ["qwen2.5-32b", "llama3.1-70b", "llama3.1-8b"]
CASE = Instance({1: [5, 6], 2: [5], 3: [7]}, dict.fromkeys([(1, 5), (1, 6), (2, 5), (3, 7)], 0.5), set(), [], {}, None)


def reply(query, options, answer, read="ok", **more):
    return {
        "query_id": query,
        "options": options,
        "answer": answer,
        "read": read,
        "answer_raw": f"[{answer}]",
        "explanation": "why",
        "seconds": 1.5,
        **more,
    }


@pytest.fixture
def task(tmp_path):
    return recording(tmp_path, reply(1, [6, 5], 1), reply(2, [5], 0, "unparsed", answer_raw="I cannot say"))


def recording(folder, *records):
    """A task whose dataset has these recorded answers of a teacher called `someone`."""
    (folder / "annotations").mkdir()
    with gzip.open(folder / "annotations" / "someone.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    made = CASE.task()
    made.records.__dict__["folder"] = folder
    return made


@needs_data
@pytest.mark.parametrize("name", ["abt-buy", "tmdb-tvdb"])
def test_all_recorded_answers_are_replayed_as_they_were_read(name):
    task, _, train = real_task(name)
    for teacher in TEACHERS:
        with gzip.open(DATA / name / "annotations" / f"{teacher}.jsonl.gz", "rt") as lines:
            recorded = sorted((json.loads(line) for line in lines), key=lambda r: r["query_id"])
        answers = Recorded(name=teacher, missing="skip").annotate(task, task.candidates.query_ids)
        rows = answers.table.to_pylist()
        assert [row["query_id"] for row in rows] == [r["query_id"] for r in recorded]
        for row, r in zip(rows, recorded, strict=True):
            read = {"ok": Parse.EXACT, "recovered": Parse.RECOVERED}.get(r["read"], Parse.FAILED)
            assert row["parse"] == read
            assert row["choice"] == (None if read == Parse.FAILED else r["answer"])
            assert row["options"] == r["options"]
            assert (row["source"], row["text"], row["rationale"]) == (teacher, r["answer_raw"], r["explanation"])
            assert row["seconds"] == r["seconds"]
            assert row["distribution"] is None
        chosen = [r["right_id"] if r["right_id"] is not None else -1 for r in recorded]
        assert answers.chosen_ids.tolist() == chosen
        only = Recorded(name=teacher).annotate(task, train)
        assert only.table.equals(answers.of(train).table)


def test_a_query_without_an_answer_is_an_error_that_counts_or_is_left_out(task):
    with pytest.raises(
        DistillerError, match=r"no recorded answer to 1 of the 3 queries asked of random, the first is 3;"
    ):
        Recorded(name="someone").annotate(task, np.array([1, 2, 3]))
    assert Recorded(name="someone", missing="skip").annotate(task, np.array([1, 2, 3])).query_ids.tolist() == [1, 2]
    with pytest.raises(DistillerError, match="no recorded answer to any of the queries"):
        Recorded(name="someone", missing="skip").annotate(task, np.array([3]))


def test_a_number_belongs_to_the_order_that_the_teacher_was_shown(task):
    answers = Recorded(name="someone").annotate(task, np.array([1, 2]))
    assert answers.chosen_ids.tolist() == [6, -1]
    assert answers.choice.tolist() == [1, -1]


def test_answers_about_other_candidates_are_refused(tmp_path):
    task = recording(tmp_path, reply(1, [5, 7], 1), reply(2, [5], 1))
    with pytest.raises(DistillerError, match=r"other candidates for 1 of 2 queries; set blocker=recorded"):
        Recorded(name="someone").annotate(task, np.array([1, 2]))


@needs_data
def test_an_unknown_teacher_is_answered_with_the_nearest_known_one():
    with pytest.raises(DistillerError, match=r"teacher.name=qwen2.5-32; did you mean 'qwen2.5-32b'\?"):
        Recorded(name="qwen2.5-32").reads(DATA / "abt-buy")
    with pytest.raises(DistillerError, match=r"known: llama3.1-70b, llama3.1-8b, qwen2.5-32b"):
        Recorded(name="???!").reads(DATA / "abt-buy")
    with pytest.raises(DistillerError, match="needs a dataset that comes with recorded answers"):
        Recorded(name="qwen2.5-32b").reads(None)


def test_a_broken_recording_is_named(tmp_path):
    task = recording(tmp_path)
    path = tmp_path / "annotations" / "someone.jsonl.gz"
    whole = gzip.compress(json.dumps(reply(1, [5, 6], 1)).encode())
    for broken in (b"not gzip", whole[:-12], gzip.compress(b"{\n"), gzip.compress(b"\xff\xfe")):
        path.write_bytes(broken)
        with pytest.raises(
            DistillerError, match=r"someone.jsonl.gz is not a readable annotation file .*; fetch it again"
        ):
            Recorded(name="someone").annotate(task, np.array([1]))


@needs_data
@pytest.mark.parametrize("name", ["abt-buy", "tmdb-tvdb"])
def test_replies_can_be_read_anew_from_their_text(name):
    """Well-formed replies say the same; of the others only what was given up, or was taken from the question, changes."""
    task, _, _ = real_task(name)
    changed = 0
    for teacher in TEACHERS:
        filed, anew = (
            Recorded(name=teacher, missing="skip", reading=reading).annotate(task, task.candidates.query_ids)
            for reading in ("file", "text")
        )
        kept = ["query_id", "source", "options", "text", "seconds"]
        assert anew.table.select(kept).equals(filed.table.select(kept))
        exact = filed.table["parse"].to_numpy() == Parse.EXACT
        assert (anew.table["parse"].to_numpy()[exact] == Parse.EXACT).all()
        assert (anew.choice[exact] == filed.choice[exact]).all()
        assert anew.table["rationale"].filter(pa.array(exact)).equals(filed.table["rationale"].filter(pa.array(exact)))
        changed += (anew.choice != filed.choice).sum()
    assert changed == {"abt-buy": 2, "tmdb-tvdb": 26}[name]


def test_a_recorded_text_decides_when_it_is_read_anew(tmp_path):
    whole = r'{"answer": "[1]", "explanation": "O\'Hara"}'
    task = recording(
        tmp_path,
        reply(1, [5, 6], 0, "unparsed", answer_raw=whole, explanation=None),
        reply(2, [5], 1, answer_raw="[1]", explanation='says "so"'),
        reply(3, [7], 0, "timeout", answer_raw=None, explanation=None),
    )
    filed, anew = (Recorded(name="someone", reading=r).annotate(task, np.array([1, 2, 3])) for r in ("file", "text"))
    assert filed.choice.tolist() == [-1, 1, -1]
    assert anew.choice.tolist() == [1, 1, -1]
    assert anew.table["parse"].to_pylist() == ["recovered", "exact", "failed"]
    assert anew.table["rationale"].to_pylist() == ["O'Hara", 'says "so"', None]


@needs_data
def test_recorded_justifications_come_with_the_answers_and_that_of_the_answer_is_its_rationale():
    task, _, selected = real_task("abt-buy")
    asked = np.r_[selected, task.candidates.query_ids[~np.isin(task.candidates.query_ids, selected)][:3]]
    answers = Recorded(name="qwen2.5-32b", reasons="justifications").annotate(task, np.sort(asked))
    texts = {}
    with gzip.open(DATA / "abt-buy" / "justifications" / "qwen2.5-32b.jsonl.gz", "rt") as file:
        for record in map(json.loads, file):
            texts[record["query_id"], record["option"]] = record["explanation"]
    for row in answers.table.to_pylist():
        query, k = row["query_id"], len(row["options"])
        if query not in selected:
            assert row["rationale"] is row["justifications"] is None
            continue
        assert row["justifications"] == [texts[query, option] for option in range(k + 1)]
        assert row["rationale"] == texts[query, row["choice"]]
    with pytest.raises(DistillerError, match=r"no recorded justifications of llama3\.1-8b"):
        Recorded(name="llama3.1-8b", reasons="justifications").annotate(task, selected)
