"""A small model that is taught on a share of another teacher's answers and gives the rest."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import needs_data, real_task, relaxed
from pydantic import ValidationError

from distiller import metrics
from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet
from distiller.budget import Forecast
from distiller.config import DistillerError, component, declares
from distiller.metrics import Truth
from distiller.student.base import Lesson, Student
from distiller.student.boosted import Boosted
from distiller.teacher.base import Teacher
from distiller.teacher.gold import Gold
from distiller.teacher.recorded import Recorded
from distiller.teacher.trained import Trained
from distiller.trainer import Trainer

STUDENT = Boosted(rounds=60, members=1, folds=3)


def trained(source, **fields):
    return Trained(source=source, student=STUDENT, algorithm=SFT(), trainer=Trainer(), **fields)


@component
class Hearing(Teacher):
    """Passes on recorded answers, makes every fifth unreadable, and fails when it is asked what it must not be asked."""

    forbidden: tuple[int, ...] = ()

    def label(self):
        return "hearing"

    def annotate(self, task, query_ids, gold=None):
        if set(query_ids.tolist()) & set(self.forbidden):
            raise DistillerError("asked about a query it must not be asked about")
        given = Recorded(name="qwen2.5-32b").annotate(task, query_ids)
        spoilt = np.arange(len(query_ids)) % 5 == 4
        made = AnswerSet.make(
            self.label(),
            given.query_ids,
            given.option_ids,
            given.offsets,
            np.where(spoilt, -1, given.choice),
            seconds=1.0,
            rationale=[f"heard of {q}" for q in query_ids],
        )
        made.facts = {"requests": len(query_ids), "cost": 0.5 * len(query_ids), "tokens_in": 7, "currency": "EUR"}
        return made

    def forecast(self, task, query_ids):
        n = len(query_ids)
        return Forecast(n, n, (n, n, n), (n, n, n), (n, n, n), None)


@relaxed
@given(
    st.sets(st.integers(0, 10**12), min_size=1, max_size=80), st.floats(0.01, 1), st.integers(2, 30), st.integers(0, 9)
)
def test_the_share_is_drawn_by_id_and_seed_alone(ids, share, least, seed):
    teacher = trained(Gold(), share=share, least=least, seed=seed)
    query_ids = np.array(sorted(ids))
    drawn = teacher.drawn(query_ids)
    assert len(drawn) == min(len(ids), max(int(np.ceil(share * len(ids) - 1e-9)), least))
    assert (np.diff(drawn) > 0).all()
    assert np.isin(drawn, query_ids).all()
    assert teacher.drawn(query_ids[::-1]).tolist() == drawn.tolist()
    # Whoever is drawn from all is drawn from any part that holds it, if as many are drawn.
    part = np.union1d(query_ids[::2], drawn)
    assert np.isin(drawn, trained(Gold(), share=1e-9, least=max(2, len(drawn)), seed=seed).drawn(part)).all()


def test_another_seed_draws_other_queries_and_all_are_equally_likely():
    query_ids = np.arange(0, 300, 3)
    counts = np.zeros(300)
    for seed in range(400):
        counts[trained(Gold(), share=0.2, least=2, seed=seed).drawn(query_ids)] += 1
    assert counts[query_ids].sum() == 20 * 400
    # 400 draws of a fifth: 80 times each, give or take 4 standard deviations.
    assert np.abs(counts[query_ids] - 80).max() < 4 * np.sqrt(400 * 0.2 * 0.8) + 1


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    task, gold, train = real_task("amazon-google", tmp_path_factory.mktemp("store"))
    teacher = trained(Hearing())
    return task, gold, train, teacher, teacher.answers(task, train)


@needs_data
def test_the_sources_own_answers_are_kept_and_every_query_has_one_answer(taught):
    task, _, train, teacher, answers = taught
    assert answers.query_ids.tolist() == train.tolist()
    assert set(answers.table["source"].to_pylist()) == {"boosted<-hearing"}
    drawn = teacher.drawn(train)
    assert len(drawn) == 27
    own = Hearing().annotate(task, drawn)
    readable = own.query_ids[own.choice >= 0]
    columns = [name for name in AnswerSet.SCHEMA.names if name != "source"]
    assert answers.of(readable).table.select(columns).equals(own.of(readable).table.select(columns))
    rest = answers.of(np.setdiff1d(train, readable))
    assert rest.soft.all()
    assert (rest.choice >= 0).all()
    assert rest.table["rationale"].null_count == len(rest.query_ids)


@needs_data
def test_the_source_is_asked_about_its_share_alone_and_that_is_all_that_is_paid(taught):
    task, _, train, teacher, answers = taught
    others = tuple(np.setdiff1d(train, teacher.drawn(train)).tolist())
    trained(Hearing(forbidden=others)).annotate(task, train)  # raises if one of them is asked
    with pytest.raises(DistillerError, match="must not be asked"):
        trained(Hearing(forbidden=others), seed=7).annotate(task, train)
    facts = answers.facts
    assert (facts["requests"], facts["cost"], facts["currency"]) == (27, 13.5, "EUR")
    assert facts["kept"] + facts["answered_by_student"] == len(train)
    assert facts["kept"] == 22
    assert facts["training_seconds"] > 0
    assert json.dumps(facts)
    assert teacher.forecast(task, train).prompts == 27
    assert trained(Recorded(name="x")).forecast(task, train) is None


@needs_data
def test_the_student_learns_what_the_source_said_as_in_a_run_of_its_own(taught, tmp_path):
    task, _, train, teacher, _ = taught
    own = Hearing().annotate(task, teacher.drawn(train))
    STUDENT.fit([Lesson.of(task, own, soft=False)], Trainer(), 2, tmp_path)
    files = list((task.store.root / "Checkpoint").glob("*/trees-0.txt"))
    assert files
    assert {f.read_text() for f in files} == {(tmp_path / "trees-0.txt").read_text()}


@needs_data
def test_gold_changes_no_answer_unless_the_source_reads_it(taught):
    task, gold, train, teacher, answers = taught
    none = pa.table({"query_id": pa.array([], pa.int64()), "candidate_id": pa.array([], pa.int64())})
    for shown in (gold, none, None):
        assert teacher.annotate(task, train, shown).table.equals(answers.table)
    assert not declares(teacher, "USES_GOLD")
    assert declares(teacher, "USES_FEATURES")
    assert declares(trained(Gold()), "USES_GOLD")
    told = trained(Gold(), share=1.0).annotate(task, train, gold)
    assert metrics.score_answers(told, Truth.of(task.candidates, gold, train))["selection_accuracy"] == 1


@needs_data
def test_when_all_are_asked_nobody_is_taught(tmp_path):
    task, _, train = real_task("abt-buy", tmp_path)
    answers = trained(Recorded(name="qwen2.5-32b"), least=500).answers(task, train)
    assert answers.facts == {"kept": len(train), "answered_by_student": 0}
    assert not (tmp_path / "Checkpoint").exists()
    assert answers.chosen_ids.tolist() == Recorded(name="qwen2.5-32b").annotate(task, train).chosen_ids.tolist()


@needs_data
def test_a_second_annotation_asks_and_teaches_nobody(taught):
    task, _, train, teacher, answers = taught
    before = {p: p.stat().st_mtime_ns for p in task.store.root.glob("*/*/manifest.json")}
    fresh = replace(task)
    again = teacher.answers(fresh, train)
    assert again.table.equals(answers.table)
    assert again.facts == answers.facts
    more = teacher.annotate(fresh, train)
    assert more.table.equals(answers.table)
    assert fresh.ledger.cost > 0  # paid in an earlier run, which counts
    assert {p: p.stat().st_mtime_ns for p in task.store.root.glob("*/*/manifest.json")}.items() >= before.items()


def test_an_algorithm_that_cannot_train_the_student_is_refused():
    @component
    class Mute(Student):
        """Learns by no method we know."""

    with pytest.raises(ValidationError, match="sft cannot train mute"):
        Trained(source=Gold(), student=Mute(), algorithm=SFT(), trainer=Trainer())
