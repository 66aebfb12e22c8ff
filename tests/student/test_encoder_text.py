"""Texts of record pairs within their budget of tokens, and the chunks in which they are read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed
from student.encoder_world import ARCHITECTURES, WORDS, tiny

from distiller.artifacts import CandidateSet
from distiller.config import DistillerError
from distiller.records import checked
from distiller.store import Store
from distiller.student.base import Lesson
from distiller.student.encoder_batches import Exercises, by_length, equally_long
from distiller.student.encoder_text import CANDIDATE, QUERY, SPECIAL, PairText, cut_longest, shares
from distiller.student.encoder_weights import load_encoder, longest_pair
from distiller.task import Task
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")


names = st.sampled_from(["name", "title", "price", "first name", "year"])
values = st.lists(st.sampled_from([*WORDS, "12", "dsc-w120", "é", "…"]), min_size=1, max_size=25).map(" ".join)
records = st.dictionaries(names, values, max_size=3).map(lambda record: tuple(record.items()))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def tokenizer(request, checkpoints):
    return load_encoder(checkpoints[request.param], None)[1]


def written(tokenizer, form, longest, first, second):
    """The task of one pair, and the tokens of that pair."""
    columns = sorted({name for name, _ in (*first, *second)} or {"name"})
    tables = []
    for own in (first, second):
        ordered = dict(own)
        tables.append(pa.table({"id": pa.array([7], pa.int64()), **{c: pa.array([ordered.get(c)], pa.string()) for c in columns}}))  # fmt: skip # noqa: E501
    blocked = CandidateSet(pa.table({"query_id": [7], "candidate_id": [7], "similarity": [0.5], "position": [1]}))
    task = Task(checked("pair", *tables, None), blocked, Store(root=Path("never-written")), 1)
    return PairText(tokenizer, form, None, longest).pairs(task, np.array([7]), np.array([7]))


def text_of(fields, form):
    """What a record is to read like in full."""
    ordered = sorted(fields)
    if form == "tagged":
        return " ".join(f"COL {name} VAL {value}" for name, value in ordered)
    return " ".join(value for _, value in ordered)


@relaxed
@given(data=st.data(), form=st.sampled_from(["tagged", "plain"]), longest=st.integers(120, 400))
def test_a_pair_keeps_its_budget_and_its_column_names_and_is_the_tokenizers_own_where_it_fits(
    tokenizer, data, form, longest
):
    first, second = data.draw(records), data.draw(records)
    whole = tokenizer.backend_tokenizer.encode(text_of(first, form), text_of(second, form))
    pair = written(tokenizer, form, longest, first, second)
    assert pair.offsets.tolist() == [0, len(pair.tokens)]
    assert len(pair.tokens) <= longest
    if len(whole.ids) <= longest:
        assert pair.tokens.tolist() == whole.ids
        parts = [SPECIAL if part is None else (QUERY, CANDIDATE)[part] for part in whole.sequence_ids]
        assert pair.records.tolist() == parts
        assert pair.types.tolist() == whole.type_ids
        return
    assert len(pair.tokens) == longest  # what there is room for is used
    special = tokenizer.num_special_tokens_to_add(pair=True)
    assert (pair.records == SPECIAL).sum() == special
    for part, fields in ((QUERY, first), (CANDIDATE, second)):
        own = (pair.records == part).sum()
        full = len(tokenizer(text_of(fields, form), add_special_tokens=False)["input_ids"])
        assert own >= min(full, (longest - special) // 2)  # a record is not cut below its half
        if form == "tagged":
            read = tokenizer.decode(pair.tokens[pair.records == part]).lower().replace(" ", "")
            assert all(f"col{name}val".replace(" ", "") in read for name, _ in fields)


@relaxed
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 100))
def test_the_longest_values_lose_their_ends_first(lengths, room):
    kept = cut_longest(lengths, room)
    assert all(0 <= after <= before for after, before in zip(kept, lengths, strict=True))
    assert sum(kept) == min(room, sum(lengths))
    cut = [after for after, before in zip(kept, lengths, strict=True) if after < before]
    assert max(kept, default=0) - min(cut, default=max(kept, default=0)) <= 1


@relaxed
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 80))
def test_two_records_share_a_budget_fairly(first, second, room):
    one, other = shares(first, second, room)
    assert one + other == min(room, first + second)
    assert one >= min(first, room // 2)
    assert other >= min(second, room // 2)


@relaxed
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 8))
def test_chunks_hold_every_pair_once_and_those_for_answering_need_no_padding(lengths, at_once):
    lengths = np.array(lengths)
    for chunks in (by_length(lengths, at_once), equally_long(lengths, at_once)):
        assert sorted(np.concatenate(chunks).tolist()) == list(range(len(lengths)))
        assert max(map(len, chunks)) <= at_once
    assert all(len(set(lengths[chunk])) == 1 for chunk in equally_long(lengths, at_once))


def test_a_column_name_that_does_not_fit_is_found_before_training_although_only_a_later_query_has_it(
    world, checkpoints
):
    note = ["new " * 9 if query in world.unseen else None for query in world.task.records.query_ids.tolist()]
    long = "a very long name of a column that nobody needs"
    queries = world.task.records.queries.drop_columns(["note"]).append_column(long, pa.array(note, pa.string()))
    task = replace(world.task, records=replace(world.task.records, queries=queries))
    lesson = Lesson.of(task, world.answers(world.taught), soft=False)
    student = tiny(checkpoints["bert"], form="tagged", attributes=None, longest=44)
    with pytest.raises(DistillerError, match=r"leaves .* tokens for a record of world whose column names alone take"):
        student.classroom([lesson], Trainer(), 1)
    replace(student, longest=120).classroom([lesson], Trainer(), 1)


def test_sorting_by_length_saves_padding(world, checkpoints):
    lesson = Lesson.of(world.task, world.answers(world.taught), soft=False)
    text = PairText(load_encoder(checkpoints["roberta"], None)[1], "plain", None, 48)
    exercises = Exercises.of([lesson], text)
    lengths = exercises.pairs.lengths
    at_random = 1 - lengths.mean() / lengths.max()
    assert exercises.batches(16, np.random.default_rng(0)).padding(8) < at_random / 2


def test_settings_that_do_not_fit_the_model_or_the_tables_are_told(world, checkpoints):
    lesson = Lesson.of(world.task, world.answers(world.taught), soft=False)
    for fields, said in (
        ({"longest": 300}, "student.longest=300, but .* reads 256 tokens at most; lower it"),
        ({"attributes": ("colour",)}, r"world has none of student.attributes=\['colour'\]; its columns are name, note"),
        ({"longest": 8, "form": "tagged", "attributes": None}, "column names alone take .*; raise student.longest"),
    ):
        for kind in ARCHITECTURES:
            with pytest.raises(DistillerError, match=said):
                tiny(checkpoints[kind], **fields).classroom([lesson], Trainer(), 1)
    assert [longest_pair(*load_encoder(checkpoints[kind], None)) for kind in ARCHITECTURES] == [256, 256]
