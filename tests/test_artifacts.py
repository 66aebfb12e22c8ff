"""Tables that stages hand over are checked when they are made and come back from disk as they were."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distiller import ragged
from distiller.artifacts import AnswerSet, CandidateSet, Selection
from distiller.config import DistillerError

lists = st.dictionaries(
    st.integers(-5, 10**12), st.lists(st.integers(0, 60), min_size=1, max_size=6, unique=True), min_size=1, max_size=12
)


def candidates_of(lists: dict[int, list[int]], random: Any = None) -> CandidateSet:
    rows = [
        {"query_id": q, "candidate_id": c, "similarity": c / 64, "position": i + 1}
        for q, own in lists.items()
        for i, c in enumerate(own)
    ]
    if random:
        random.shuffle(rows)
    return CandidateSet(pa.Table.from_pylist(rows, schema=CandidateSet.SCHEMA))


@settings(max_examples=50)
@given(lists, st.randoms(use_true_random=False))
def test_candidates_are_the_same_whatever_the_order_of_their_rows(own: dict[int, list[int]], random: Any) -> None:
    made = candidates_of(own, random)
    assert made.table.equals(candidates_of(own).table)
    assert made.query_ids.tolist() == sorted(own)
    assert made.candidate_ids.tolist() == [c for q in sorted(own) for c in own[q]]
    wanted = random.sample(sorted(own), len(own) // 2 + 1)
    rows, offsets = made.of(np.array(wanted))
    assert made.candidate_ids[rows].tolist() == [c for q in wanted for c in own[q]]
    assert np.diff(offsets).tolist() == [len(own[q]) for q in wanted]


def test_what_is_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    made = candidates_of({4: [1, 2, 3], 2: [60]})
    made.write(tmp_path)
    assert CandidateSet.read(tmp_path).table.equals(made.table)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"similarity": [0.5, 1.5]}, "similarities must lie in"),
        ({"similarity": [0.5, -0.1]}, "similarities must lie in"),
        ({"similarity": [0.5, float("nan")]}, "similarities must lie in"),
        ({"position": [1, 1]}, "positions of the candidates"),
        ({"position": [2, 3]}, "positions of the candidates"),
        ({"position": [0, 1]}, "positions of the candidates"),
        ({"query_id": ["x", "y"]}, "a CandidateSet needs the columns"),
    ],
)
def test_a_candidate_set_that_breaks_its_rules_is_refused(change: dict[str, Any], said: str) -> None:
    columns = {"query_id": [1, 1], "candidate_id": [5, 6], "similarity": [0.5, 0.4], "position": [1, 2]}
    CandidateSet(pa.table(columns))
    with pytest.raises(DistillerError, match=said):
        CandidateSet(pa.table({**columns, **change}))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DistillerError, match="a Selection needs the columns"):
        Selection(pa.table({"query_id": [1], "part": ["test"]}))


def test_a_selection_knows_three_parts() -> None:
    made = Selection(pa.table({"query_id": [3, 1, 2], "part": ["test", "train", "test"], "score": [None, 1.0, 0.0]}))
    assert made.ids("test").tolist() == [2, 3]
    assert made.ids("train").tolist() == [1]
    assert made.ids("unused").tolist() == []
    with pytest.raises(DistillerError, match="parts are train, test and unused, got valid"):
        Selection(pa.table({"query_id": [1], "part": ["valid"], "score": [None]}))


@st.composite
def answers(draw: st.DrawFn) -> tuple[dict[int, list[int]], list[int], list[list[float]] | None]:
    own = draw(lists)
    choice = [draw(st.integers(-1, len(own[q]))) for q in sorted(own)]
    if draw(st.booleans()):
        return own, choice, None
    weights = [
        draw(st.lists(st.integers(1, 9), min_size=len(own[q]) + 1, max_size=len(own[q]) + 1)) for q in sorted(own)
    ]
    return own, choice, [[w / sum(each) for w in each] for each in weights]


def answer_set(own: dict[int, list[int]], choice: list[int], soft: list[list[float]] | None) -> AnswerSet:
    queries = sorted(own)
    offsets = np.r_[0, np.cumsum([len(own[q]) for q in queries])]
    flat = None if soft is None else np.concatenate(soft)
    options = np.concatenate([own[q] for q in queries])
    return AnswerSet.make("someone", np.array(queries), options, offsets, np.array(choice), flat, seconds=0.5)


@settings(max_examples=50)
@given(answers())
def test_answers_come_back_as_they_were_given(given_answers: Any) -> None:
    own, choice, soft = given_answers
    made = answer_set(own, choice, soft)
    with tempfile.TemporaryDirectory() as folder:
        made.write(Path(folder))
        read = AnswerSet.read(Path(folder))
    assert read.table.equals(made.table)
    for each in (made, read):
        assert each.query_ids.tolist() == sorted(own)
        assert each.choice.tolist() == choice
        assert each.chosen_ids.tolist() == [
            own[q][c - 1] if c > 0 else -1 for q, c in zip(sorted(own), choice, strict=True)
        ]
        assert each.table["parse"].to_pylist() == ["failed" if c < 0 else "exact" for c in choice]
        assert each.soft.all() == (soft is not None)
    begins = ragged.option_offsets(read.offsets)
    assert np.allclose(ragged.segment_sum(read.distribution, begins), 1, atol=1e-6)
    for i, c in enumerate(choice):
        mine = read.distribution[begins[i] : begins[i + 1]]
        expected = soft[i] if soft is not None else [1 / len(mine)] * len(mine) if c < 0 else np.eye(len(mine))[c]
        assert np.allclose(mine, expected, atol=1e-6)


@settings(max_examples=50)
@given(answers(), st.randoms(use_true_random=False))
def test_a_part_of_the_answers_is_these_answers_and_no_others(given_answers: Any, random: Any) -> None:
    own, choice, soft = given_answers
    kept = sorted(random.sample(sorted(own), len(own) // 2 + 1))
    part = answer_set(own, choice, soft).of(np.array(kept))
    at = [sorted(own).index(q) for q in kept]
    expected = answer_set(
        {q: own[q] for q in kept}, [choice[i] for i in at], None if soft is None else [soft[i] for i in at]
    )
    assert part.table.equals(expected.table)
    assert np.array_equal(part.distribution, expected.distribution)


@pytest.mark.parametrize(
    ("choice", "soft", "columns", "said"),
    [
        ([3, 0], None, {}, "beyond the options"),
        ([1, 0], None, {"parse": ["failed", "exact"]}, "exactly when its parse is not failed"),
        ([-1, 0], None, {"parse": ["exact", "exact"]}, "exactly when its parse is not failed"),
    ],
)
def test_answers_that_contradict_themselves_are_refused(
    choice: list[int], soft: Any, columns: dict[str, Any], said: str
) -> None:
    with pytest.raises(DistillerError, match=said):
        AnswerSet.make(
            "x", np.array([1, 2]), np.array([5, 6, 7]), np.array([0, 2, 3]), np.array(choice), soft, **columns
        )


def test_two_answers_to_one_query_are_refused() -> None:
    with pytest.raises(DistillerError, match="one answer per query"):
        AnswerSet.make("x", np.array([1, 1]), np.array([5, 6]), np.array([0, 1, 2]), np.array([0, 1]))


def with_distributions(made: AnswerSet, distributions: list[list[float] | None]) -> pa.Table:
    """The table of an answer set with other distributions."""
    column = pa.array(distributions, pa.list_(pa.float32()))
    return made.table.set_column(made.table.column_names.index("distribution"), "distribution", column)


@pytest.mark.parametrize("wrong", [[[0.5, 0.5]], [[0.2, 0.2, 0.2, 0.4]], [[]]])
def test_a_distribution_has_one_probability_for_every_option_and_one_for_none(wrong: Any) -> None:
    made = answer_set({1: [5, 6]}, [1], None)
    with pytest.raises(DistillerError, match="one probability per option"):
        AnswerSet(with_distributions(made, wrong))


@pytest.mark.parametrize("wrong", [[0.5, 0.5], [0.2, 0.2, 0.2, 0.4]])
def test_a_wrong_distribution_is_refused_also_where_others_have_none(wrong: list[float]) -> None:
    made = answer_set({1: [5, 6], 2: [7, 8]}, [1, 0], None)
    AnswerSet(with_distributions(made, [None, [0.2, 0.3, 0.5]]))
    with pytest.raises(DistillerError, match="one probability per option"):
        AnswerSet(with_distributions(made, [None, wrong]))


@pytest.mark.parametrize("wrong", [[float("nan"), 0.5, 0.5], [-0.5, 1.0, 0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
def test_a_distribution_is_not_negative_and_sums_to_one(wrong: list[float]) -> None:
    made = answer_set({1: [5, 6]}, [1], None)
    with pytest.raises(DistillerError, match="probabilities"):
        AnswerSet(with_distributions(made, [wrong]))
