"""The list-wise objective against plain Python, and what a student learns from a teacher's answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import Instance, answers_of, instances, relaxed

from distiller.student import listwise
from distiller.student.base import Lesson


@st.composite
def problems(draw):
    """Logits of each query's candidates and target probabilities, "none" first."""
    lists = draw(st.lists(st.lists(st.floats(-30, 30), min_size=1, max_size=4), min_size=1, max_size=5))
    targets = []
    for own in lists:
        weights = draw(st.lists(st.integers(0, 5), min_size=len(own) + 1, max_size=len(own) + 1))
        weights[draw(st.integers(0, len(own)))] += 1
        targets.append([w / sum(weights) for w in weights])
    return lists, targets


def flat(lists):
    return np.array([x for own in lists for x in own], dtype=float)


def offsets_of(lists):
    return np.cumsum([0, *map(len, lists)])


def probabilities_by_loop(own):
    """Softmax over 0 ("none") and the logits of one query."""
    options = [0.0, *own]
    return [1 / sum(math.exp(y - x) for y in options) for x in options]


@relaxed
@given(problems())
def test_probabilities_and_cross_entropy_agree_with_a_loop(problem):
    lists, targets = problem
    p = [probabilities_by_loop(own) for own in lists]
    assert listwise.probabilities(flat(lists), offsets_of(lists)).tolist() == pytest.approx([x for q in p for x in q])
    loss = [-sum(t * math.log(x) for t, x in zip(*query, strict=True)) for query in zip(targets, p, strict=True)]
    found = listwise.cross_entropy(flat(lists), flat(targets), offsets_of(lists))
    assert found.tolist() == pytest.approx(loss, abs=1e-9)
    assert (found >= 0).all()


@relaxed
@given(problems())
def test_derivatives_agree_with_finite_differences(problem):
    lists, targets = problem
    logits, target, offsets, step = flat(lists) / 6, flat(targets), offsets_of(lists), 1e-4

    def loss(i, by):
        moved = logits.copy()
        moved[i] += by
        return listwise.cross_entropy(moved, target, offsets).sum()

    gradient, hessian = listwise.derivatives(logits, target, offsets)
    for i in range(len(logits)):
        before, here, after = loss(i, -step), loss(i, 0), loss(i, step)
        assert gradient[i] == pytest.approx((after - before) / (2 * step), abs=1e-6)
        assert hessian[i] == pytest.approx((after - 2 * here + before) / step**2, abs=1e-4)


@relaxed
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(2, 8), st.integers(0, 9))
def test_folds_are_balanced_in_size_and_in_abstentions_and_depend_on_the_seed_alone(none, count, seed):
    target = np.array([x for is_none in none for x in ([1.0, 0.0] if is_none else [0.0, 1.0])])
    offsets = np.arange(len(none) + 1)
    fold = listwise.folds(target, offsets, count, seed)
    assert (fold == listwise.folds(target, offsets, count, seed)).all()
    for chosen in (np.ones(len(none), bool), np.array(none), ~np.array(none)):
        sizes = np.bincount(fold[chosen], minlength=count)
        assert sizes.max() - sizes.min() <= 1
        assert len(sizes) == count


def test_another_seed_gives_other_folds():
    offsets = np.arange(41)
    one, other = (listwise.folds(np.tile([0.0, 1.0], 40), offsets, 5, seed) for seed in (1, 2))
    assert (one != other).any()


@relaxed
@given(problems())
def test_calibration_never_makes_held_out_answers_less_likely(problem):
    lists, targets = problem
    logits, target, offsets = flat(lists), flat(targets), offsets_of(lists)
    calibration = listwise.Calibration.fit(logits, target, offsets)
    before = listwise.cross_entropy(logits, target, offsets).mean()
    after = listwise.cross_entropy(calibration(logits), target, offsets).mean()
    assert after <= before + 1e-12
    assert calibration.scale > 0  # candidates keep their order
    assert np.isfinite([calibration.scale, calibration.shift]).all()


def test_calibration_finds_back_how_logits_were_distorted():
    rng = np.random.default_rng(0)
    logits, offsets = rng.normal(0, 2, 9000), np.arange(0, 9001, 3)
    honest = listwise.probabilities(logits, offsets)
    calibration = listwise.Calibration.fit((logits - 0.7) / 2.5, honest, offsets)
    assert (calibration.scale, calibration.shift) == pytest.approx((2.5, 0.7), abs=0.01)


@relaxed
@given(problems())
def test_agreement_is_the_share_of_queries_with_the_same_best_option(problem):
    lists, targets = problem
    best = [max(range(len(t)), key=lambda i, t=t: t[i]) for t in targets]
    mine = [max(range(len(own) + 1), key=lambda i, o=[0.0, *own]: o[i]) for own in lists]
    share = sum(a == b for a, b in zip(best, mine, strict=True)) / len(lists)
    assert listwise.agreement(flat(lists), flat(targets), offsets_of(lists)) == pytest.approx(share)


@relaxed
@given(instances(), st.booleans(), st.randoms(use_true_random=False))
def test_targets_belong_to_candidates_whatever_order_the_teacher_was_shown(case, soft, random):
    order = {q: random.sample(range(len(own)), len(own)) for q, own in case.options.items()}
    shown = Instance(
        {q: [case.options[q][i] for i in order[q]] for q in case.options},
        case.similarities,
        case.gold,
        case.scored,
        {q: c and order[q].index(c - 1) + 1 for q, c in case.choices.items()},
        case.shares and {q: [s[0], *(s[1 + i] for i in order[q])] for q, s in case.shares.items()},
    )
    lesson = Lesson.of(case.task(), shown.answers(sorted(shown.options)), soft)
    learnt = [q for q in sorted(case.options) if case.choices[q] is not None]
    assert lesson.query_ids.tolist() == learnt  # replies that could not be read teach nothing
    expected = []
    for q in learnt:
        one_hot = [float(i == case.choices[q]) for i in range(len(case.options[q]) + 1)]
        expected += case.shares[q] if soft and case.shares else one_hot
    assert lesson.target.tolist() == pytest.approx(expected, abs=1e-6)


def test_a_teacher_without_probabilities_gives_the_same_lesson_hard_or_soft():
    case = Instance({1: [5, 6], 2: [5]}, dict.fromkeys([(1, 5), (1, 6), (2, 5)], 0.5), set(), [], {}, None)
    answers = answers_of(case.options, {1: 2, 2: 0})
    hard, soft = (Lesson.of(case.task(), answers, soft).target.tolist() for soft in (False, True))
    assert hard == soft == [0, 0, 1, 1, 0]
