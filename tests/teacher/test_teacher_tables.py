"""The published teacher tables, told again from the recorded answers by the benchmark scripts."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matching_instances import DATA, Instance, benchmark, instances, needs_data, relaxed

from distiller import metrics
from distiller.metrics import Truth


@needs_data
def test_every_cell_of_the_published_teacher_table_that_the_data_can_give_agrees_to_a_hundredth():
    script = benchmark("teachers")
    theirs, cells = script.published_table(), 0
    for teacher in script.SINGLE:
        ours = script.with_mean(script.score(DATA, teacher))
        for measure in script.MEASURES:
            assert ours == pytest.approx(theirs[teacher, measure], abs=0.01), (teacher, measure)
            cells += len(ours)
    for teacher in script.SMALL:
        for measure, scores in script.small(DATA, teacher).items():
            ours = script.with_mean(scores)
            assert ours == pytest.approx(theirs[teacher, measure], abs=0.01), (teacher, measure)
            cells += len(ours)
    assert cells == 7 * 3 * 9


@needs_data
def test_the_published_majority_of_four_lies_between_what_the_three_we_have_leave_open():
    script = benchmark("teachers")
    theirs = script.published_table()
    low, high = map(script.with_mean, script.left_open(DATA))
    ours = script.with_mean(script.accuracy(DATA, script.majority()))
    found = script.with_mean(script.any_right(DATA))
    for name, four in theirs["majority-of-4", "f1"].items():
        assert low[name] - 1e-4 <= four <= high[name] + 1e-4
        assert (
            low[name] <= ours[name] + 0.005
        )  # the fourth may side with the three; a tie among three may fall otherwise
        assert ours[name] <= high[name] + 0.005
        assert found[name] <= theirs["any-of-4", "recall"][name] + 0.01


@needs_data
def test_the_teacher_is_as_right_as_published_on_the_queries_of_every_selection_strategy():
    script = benchmark("teachers")
    theirs, ours = script.published_selections(), script.selections(DATA)
    assert set(ours) == set(theirs)
    assert sum(map(len, ours.values())) == 38
    for strategy, scores in ours.items():
        for name, value in scores.items():
            # One cell is off by one query of 134, which with the rounding of the published figure is a little more than 0.01.
            assert value == pytest.approx(theirs[strategy][name], abs=0.0126), (strategy, name)


@relaxed
@given(instances(), st.integers(0, 2**32 - 1))
def test_scores_from_counts_of_queries_are_those_of_the_metrics_also_when_queries_are_drawn_twice(case, seed):
    script = benchmark("aggregation")
    assume(case.evaluated)
    truth = Truth.of(case.candidate_set(), case.gold_table(), np.array(case.evaluated))
    counts = script.Counts.of(case.answers(), truth)
    everybody = np.ones((1, len(case.evaluated)))
    scores = metrics.score_answers(case.answers(), truth)
    assert counts.scores(everybody)[0] == pytest.approx([scores[name] for name in script.METRICS])
    drawn = np.random.default_rng(seed).integers(0, len(case.evaluated), len(case.evaluated))
    # The same queries written down as often as drawn, each time under new ids.
    often = [(10**4 * i + case.evaluated[d], case.evaluated[d]) for i, d in enumerate(drawn)]
    copied = Instance(
        {new: case.options[old] for new, old in often},
        {(new, c): case.similarities[old, c] for new, old in often for c in case.options[old]},
        {(new, c) for new, old in often for q, c in case.gold if q == old},
        [new for new, _ in often],
        {new: case.choices[old] for new, old in often},
        case.shares and {new: case.shares[old] for new, old in often},
    )
    again = Truth.of(copied.candidate_set(), copied.gold_table(), np.array(copied.evaluated))
    expected = metrics.score_answers(copied.answers(), again)
    weights = np.bincount(drawn, minlength=len(case.evaluated))[None].astype(float)
    assert counts.scores(weights)[0] == pytest.approx([expected[name] for name in script.METRICS])


def test_a_paired_interval_is_a_point_where_two_ways_agree_and_covers_a_known_difference():
    script = benchmark("aggregation")
    random = np.random.default_rng(3)

    def counts(n, rate):
        correct = (random.random(n) < rate).astype(float)
        return script.Counts(correct, correct, np.ones(n), np.ones(n), np.ones(n))

    sizes = random.integers(50, 150, len(script.DATASETS))
    base = [counts(n, 0.7) for n in sizes]
    ways = {script.BASE: base, "same": base, "better": [counts(n, 0.8) for n in sizes]}
    means = script.resampled(ways, 2000, seed=5)
    assert (means["same"] == means[script.BASE]).all()
    gap = (means["better"] - means[script.BASE])[:, 0]
    seen = [script.observed(ways[way])[:, 0].mean() for way in ("better", script.BASE)]
    assert gap.mean() == pytest.approx(seen[0] - seen[1], abs=0.003)
    # Standard error of a mean of independent datasets, each with independent queries.
    variance = [
        np.var(ways["better"][i].correct - ways[script.BASE][i].correct) / n for i, n in enumerate(sizes.tolist())
    ]
    assert gap.std() == pytest.approx(np.sqrt(sum(variance)) / len(sizes), rel=0.1)
    assert (script.resampled(ways, 50, seed=5)["better"] == script.resampled(ways, 50, seed=5)["better"]).all()


@needs_data
def test_what_voting_takes_from_the_members_alone_is_what_the_scripts_compare():
    script = benchmark("aggregation")
    _, _, train = script.task_of(DATA, "abt-buy")
    labels = script.labels(DATA, "abt-buy")
    assert len(labels) == 2 * (3 + len(script.ways()))
    for answers in labels.values():
        assert answers.query_ids.tolist() == train.tolist()
    for way, answers in labels.items():
        if way.endswith("one-to-one"):
            chosen = answers.chosen_ids[answers.choice > 0]
            assert len(set(chosen.tolist())) == len(chosen)
