"""The statistics of the benchmark against plain loops, scipy, and simulations in which the truth is known."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import relaxed
from scipy import stats

from distiller.board import significance

Counts = significance.Counts


def accuracy(right):
    return Counts(np.arange(len(right)), np.asarray(right, float), np.ones(len(right)))


def row_of(by_seed, dataset="d"):
    return {seed: {dataset: accuracy(right)} for seed, right in enumerate(by_seed)}


def drawn_by_loop(rows, draws, seed):
    """The same resampling, query by query; rows have the same seeds and one dataset with the same queries."""
    n = len(rows[0][0]["d"].part)
    picks = np.random.default_rng((seed, 1, 0)).integers(0, n, (draws, n), dtype=np.int32)
    seeds = len(rows[0])
    chosen = np.random.default_rng((seed, 2, 0)).integers(0, seeds, (draws, seeds))
    found = []
    for b in range(draws):
        line = []
        for row in rows:
            values = []
            for s in range(seeds):
                own = row[s]["d"]
                part = sum(own.part[q] for q in picks[b])
                whole = sum(own.whole[q] for q in picks[b]) + own.beyond
                values.append(part / whole if whole else 0.0)
            middle = sum(values) / seeds
            mean = sum(values[s] for s in chosen[b]) / seeds if seeds > 1 else middle
            line.append(middle + (seeds / (seeds - 1)) ** 0.5 * (mean - middle) if seeds > 1 else middle)
        found.append(line)
    return np.array(found)


@pytest.mark.parametrize("seeds", [1, 3])
def test_replicates_agree_with_a_loop_over_queries_and_seeds(seeds):
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(3):
        row = {}
        for s in range(seeds):
            claimed, hits = rng.integers(0, 3, 12), rng.integers(0, 2, 12)
            row[s] = {"d": Counts(np.arange(12) * 7, 2.0 * hits, claimed + 1.0, beyond=2.0)}
        rows.append(row)
    found = significance.replicates(rows, draws=25, seed=9)
    assert found.drawn == pytest.approx(drawn_by_loop(rows, 25, 9), abs=1e-6)
    observed = [np.mean([c.part.sum() / (c.whole.sum() + 2) for c in (row[s]["d"] for s in row)]) for row in rows]
    assert found.observed == pytest.approx(observed)


def test_one_seed_gives_the_error_and_the_p_value_of_a_paired_test():
    rng = np.random.default_rng(1)
    one = rng.random(3000) < 0.80
    two = np.where(rng.random(3000) < 0.85, one, rng.random(3000) < 0.7)
    found = significance.replicates([row_of([one]), row_of([two])], draws=4000)
    (d,) = significance.differences(found)
    paired = one.astype(float) - two
    assert d.value == pytest.approx(paired.mean())
    assert d.error == pytest.approx(paired.std(ddof=1) / len(paired) ** 0.5, rel=0.05)
    assert d.p == pytest.approx(stats.ttest_rel(one.astype(float), two.astype(float)).pvalue, rel=0.5)
    assert (d.low, d.high) == pytest.approx((d.value - 1.96 * d.error, d.value + 1.96 * d.error), abs=1e-4)


def test_the_error_of_an_f1_agrees_with_the_bootstrap_of_scipy():
    rng = np.random.default_rng(2)
    gold = (rng.random(800) < 0.5).astype(float)
    rows, claims = [], []
    for skill in (0.9, 0.8):
        claimed = (rng.random(800) < 0.6).astype(float)
        hits = claimed * gold * (rng.random(800) < skill)
        rows.append({0: {"d": Counts(np.arange(800), 2 * hits, claimed + gold)}})
        claims.append((2 * hits, claimed + gold))

    def difference(i):
        (a, b), (c, d) = claims
        return a[i].sum(-1) / b[i].sum(-1) - c[i].sum(-1) / d[i].sum(-1)

    theirs = stats.bootstrap(
        (np.arange(800),), difference, n_resamples=3000, method="percentile", rng=3, vectorized=False
    )
    (ours,) = significance.differences(significance.replicates(rows, draws=3000))
    assert ours.error == pytest.approx(theirs.standard_error, rel=0.06)
    interval = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx(
        (interval.low, interval.high), abs=0.15 * (interval.high - interval.low)
    )


def test_datasets_are_resampled_apart_and_weigh_the_same():
    rng = np.random.default_rng(3)
    small, large = rng.random(100) < 0.5, rng.random(2000) < 0.9
    row = {0: {"small": accuracy(small), "large": accuracy(large)}}
    found = significance.replicates([row], draws=4000)
    assert found.observed[0] == pytest.approx((small.mean() + large.mean()) / 2)
    error = ((small.var() / 100 + large.var() / 2000) ** 0.5) / 2
    assert found.drawn.std() == pytest.approx(error, rel=0.05)


def simulated(rng, n, seeds, gap=0.0, spread=0.1):
    """Two recipes: each finds other queries hard, for all seeds alike, and every seed has luck of its own."""
    base = rng.normal(size=n)
    rows = []
    for recipe in range(2):
        hard, luck = rng.normal(size=n) * 0.7, rng.normal(size=seeds) * spread
        answers = [base + hard + luck[s] + rng.normal(size=n) * 0.5 + gap * recipe > 0 for s in range(seeds)]
        rows.append(row_of(answers))
    return rows


@pytest.mark.parametrize("seeds", [1, 5])
def test_where_there_is_no_difference_about_a_twentieth_of_tests_finds_one(seeds):
    rng = np.random.default_rng(seeds)
    trials = 400
    found = 0
    for trial in range(trials):
        rows = simulated(
            rng, 200, seeds, spread=0.1 if seeds > 1 else 0.0
        )  # a single seed's luck cannot be told from skill
        (d,) = significance.differences(significance.replicates(rows, draws=300, seed=trial))
        found += d.p < 0.05
    low, high = stats.binom(trials, 0.05).ppf([0.001, 0.999])
    assert low <= found <= high


def test_drawing_queries_anew_in_every_seed_would_find_differences_that_are_none():
    rng = np.random.default_rng(11)
    trials, ours, nested = 200, 0, 0
    for trial in range(trials):
        rows = simulated(rng, 200, 5)
        (d,) = significance.differences(significance.replicates(rows, draws=300, seed=trial))
        apart = np.array([[rows[0][s]["d"].part - rows[1][s]["d"].part] for s in range(5)])[:, 0]
        error = (apart.var(axis=1, ddof=1) / 200).sum() ** 0.5 / 5  # what independent draws within seeds would give
        ours += d.p < 0.05
        nested += abs(d.value) / error > 1.96
    assert nested > 0.1 * trials > ours


def test_a_difference_that_is_there_is_found():
    rng = np.random.default_rng(4)
    (d,) = significance.differences(significance.replicates(simulated(rng, 2000, 5, gap=0.6), draws=500))
    assert d.value < 0
    assert d.p < 0.001
    assert d.high < 0


def test_few_seeds_make_a_wide_interval():
    rng = np.random.default_rng(6)
    rows = [row_of([rng.random(5000) < 0.7 + luck for luck in (0.0, 0.08)]), row_of([rng.random(5000) < 0.74] * 2)]
    (d,) = significance.differences(significance.replicates(rows, draws=500))
    assert d.df < 3
    assert d.high - d.low > 4 * 1.96 * d.error / 2


@relaxed
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_its_definition_step_by_step(p):
    corrected = significance.holm(np.array(p))
    for alpha in (0.01, 0.05, 0.2):
        rejected, left = set(), sorted(range(len(p)), key=lambda i: p[i])
        while left and p[left[0]] * len(left) <= alpha:
            rejected.add(left.pop(0))
        assert {i for i in range(len(p)) if corrected[i] <= alpha} == rejected


@relaxed
@given(st.integers(1, 9), st.data())
def test_rows_share_a_letter_if_and_only_if_they_are_not_told_apart(n, data):
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    different = set(data.draw(st.lists(st.sampled_from(pairs), unique=True))) if pairs else set()
    groups = [set(text.split()) for text in significance.letters(n, different)]
    assert all(groups)
    assert "a" in groups[0]
    for pair in pairs:
        assert bool(groups[pair[0]] & groups[pair[1]]) == (pair not in different)


def test_a_gap_of_the_smallest_detectable_size_is_found_in_four_of_five_trials():
    gap = significance.detectable(0.01, np.inf, comparisons=10)
    rng = np.random.default_rng(7)
    seen = np.abs(rng.normal(gap, 0.01, 20000)) / 0.01
    assert (2 * stats.norm.sf(seen) < 0.05 / 10).mean() == pytest.approx(0.8, abs=0.02)


def test_a_board_of_thirty_recipes_and_twenty_thousand_queries_takes_seconds():
    rng = np.random.default_rng(8)
    rows = [{s: {f"d{k}": accuracy(rng.random(2500) < 0.7) for k in range(8)} for s in range(5)} for _ in range(30)]
    start = time.process_time()
    found = significance.differences(significance.replicates(rows))
    assert len(found) == 435
    assert time.process_time() - start < 15
