"""The selection strategies of the reference, against its own splits and against their rules written out as loops."""

import random as plain_random

import numpy as np
import pandas
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.cluster import AgglomerativeClustering
from sklearn.cluster import KMeans as TwoMeans
from toy import DATASETS, candidate_lists, ids, needs_data, pool_of, real_task, relaxed, split, task_of

from distiller.config import DistillerError, uses_gold
from distiller.selector import hierarchical
from distiller.selector.blocking_max import BlockingMax
from distiller.selector.blocking_top2 import BlockingTop2
from distiller.selector.hierarchical import Hierarchical
from distiller.selector.kmeans import KMeans
from distiller.selector.random import Random
from distiller.selector.stratified import Stratified

budgets = st.integers(1, 30) | st.floats(0.3, 1.0)
ratios = st.floats(0, 1)


def quota(budget, n):
    return min(budget, n) if isinstance(budget, int) else int(budget * n + 1e-9)


def drawn(queries, n, seed):
    return pandas.Series(queries, dtype=int).sample(n, random_state=seed).tolist()


@needs_data
@pytest.mark.parametrize("name", DATASETS)
def test_random_and_stratified_give_the_very_queries_of_the_reference(name):
    task, gold = real_task(name)
    pool = pool_of(task)
    assert ids(Random().select(task, pool)) == split(name, "random")
    assert ids(Stratified().select(task, pool, gold)) == split(name, "sampled")


@relaxed
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**31))
def test_random_draws_what_pandas_draws(n, wanted, seed):
    task = task_of({q: [0.5] for q in range(0, 2 * n, 2)})
    wanted = min(n, wanted)
    expected = drawn(range(0, 2 * n, 2), wanted, seed)
    assert ids(Random(budget=wanted, seed=seed).select(task, pool_of(task))) == sorted(expected)


def test_random_selects_every_query_about_equally_often():
    task = task_of({q: [0.5] for q in range(50)})
    selections = [Random(budget=0.2, seed=seed).select(task, pool_of(task)).selected for seed in range(1000)]
    counts = np.bincount(np.concatenate(selections), minlength=50)
    assert counts.sum() == 10 * 1000
    assert (np.abs(counts - 200) < 5 * np.sqrt(200 * 0.8)).all()


@relaxed
@given(candidate_lists, budgets, ratios, st.randoms(use_true_random=False))
def test_stratified_draws_each_side_as_pandas_would_and_fills_up_a_side_that_is_too_small(lists, budget, ratio, random):
    task = task_of(lists)
    gold = []
    for q in sorted(lists):
        listed = task.candidates.candidate_ids[task.candidates.of(np.array([q]))[0]].tolist()
        kind = random.choice(["found", "lost", "unmatched"])
        if kind != "unmatched":
            gold.append((q, random.choice(listed) if kind == "found" else 9999))
    columns = {"query_id": [q for q, _ in gold], "candidate_id": [c for _, c in gold]}
    table = pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})
    positive = [q for q, c in gold if c != 9999]
    negative = [q for q in sorted(lists) if q not in positive]
    n = quota(budget, len(lists))
    first = int(ratio * n + 1e-9)
    while first > len(positive) or n - first > len(negative):
        first += 1 if n - first > len(negative) else -1
    expected = drawn(positive, first, 7) + drawn(negative, n - first, 7)
    selector = Stratified(budget=budget, positive_ratio=ratio, seed=7)
    assert ids(selector.select(task, pool_of(task), table)) == sorted(expected)


def test_stratified_declares_that_it_reads_gold_and_misses_it():
    assert uses_gold(Stratified())
    assert not any(uses_gold(selector()) for selector in (Random, BlockingMax, BlockingTop2, KMeans, Hierarchical))
    task = task_of({0: [0.5], 1: [0.5]})
    with pytest.raises(DistillerError, match="selector=stratified needs gold matches, toy has none"):
        Stratified(budget=1).select(task, pool_of(task))


def both_ends(score, budget, ratio):
    """The rule of `blocking_*` as a loop: ids by falling score, then from the front and from the back."""
    left = sorted(score, key=lambda q: (-score[q], q))
    n = quota(budget, len(left))
    front = int(ratio * n + 1e-9)
    taken = [left.pop(0) for _ in range(front)]
    return sorted(taken + [left.pop() for _ in range(n - front)])


@relaxed
@given(candidate_lists, budgets, ratios)
def test_blocking_max_takes_both_ends_of_the_largest_similarity(lists, budget, ratio):
    task = task_of(lists)
    selected = BlockingMax(budget=budget, positive_ratio=ratio).select(task, pool_of(task))
    assert ids(selected) == both_ends({q: max(own) for q, own in lists.items()}, budget, ratio)


@relaxed
@given(candidate_lists, budgets, ratios)
def test_blocking_top2_takes_both_ends_of_the_mean_of_the_best_two(lists, budget, ratio):
    task = task_of(lists)
    selected = BlockingTop2(budget=budget, positive_ratio=ratio).select(task, pool_of(task))
    score = {q: sum(sorted(own)[-2:]) / min(len(own), 2) for q, own in lists.items()}
    assert ids(selected) == both_ends(score, budget, ratio)


def two_clusters(lists, bins, method):
    """Queries of both clusters by the rule of `clustering_*`, presumed positives first."""
    queries = sorted(lists)
    counts = [[sum(min(int(s * bins), bins - 1) == b for s in lists[q]) for b in range(bins)] for q in queries]
    label = method.fit_predict(np.array(counts, dtype=float))
    groups = [[q for q, own in zip(queries, label, strict=True) if own == g] for g in (0, 1)]
    means = [sum(max(lists[q]) for q in group) / len(group) for group in groups]
    return groups if means[0] > means[1] else groups[::-1]


METHODS = {
    KMeans: TwoMeans(2, n_init=10, random_state=42),
    Hierarchical: AgglomerativeClustering(2),
}


@pytest.mark.parametrize("selector", METHODS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("seed", range(12))
def test_clusters_are_drawn_from_as_the_rule_says(selector, seed):
    random = plain_random.Random(seed)
    lists = {}
    for q in random.sample(range(1000), 80):  # three kinds of queries: sure, unsure, long lists of unlike candidates
        base = random.choice([[0.9, 0.3], [0.4], [0.1] * 6])
        lists[q] = [min(1.0, max(0.0, s + random.uniform(-0.2, 0.2))) for s in base]
    budget, ratio, bins = random.choice([(0.25, 0.75, 10), (60, 0.9, 5), (0.5, 0.1, 20), (0.9, 0.75, 10)])
    task = task_of(lists)
    stored = {q: [float(np.float32(s)) for s in own] for q, own in lists.items()}
    positive, negative = two_clusters(stored, bins, METHODS[selector])
    n = quota(budget, len(lists))
    first = int(ratio * n + 1e-9)
    first = min(max(first, n - len(negative)), len(positive))
    expected = drawn(positive, first, 3) + drawn(negative, n - first, 3)
    chosen = selector(budget=budget, positive_ratio=ratio, bins=bins, seed=3).select(task, pool_of(task))
    assert ids(chosen) == sorted(expected)


@pytest.mark.parametrize("selector", [KMeans, Hierarchical])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_queries_that_are_all_alike_are_one_cluster(selector, n):
    task = task_of({q: [0.5, 0.2] for q in range(n)})
    assert len(ids(selector(budget=2).select(task, pool_of(task)))) == min(n, 2)


@pytest.mark.parametrize("selector", [KMeans, Hierarchical])
def test_a_cluster_that_is_too_small_is_filled_up_from_the_other(selector):
    lists = {q: [0.05, 0.04, 0.03] for q in range(40)} | {q: [0.95] for q in range(40, 43)}
    task = task_of(lists)
    selected = ids(selector(budget=20).select(task, pool_of(task)))
    assert len(selected) == 20
    assert {40, 41, 42} <= set(selected)


def test_too_many_queries_for_hierarchical_are_one_sentence(monkeypatch):
    monkeypatch.setattr(hierarchical, "MOST_QUERIES", 3)
    task = task_of({q: [q / 10] for q in range(4)})
    with pytest.raises(DistillerError, match=r"all pairs of queries, and toy has 4 of them .*choose selector=kmeans"):
        Hierarchical(budget=1).select(task, pool_of(task))


@pytest.mark.parametrize("selector", [Random, BlockingMax, BlockingTop2, KMeans, Hierarchical])
@relaxed
@given(candidate_lists, budgets, st.randoms(use_true_random=False))
def test_row_order_changes_no_selection(selector, lists, budget, random):
    straight, shuffled = task_of(lists), task_of(lists, random=random)
    chosen = selector(budget=budget)
    assert ids(chosen.select(straight, pool_of(straight))) == ids(chosen.select(shuffled, pool_of(shuffled)))


@pytest.mark.parametrize("selector", [Random, BlockingMax, BlockingTop2, KMeans, Hierarchical])
@relaxed
@given(candidate_lists, budgets, st.randoms(use_true_random=False))
def test_only_the_pool_counts_and_the_budget_is_met(selector, lists, budget, random):
    whole = task_of(lists)
    pool = np.array(sorted(random.sample(sorted(lists), random.randint(4, len(lists)))))
    alone = task_of({q: lists[q] for q in pool.tolist()})
    chosen = selector(budget=budget)
    selected = ids(chosen.select(whole, pool))
    assert selected == ids(chosen.select(alone, pool))
    assert len(selected) == quota(budget, len(pool))
    assert set(selected) <= set(pool.tolist())


def test_a_budget_that_selects_nothing_is_one_sentence():
    task = task_of({q: [0.5] for q in range(5)})
    with pytest.raises(DistillerError, match=r"selector.budget=0.1 of 5 queries selects none"):
        Random().select(task, pool_of(task))


@pytest.mark.parametrize(
    ("selector", "fields"),
    [
        (Random, {"budget": 0}),
        (Random, {"budget": 1.5}),
        (BlockingMax, {"positive_ratio": 1.1}),
        (BlockingMax, {"seed": 3}),
        (KMeans, {"bins": 1}),
    ],
)
def test_faulty_settings_are_refused(selector, fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        selector(**fields)
