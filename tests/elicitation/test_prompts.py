"""Prompts carry the record, all candidates and the question, and ask for what will be read."""

import csv
import dataclasses
import gzip
import importlib
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from matching_instances import DATA, REPOSITORY, needs_data, real_task
from pydantic import ValidationError

from distiller.artifacts import CandidateSet, Parse
from distiller.config import Component
from distiller.elicitation.base import Reading
from distiller.elicitation.confidence import Confidence
from distiller.elicitation.explain import Explain
from distiller.elicitation.justify import Justify
from distiller.elicitation.label import Label
from distiller.records import checked
from distiller.store import Store
from distiller.task import Task

CHOICES = {"label": Label, "explain": Explain, "confidence": Confidence, "justify": Justify}
DATASETS = [
    "abt-buy",
    "amazon-google",
    "dblp-acm",
    "dblp-scholar",
    "imdb-tmdb",
    "imdb-tvdb",
    "tmdb-tvdb",
    "walmart-amazon",
]


def toy(candidates=((5, 0.9), (6, 0.8), (7, 0.7)), more=()):
    """Query 1 ("drill") with these candidates, and `more` rows (query, candidate, position)."""
    queries = pa.table({"id": [1, 2], "name": ["acme  drill\n500", "saw"], "price": [None, "7.0"]})
    others = pa.table({"id": [5, 6, 7], "name": ["drill 500", "drill {600}", "saw"], "price": ["3.0", None, "7.0"]})
    rows = [
        {"query_id": 1, "candidate_id": c, "similarity": s, "position": i} for i, (c, s) in enumerate(candidates, 1)
    ]
    rows += [{"query_id": q, "candidate_id": c, "similarity": 0.5, "position": p} for q, c, p in more]
    table = pa.Table.from_pylist(rows, CandidateSet.SCHEMA)
    return Task(checked("toy", queries, others, None), CandidateSet(table), Store(root=Path("never-written")), 1)


def user(prompt):
    (first, _), (role, text) = prompt.request.messages
    assert (first, role) == ("system", "user")
    return text


def blocks(text):
    """What a prompt shows, read with no regard to how it was made: the given record and the numbered candidates."""
    query = text.split("Given record: ")[1].split("\n")[0]
    lines = text.split("Candidate records:\n")[1].split("\n\n")[0].split("\n")
    return query, lines


def rows_by_id(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return {int(row.pop("id")): row for row in csv.DictReader(file)}


def as_in_the_paper(row):
    """Attribute by attribute as section 4 of the paper's code describes it, from the file itself."""
    text = ""
    for name, value in row.items():
        if value.strip():
            text += f" [COL] {name} [VAL] {value}"
    return text


def without_blanks(text):
    return "".join(text.split())


@needs_data
@pytest.mark.parametrize("name", DATASETS)
def test_records_and_candidates_are_those_of_the_papers_prompts(name):
    """Blanks aside, in the reference's order, for all training queries; the order is that of the recorded answers."""
    task, _, train = real_task(name)
    left, right = rows_by_id(DATA / name / "left.csv.gz"), rows_by_id(DATA / name / "right.csv.gz")
    with gzip.open(DATA / name / "annotations" / "qwen2.5-32b.jsonl.gz", "rt", encoding="utf-8") as lines:
        shown = {record["query_id"]: record["options"] for record in map(json.loads, lines)}
    prompts = Explain(order="reference", prompt_tokens=1_000_000).prompts(task, train)
    assert [prompt.query_id for prompt in prompts] == train.tolist()
    for prompt in prompts:
        query, lines = blocks(user(prompt))
        assert list(prompt.options) == shown[prompt.query_id]
        assert without_blanks(query) == without_blanks(as_in_the_paper(left[prompt.query_id]))
        expected = [f"[{i}] {as_in_the_paper(right[c])}" for i, c in enumerate(prompt.options, 1)]
        assert [without_blanks(line) for line in lines] == [without_blanks(line) for line in expected]


def test_a_prompt_is_exactly_this():
    (prompt,) = Label(order="shown").prompts(toy(), np.array([1]))
    assert user(prompt) == (
        "Which of the numbered candidate records describes the same real-world entity as the given record? At most one of "
        "them does.\n\n"
        "Given record: [COL] name [VAL] acme drill 500\n\n"
        "Candidate records:\n"
        "[1] [COL] name [VAL] drill 500 [COL] price [VAL] 3.0\n"
        "[2] [COL] name [VAL] drill {600}\n"
        "[3] [COL] name [VAL] saw [COL] price [VAL] 7.0\n\n"
        "Reply with the number of that candidate in square brackets, or with [0] if none of the candidates describes the "
        "same entity. Write nothing else."
    )
    assert prompt.options == (5, 6, 7)
    assert (prompt.order, prompt.about) == (0, None)
    (plain,) = Label(order="shown", serialization="plain").prompts(toy(), np.array([1]))
    assert blocks(user(plain)) == ("acme drill 500", ["[1] drill 500 3.0", "[2] drill {600}", "[3] saw 7.0"])


def test_what_is_asked_for_can_be_written_and_read():
    for elicitation in (Label(), Explain(), Confidence()):
        (prompt,) = elicitation.prompts(toy(), np.array([1]))
        reading = Reading(2, Parse.EXACT, None if isinstance(elicitation, Label) else "same name")
        if isinstance(elicitation, Confidence):
            reading = dataclasses.replace(reading, confidence=0.75)
        written = elicitation.write(reading)
        assert elicitation.read(written, 3) == reading
        if isinstance(elicitation, Explain):
            form = user(prompt).split("nothing else: ")[1].split(". Here")[0].replace("p,", "0,")
            assert list(json.loads(form)) == list(json.loads(written)) == list(elicitation.FIELDS)


def test_label_asks_for_one_of_the_options_or_for_their_scores():
    options = ("[0]", "[1]", "[2]", "[3]")
    (held,) = Label().prompts(toy(), np.array([1]))
    (free,) = Label(structured=False, temperature=0.5, reply_tokens=5).prompts(toy(), np.array([1]))
    (scored,) = Label(reply="score").prompts(toy(), np.array([1]))
    assert (held.request.mode, held.request.options, held.request.max_tokens) == ("generate", options, 8)
    assert (free.request.options, free.request.temperature, free.request.max_tokens) == ((), 0.5, 5)
    assert (scored.request.mode, scored.request.options) == ("score", options)
    assert held.request.messages == free.request.messages == scored.request.messages
    assert held.request.schema is free.request.schema is scored.request.schema is None
    assert Label(reply="score", reply_tokens=5).prompts(toy(), np.array([1])) == [scored], "nothing is written"
    with pytest.raises(ValidationError, match=r"reply=score draws nothing, so temperature=0\.5 has no effect"):
        Label(reply="score", temperature=0.5)
    assert [e.draws() for e in (Label(), Label(temperature=1.0), Explain(temperature=1.0), Justify())] == [0, 1, 1, 0]


def follows(schema, value):
    """Whether a value follows a JSON Schema that has no other keywords than these."""
    assert set(schema) <= {"type", "enum", "minimum", "maximum", "properties", "required", "additionalProperties"}
    kinds = {"object": dict, "string": str, "number": (int, float)}
    if not isinstance(value, kinds[schema["type"]]) or value not in schema.get("enum", [value]):
        return False
    if schema["type"] == "number":
        return schema["minimum"] <= value <= schema["maximum"]
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False
        known = schema["properties"]
        return set(schema["required"]) <= set(value) <= set(known) and all(
            follows(known[k], v) for k, v in value.items()
        )
    return True


@pytest.mark.parametrize("cls", [Explain, Confidence])
def test_the_schema_allows_what_is_read_as_exact_and_nothing_else(cls):
    (prompt,) = cls().prompts(toy(), np.array([1]))
    schema = json.loads(prompt.request.schema)
    assert json.dumps(schema, sort_keys=True) == prompt.request.schema
    valid = {"answer": "[3]", "confidence": 0.5, "explanation": "x"}
    valid = {name: valid[name] for name in cls.FIELDS}
    odd = [{"answer": "[4]"}, {"answer": 3}, {"explanation": None}, {"more": 1}]
    odd += [{"confidence": 2}, {"confidence": "x"}] if cls is Confidence else []
    for said in (valid, *(valid | each for each in odd), {"answer": "[3]"}):
        fits = follows(schema, said)
        assert fits == (said == valid)
        exact = cls().read(json.dumps(said), 3).parse is Parse.EXACT
        assert exact or not fits
    (free,) = cls(structured=False).prompts(toy(), np.array([1]))
    assert free.request == dataclasses.replace(prompt.request, schema=None)


def test_several_orders_are_prompts_of_their_own_and_numbers_mean_what_they_show():
    task = toy(more=[(2, 7, 1)])
    prompts = Label(orders=4, order="shown").prompts(task, np.array([1, 2]))
    assert [(p.query_id, p.order) for p in prompts] == [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]
    assert prompts[0].options == (5, 6, 7)
    assert len({p.request.messages for p in prompts}) == 5
    text = {5: "[COL] name [VAL] drill 500 [COL] price [VAL] 3.0", 6: "[COL] name [VAL] drill {600}"}
    text[7] = "[COL] name [VAL] saw [COL] price [VAL] 7.0"
    for prompt in prompts:
        expected = [f"[{i}] {text[c]}" for i, c in enumerate(prompt.options, 1)]
        assert blocks(user(prompt))[1] == expected


def test_shuffled_prompts_do_not_hang_on_what_else_is_asked_or_how_the_rows_lie():
    shown, other = toy(more=[(2, 7, 1), (2, 5, 2)]), toy(((7, 0.7), (5, 0.9), (6, 0.8)), [(2, 5, 1), (2, 7, 2)])
    together = Label(orders=2).prompts(shown, np.array([1, 2]))
    assert Label(orders=2).prompts(other, np.array([1, 2])) == together
    assert Label(orders=2).prompts(shown, np.array([2])) == [p for p in together if p.query_id == 2]
    assert Label(orders=2).prompts(shown, np.array([], dtype=np.int64)) == []


def test_justifications_are_asked_for_every_option_of_the_answer_that_is_got_first():
    justify = Justify(temperature=0.5, order="shown", serialization="plain")
    prompts = justify.prompts(toy(more=[(2, 7, 1)]), np.array([1, 2]))
    assert [(p.query_id, p.order, p.about) for p in prompts] == [*((1, 0, a) for a in range(4)), (2, 0, 0), (2, 0, 1)]
    beginnings = {user(p).split("Consider")[0] for p in prompts[:4]}
    assert len(beginnings) == 1, "what k + 1 prompts share is read once"
    for prompt in prompts:
        assert f"Consider the answer [{prompt.about}]: " in user(prompt)
        assert (prompt.request.options, prompt.request.schema, prompt.request.temperature) == ((), None, 0.5)
    assert not justify.ANSWERS
    assert justify.answering() == Label(temperature=0.5, order="shown", serialization="plain")
    scored = Justify(temperature=0.5, answers="score", structured=False, seed=3, prompt_tokens=999)
    assert scored.answering() == Label(reply="score", structured=False, seed=3, prompt_tokens=999)
    assert Explain().answering() == Explain()
    assert Label().ANSWERS


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_lists_all_fields_of_its_class_with_their_defaults(name):
    written = yaml.safe_load((REPOSITORY / "conf" / "elicitation" / f"{name}.yaml").read_text(encoding="utf-8"))
    module, _, cls = written.pop("_target_").rpartition(".")
    assert getattr(importlib.import_module(module), cls) is CHOICES[name]
    assert issubclass(CHOICES[name], Component)
    defaults = {f.name: getattr(CHOICES[name](), f.name) for f in dataclasses.fields(CHOICES[name])}
    assert written == defaults | {"seed": "${seed}"}


def test_expected_tokens_ascend_and_never_exceed_the_longest_reply():
    for cls in CHOICES.values():
        for tokens in (1, 8, 50, 1000):
            low, middle, high = cls(reply_tokens=tokens).expected_tokens(5)
            assert 0 <= low <= middle <= high <= tokens
    assert Label(reply="score").expected_tokens(5) == (0.0, 1.0, 1.0)


@needs_data
def test_recorded_explanations_and_justifications_lie_within_what_is_expected():
    """About four characters a token: the middle half of recorded texts is between the low and the high estimate."""
    for folder, elicitation, share in (("annotations", Explain(), 0.9), ("justifications", Justify(), 0.9)):
        with gzip.open(DATA / "dblp-acm" / folder / "qwen2.5-32b.jsonl.gz", "rt", encoding="utf-8") as lines:
            texts = [record["explanation"] or "" for record in map(json.loads, lines)]
        extra = len('{"answer": "[1]", "explanation": ""}') if folder == "annotations" else 0
        tokens = np.array([(len(text) + extra) / 4 for text in texts])
        low, _, high = elicitation.expected_tokens(5)
        assert ((tokens >= low) & (tokens <= high)).mean() > share


@needs_data
def test_two_thousand_prompts_take_about_a_second():
    task, _, _ = real_task("tmdb-tvdb")
    asked = task.candidates.query_ids[:2000]
    for elicitation in (Explain(), Label(prompt_tokens=1300)):
        begin = time.process_time()
        prompts = elicitation.prompts(task, asked)
        assert time.process_time() - begin < 3
        assert len(prompts) == 2000
