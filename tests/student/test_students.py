"""Both similarity students, taught by recorded answers about real records."""

import pickle
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from matching_instances import needs_data, real_task

from distiller import metrics
from distiller.algorithm.sft import SFT
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint, Parse
from distiller.config import DistillerError
from distiller.disambiguation.unique_mapping import UniqueMapping
from distiller.metrics import Truth
from distiller.student.base import Lesson
from distiller.student.boosted import Boosted
from distiller.student.comparator import Comparator
from distiller.task import FeatureSet
from distiller.teacher.recorded import Recorded
from distiller.teacher.vote import Vote
from distiller.trainer import Trainer

pytestmark = needs_data

SMALL = {
    "boosted": Boosted(rounds=60, learning_rate=0.15, members=3, seed=1),
    "comparator": Comparator(members=2, epochs=15, width=32, batch_size=32, seed=1),
}


class School:
    """Buy's products with the recorded answers of a teacher, and a cache of students taught there."""

    def __init__(self, folder):
        self.folder, self.taught = folder, {}
        self.task, self.gold, self.train = real_task("abt-buy", folder / "store")
        self.teacher = Recorded(name="qwen2.5-32b").annotate(self.task, self.train)

    def teach(self, student, answers=None, labels="hard", threads=1, trainer=None):
        """The checkpoint with its facts, and the student's answers to all queries."""
        trainer, answers = trainer or Trainer(), answers or self.teacher
        key = repr((student, id(answers), labels, threads, trainer))
        if key not in self.taught:
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            facts = SFT(labels=labels).distil(student, [(self.task, answers)], trainer, threads, folder)
            checkpoint = Checkpoint(folder, facts=facts)
            # The answers learnt from are kept too: the identity of something gone may come back.
            self.taught[key] = checkpoint, self.ask(student, checkpoint, threads=threads), answers
        return self.taught[key][:2]

    def ask(self, student, checkpoint, task=None, queries=None, threads=1):
        task = task or self.task
        queries = task.candidates.query_ids if queries is None else queries
        return student.answer(checkpoint, task, queries, Trainer(), threads)


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    return School(tmp_path_factory.mktemp("school"))


@pytest.fixture(params=SMALL)
def student(request):
    return SMALL[request.param]


def probabilities(answers):
    """Probabilities by (query, candidate), with None for "none"."""
    rows = zip(*(answers.table[c].to_pylist() for c in ("query_id", "options", "distribution")), strict=True)
    return {(q, c): p for q, own, shares in rows for c, p in zip([None, *own], shares, strict=True)}


def furthest(one, other):
    """Largest difference of any probability between two answer sets."""
    one, other = probabilities(one), probabilities(other)
    assert one.keys() == other.keys()
    return max(abs(one[key] - other[key]) for key in one)


def test_a_student_learns_to_match_from_a_hundred_answers(school, student):
    _, answers = school.teach(student)
    test = np.setdiff1d(school.task.candidates.query_ids, school.train)
    settled = UniqueMapping().resolve(school.task, answers)
    scores = metrics.score_answers(settled, Truth.of(school.task.candidates, school.gold, test))
    assert scores["pair_f1"] >= 0.9


def test_every_query_gets_a_distribution_and_its_most_probable_option(school, student):
    _, answers = school.teach(student)
    assert answers.query_ids.tolist() == school.task.candidates.query_ids.tolist()
    assert answers.option_ids.tolist() == school.task.candidates.candidate_ids.tolist()
    for row in answers.table.to_pylist():
        assert sum(row["distribution"]) == pytest.approx(1, abs=1e-5)
        assert min(row["distribution"]) >= 0
        assert row["distribution"][row["choice"]] == max(row["distribution"])


def test_the_same_seed_gives_the_same_student_and_another_seed_another(school, student):
    _, answers = school.teach(student)
    _, again = school.teach(student, answers=AnswerSet(school.teacher.table))
    _, other = school.teach(replace(student, seed=2))
    assert again.table.equals(answers.table)
    assert furthest(other, answers) > 1e-3


def test_a_student_does_not_depend_on_the_number_of_threads(school, student):
    _, answers = school.teach(student)
    _, twofold = school.teach(student, threads=2)
    assert furthest(twofold, answers) < 1e-4


def test_a_student_is_kept_without_pickle(school, student, monkeypatch):
    checkpoint, answers = school.teach(student)
    for file in checkpoint.folder.iterdir():
        assert file.suffix in {".json", ".txt", ".safetensors"}
        assert file.read_bytes()[:2] not in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05")

    def forbidden(*_, **__):
        raise AssertionError("a student was read through pickle")

    for reader in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, reader, forbidden)
    assert school.ask(student, checkpoint).table.equals(answers.table)


def test_answers_to_some_queries_are_those_given_when_all_are_asked(school, student):
    checkpoint, answers = school.teach(student)
    some = school.ask(student, checkpoint, queries=school.train)
    assert some.query_ids.tolist() == school.train.tolist()
    assert furthest(some, answers.of(school.train)) < 1e-5


def test_answers_do_not_depend_on_the_order_of_the_candidates(school, student):
    checkpoint, answers = school.teach(student)
    draw, rows = random.Random(4), []
    for _, own in school.task.candidates.table.to_pandas().groupby("query_id"):
        order = draw.sample(range(len(own)), len(own))
        rows.append(own.assign(position=[i + 1 for i in order]))
    table = pa.concat_tables([pa.Table.from_pandas(own, CandidateSet.SCHEMA, preserve_index=False) for own in rows])
    permuted = replace(school.task, candidates=CandidateSet(table, key="permuted"))
    assert permuted.candidates.candidate_ids.tolist() != school.task.candidates.candidate_ids.tolist()
    assert furthest(school.ask(student, checkpoint, permuted), answers) < 1e-4


def test_max_steps_limits_training(school, student):
    checkpoint, answers = school.teach(student, trainer=Trainer(max_steps=8))
    _, longer = school.teach(student)
    assert furthest(answers, longer) > 1e-2
    # Eight steps are eight rounds of boosting, or two epochs of four batches of a network.
    if isinstance(student, Boosted):
        assert 1 <= checkpoint.facts["rounds"] <= 8
    else:
        assert [epoch for epoch, _, _ in checkpoint.facts["curve"]] == [0, 1]


def test_training_may_stop_before_the_first_epoch_is_over(school, student):
    _, answers = school.teach(student, trainer=Trainer(max_steps=1))
    assert np.isfinite(answers.distribution).all()


def test_shares_of_a_vote_teach_something_else_than_its_choice(school, student):
    names = ("qwen2.5-32b", "llama3.1-70b", "llama3.1-8b")
    vote = Vote(members={name: Recorded(name=name) for name in names}).annotate(school.task, school.train)
    _, hard = school.teach(student, answers=vote)
    _, soft = school.teach(student, answers=vote, labels="soft")
    assert furthest(soft, hard) > 1e-2
    # Shares in place of votes make a student less sure of itself.
    sure = [np.mean([max(row) for row in a.table["distribution"].to_pylist()]) for a in (hard, soft)]
    assert sure[1] < sure[0]


def test_a_teacher_that_gives_only_choices_teaches_the_same_hard_or_soft(school, student):
    hard, soft = (school.teach(student, labels=labels)[1] for labels in ("hard", "soft"))
    assert furthest(soft, hard) < 1e-6


def test_replies_that_could_not_be_read_are_left_out_and_counted(school, student):
    rows = school.teacher.table.to_pylist()
    for row in rows[::4]:
        row |= {"choice": None, "parse": Parse.FAILED.value}
    unread = AnswerSet(pa.Table.from_pylist(rows, AnswerSet.SCHEMA))
    checkpoint, answers = school.teach(student, answers=unread)
    assert checkpoint.facts["unread"] == len(rows[::4])
    assert checkpoint.facts["queries"] == len(rows) - len(rows[::4])
    _, without = school.teach(student, answers=unread.of(unread.query_ids[unread.choice >= 0]))
    assert answers.table.equals(without.table)
    silent = AnswerSet(pa.Table.from_pylist([r for r in rows if r["choice"] is None], AnswerSet.SCHEMA))
    with pytest.raises(DistillerError, match="no answer that could be read, so there is nothing to learn from"):
        school.teach(student, answers=silent)


def test_a_student_refuses_records_with_other_features(school, student):
    checkpoint, _ = school.teach(student)
    other = replace(school.task)
    features = school.task.features.table
    other.__dict__["features"] = FeatureSet(features.rename_columns(["another", *features.column_names[1:]]))
    with pytest.raises(DistillerError, match="was trained on other features than abt-buy has; train it anew"):
        school.ask(student, checkpoint, other)


def test_several_tasks_are_learnt_together(school, student, tmp_path):
    half = len(school.train) // 2
    parts = [school.teacher.of(ids) for ids in (school.train[:half], school.train[half:])]
    lessons = [Lesson.of(school.task, part, soft=False) for part in parts]
    assert sum(len(lesson.query_ids) for lesson in lessons) == len(school.train)
    facts = SFT().distil(student, [(school.task, part) for part in parts], Trainer(), 1, tmp_path)
    assert facts["queries"] == len(school.train)
    _, whole = school.teach(student)
    assert furthest(school.ask(student, Checkpoint(tmp_path)), whole) < 1e-6
