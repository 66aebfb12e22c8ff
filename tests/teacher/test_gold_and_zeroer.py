"""The teacher that knows everything and the one that is told nothing."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from matching_instances import Instance, instances, needs_data, real_task, relaxed

from distiller import metrics
from distiller.artifacts import CandidateSet
from distiller.config import DistillerError
from distiller.metrics import Truth
from distiller.records import checked
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.gold import Gold
from distiller.teacher.zeroer import ZeroER


@relaxed
@given(instances())
def test_gold_answers_are_all_right_also_with_several_matches(case):
    assume(case.evaluated)
    answers = Gold().annotate(case.task(), np.array(case.evaluated), case.gold_table())
    scores = metrics.score_answers(answers, Truth.of(case.candidate_set(), case.gold_table(), np.array(case.scored)))
    assert scores["selection_accuracy"] == 1
    assert scores["pair_precision"] == (1 if scores["claimed_pairs"] else 0)
    for q, choice in zip(case.evaluated, answers.choice.tolist(), strict=True):
        matches = [i for i, c in enumerate(case.options[q], 1) if (q, c) in case.gold]
        assert choice == (matches[0] if matches else 0)  # the first shown


def test_the_gold_teacher_needs_gold():
    case = Instance({1: [5]}, {(1, 5): 0.5}, set(), [], {}, None)
    with pytest.raises(DistillerError, match="teacher=gold needs gold matches, and random has none"):
        Gold().annotate(case.task(), np.array([1]))


def small(folder, names, options):
    """A task over products of these names; every query has the candidates `options`."""
    ids = {"queries": range(len(names)), "candidates": range(100, 100 + len(names))}
    tables = [pa.table({"id": pa.array(own, pa.int64()), "name": names}) for own in ids.values()]
    rows = [
        {"query_id": q, "candidate_id": 100 + c, "similarity": 0.5, "position": i + 1}
        for q in ids["queries"]
        for i, c in enumerate(options)
    ]
    return Task(
        checked("small", *tables, None),
        CandidateSet(pa.Table.from_pylist(rows, CandidateSet.SCHEMA)),
        Store(root=folder),
        1,
    )


@needs_data
@pytest.mark.parametrize(("name", "least"), [("abt-buy", 0.85), ("dblp-acm", 0.95)])
def test_zeroer_finds_most_matches_without_a_label_and_always_the_same(name, least, tmp_path):
    task, gold, train = real_task(name, tmp_path)
    everybody = task.candidates.query_ids
    answers = ZeroER().annotate(task, everybody)
    scores = metrics.score_answers(answers, Truth.of(task.candidates, gold, everybody))
    assert scores["pair_f1"] >= least
    assert not ZeroER.USES_GOLD
    assert task.records.matches is None
    # Asked about some queries it says of them what it says when asked about all, gold at hand or not.
    assert ZeroER().annotate(task, train, gold).table.equals(answers.of(train).table)
    begins = answers.offsets[:-1] + np.arange(len(everybody))
    assert np.add.reduceat(answers.distribution, begins) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("options", [[0], [0, 1, 2]])
def test_zeroer_answers_a_single_query(options, tmp_path):
    names = ["canon eos 500d camera", "nikon coolpix s210", "sony bravia kdl-40"]
    task = small(tmp_path, names, options)
    answers = ZeroER().annotate(task, np.array([0]))
    assert answers.query_ids.tolist() == [0]
    assert np.isfinite(answers.distribution).all()
    if len(options) > 1:
        assert answers.chosen_ids.tolist() == [100]


def test_zeroer_stands_pairs_that_are_all_alike(tmp_path):
    answers = ZeroER().annotate(small(tmp_path, ["canon eos"] * 3, [0, 1, 2]), np.array([0, 1, 2]))
    assert np.isfinite(answers.distribution).all()
    pairs = np.delete(answers.distribution, answers.offsets[:-1] + np.arange(3))
    assert pairs == pytest.approx(np.full(9, pairs[0]))


def test_a_feature_that_does_not_exist_is_named_with_the_nearest(tmp_path):
    task = small(tmp_path, ["canon eos", "nikon"], [0, 1])
    with pytest.raises(DistillerError, match=r"no feature 'key.word_cosin'; did you mean 'key.word_cosine'\?"):
        ZeroER(features=("key.word_cosin",)).annotate(task, np.array([0]))
