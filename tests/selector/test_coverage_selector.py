"""Greedy k-center, against a loop and against the best possible centres."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import ids, needs_data, pool_of, real_task, relaxed, scores_by_id, task_of

from distiller import features
from distiller.selector.coverage import Coverage, k_center, representations

# Whole numbers keep distances exact, so that ties are real ties.
points = st.integers(1, 4).flatmap(
    lambda d: st.lists(st.lists(st.integers(-3, 3), min_size=d, max_size=d), min_size=1, max_size=25)
)


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


@relaxed
@given(points, st.integers(1, 25))
def test_each_centre_is_the_farthest_point_from_those_before(cloud, n):
    n = min(n, len(cloud))
    centres, distances = k_center(np.array(cloud, dtype=np.float32), n)
    centres = centres.tolist()
    assert len(set(centres)) == n
    for i in range(1, n):
        nearest = {p: min(distance(cloud[p], cloud[c]) for c in centres[:i]) for p in range(len(cloud))}
        rest = [p for p in nearest if p not in centres[:i]]
        assert centres[i] == min(rest, key=lambda p: (-nearest[p], p))
        assert distances[centres[i]] == pytest.approx(nearest[centres[i]], abs=1e-3)
    for p in set(range(len(cloud))) - set(centres):
        assert distances[p] == pytest.approx(min(distance(cloud[p], cloud[c]) for c in centres), abs=1e-3)


@relaxed
@given(points)
def test_the_first_centre_is_the_point_closest_to_the_mean(cloud):
    mean = [sum(column) / len(cloud) for column in zip(*cloud, strict=True)]
    (first,), _ = k_center(np.array(cloud, dtype=np.float32), 1)
    assert distance(cloud[first], mean) <= min(distance(p, mean) for p in cloud) + 1e-5


@relaxed
@given(points, st.integers(1, 4))
def test_no_point_is_farther_than_twice_the_best_possible_radius(cloud, n):
    cloud = cloud[:9]
    n = min(n, len(cloud))
    centres, _ = k_center(np.array(cloud, dtype=np.float32), n)

    def radius(chosen):
        return max(min(distance(p, cloud[c]) for c in chosen) for p in cloud)

    best = min(radius(chosen) for chosen in itertools.combinations(range(len(cloud)), n))
    assert radius(centres.tolist()) <= 2 * best + 1e-5


@relaxed
@given(points, st.integers(2, 25))
def test_more_centres_only_add_to_fewer_and_scores_fall(cloud, n):
    n = min(n, len(cloud))
    matrix = np.array(cloud, dtype=np.float32)
    centres, distances = k_center(matrix, n)
    fewer, _ = k_center(matrix, max(n // 2, 1))
    assert centres[: len(fewer)].tolist() == fewer.tolist()
    chosen = distances[centres]
    assert (np.diff(chosen) <= 1e-4).all()
    others = np.delete(distances, centres)
    assert not len(others) or others.max() <= chosen.min() + 1e-4


@pytest.fixture
def lists():
    random = np.random.default_rng(3)
    return {int(q): random.random(random.integers(1, 6)).tolist() for q in random.permutation(100)[:40]}


def test_row_order_changes_no_selection(lists, tmp_path):
    import random

    straight = task_of(lists, store=tmp_path / "a")
    shuffled = task_of(lists, random=random.Random(5), store=tmp_path / "b")
    selector = Coverage(budget=0.3)
    assert ids(selector.select(straight, pool_of(straight))) == ids(selector.select(shuffled, pool_of(shuffled)))


def test_points_are_standardised_finite_and_describe_the_list(lists, tmp_path):
    task = task_of(lists, store=tmp_path)
    matrix = representations(task, pool_of(task))
    inputs = features.dense(task.features.names, task.features.matrix).shape[1]
    assert matrix.shape == (len(lists), 2 * inputs + 3)
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() <= 5
    sizes = np.array([len(lists[q]) for q in sorted(lists)])
    assert matrix[:, -3] == pytest.approx((sizes - sizes.mean()) / sizes.std(), abs=1e-5)


def test_one_query_is_its_own_centre(tmp_path):
    task = task_of({4: [0.5]}, store=tmp_path)
    ranking = Coverage(budget=1).select(task, pool_of(task))
    assert ids(ranking) == [4]
    assert scores_by_id(task, ranking) == {4: 0}


@needs_data
def test_real_queries_are_covered_better_than_by_chance(tmp_path):
    task, _ = real_task("abt-buy", tmp_path)
    pool = pool_of(task)
    selected = np.searchsorted(pool, Coverage().select(task, pool).selected)
    matrix = representations(task, pool)

    def radius(centres):
        return max(np.linalg.norm(matrix[centres] - point, axis=1).min() for point in matrix)

    drawn = [np.random.default_rng(i).choice(len(pool), len(selected), replace=False) for i in range(5)]
    assert len(selected) == 104
    assert radius(selected) < min(radius(centres) for centres in drawn)
