"""Taking away what an explanation cites, and asking again."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching_instances import answers_of, needs_data, real_task, relaxed

from distiller.artifacts import AnswerSet, CandidateSet
from distiller.config import DistillerError, component
from distiller.rationale.counterfactual import counterfactual, movement
from distiller.records import checked
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.base import Teacher
from distiller.teacher.recorded import Recorded

ATTRIBUTES = ["title", "colour", "origin", "weight"]


@component
class ByOneAttribute(Teacher):
    """Chooses the first candidate with the query's value of one attribute, and says that it was another (or that one)."""

    decides: str
    says: str

    def label(self) -> str:
        return f"by {self.decides}"

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        rows, offsets = task.candidates.of(query_ids)
        shown = task.candidates.candidate_ids[rows]
        of_query = {r["id"]: r[self.decides] for r in task.records.queries.to_pylist()}
        of_candidate = {r["id"]: r[self.decides] for r in task.records.candidates.to_pylist()}
        choice, texts = [], []
        for i, query in enumerate(query_ids.tolist()):
            own = of_query[query]
            same = [own is not None and own == of_candidate[c] for c in shown[offsets[i] : offsets[i + 1]].tolist()]
            choice.append(same.index(True) + 1 if any(same) else 0)
            texts.append(f"The {self.says} decides.")
        return AnswerSet.make(self.label(), query_ids, shown, offsets, np.array(choice), rationale=texts)


@st.composite
def worlds(draw):
    """A task in which every query agrees with its second candidate, and with no other, in every attribute it has."""
    n = draw(st.integers(1, 5))
    queries, candidates = [], []
    for q in range(n):
        has = {a: draw(st.sampled_from(["red", "a long red", "b"])) + f" {q} {a}" for a in ATTRIBUTES}
        missing = draw(st.sets(st.sampled_from(ATTRIBUTES), max_size=2))
        queries.append({"id": q, **{a: None if a in missing else has[a] for a in ATTRIBUTES}})
        for c in range(3):
            same = c == 1
            candidates.append({"id": 3 * q + c, **{a: has[a] if same else f"other {c}" for a in ATTRIBUTES}})
    tables = [
        pa.table(
            {a: pa.array([r[a] for r in rows], pa.int64() if a == "id" else pa.string()) for a in ["id", *ATTRIBUTES]}
        )
        for rows in (queries, candidates)
    ]
    pairs = [
        {"query_id": q, "candidate_id": 3 * q + c, "similarity": 0.5, "position": c + 1}
        for q in range(n)
        for c in range(3)
    ]
    kept = CandidateSet(pa.Table.from_pylist(pairs, CandidateSet.SCHEMA), key="made")
    return Task(checked("made", *tables, None), kept, Store(root="never-written"), 1)


def ask_again(task, teacher):
    """Answers before and after, and what was asked; None where nothing could be asked again."""
    before = teacher.annotate(task, task.candidates.query_ids)
    try:
        changed = counterfactual(task, before)
    except DistillerError:
        return before, None, None
    after = [teacher.annotate(t, changed.query_ids) for t in (changed.without_cited, changed.without_others)]
    return before, changed, after


@relaxed
@given(worlds(), st.sampled_from(ATTRIBUTES))
def test_answers_move_without_what_is_rightly_cited_and_not_without_the_rest(task, attribute):
    before, changed, after = ask_again(task, ByOneAttribute(decides=attribute, says=attribute))
    if changed is None:
        return
    told = movement(before, *after)
    assert told["queries"] == len(changed.query_ids)
    assert (told["moved_without_cited"], told["moved_without_others"], told["counterfactual"]) == (1, 0, 1)
    assert (told["only_without_cited"], told["only_without_others"]) == (len(changed.query_ids), 0)


@relaxed
@given(worlds(), st.permutations(ATTRIBUTES))
def test_answers_do_not_move_without_what_is_wrongly_cited(task, order):
    decides, says = order[:2]
    before, changed, after = ask_again(task, ByOneAttribute(decides=decides, says=says))
    if changed is None:
        return
    moved = movement(before, *after)
    assert moved["moved_without_cited"] == 0
    taken = changed.removed.to_pylist()
    in_control = {r["query_id"] for r in taken if r["control"] and r["attribute"] == decides}
    assert moved["moved_without_others"] == pytest.approx(len(in_control) / len(changed.query_ids))


@relaxed
@given(worlds(), st.sampled_from(ATTRIBUTES))
def test_only_what_is_listed_is_taken_away_and_as_much_in_the_control(task, attribute):
    _, changed, _ = ask_again(task, ByOneAttribute(decides=attribute, says=attribute))
    had = {r["id"]: r for r in task.records.queries.to_pylist()}
    citing = [q for q, record in had.items() if record[attribute] is not None]
    open_ = [q for q in citing if any(had[q][a] is not None for a in ATTRIBUTES if a != attribute)]
    if changed is None:
        assert not open_
        return
    assert changed.query_ids.tolist() == open_
    assert changed.everything_cited == len(citing) - len(open_)
    assert changed.nothing_cited == len(had) - len(citing)
    removed = changed.removed.to_pylist()
    for control, made in ((False, changed.without_cited), (True, changed.without_others)):
        gone = {(r["query_id"], r["attribute"]): r["value"] for r in removed if r["control"] == control}
        for row in made.records.queries.to_pylist():
            for name in ATTRIBUTES:
                value = had[row["id"]][name]
                if (row["id"], name) in gone:
                    assert row[name] is None
                    assert gone[row["id"], name] == value
                    assert (name == attribute) is not control
                else:
                    assert row[name] == value
        assert made.records.candidates == task.records.candidates
        assert made.candidates is task.candidates
        assert made.records.folder is None
        assert made.records.key != task.records.key
        assert len(gone) == len(open_)
        for query in open_:
            assert any(had[query][a] is not None and (query, a) not in gone for a in ATTRIBUTES)
    for query in open_:  # the control takes a value of the most similar length
        others = [len(had[query][a]) for a in ATTRIBUTES if a != attribute and had[query][a] is not None]
        taken = next(len(r["value"]) for r in removed if r["query_id"] == query and r["control"])
        cited = len(had[query][attribute])
        assert abs(taken - cited) == min(abs(other - cited) for other in others)


@relaxed
@given(worlds(), st.sampled_from(ATTRIBUTES), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_balanced_queries_lose_about_as_much_to_the_control(task, attribute, share):
    _, changed, _ = ask_again(task, ByOneAttribute(decides=attribute, says=attribute))
    if changed is None:
        return
    expected = []
    for query in changed.query_ids.tolist():
        taken = {True: 0, False: 0}
        for row in changed.removed.to_pylist():
            taken[row["control"]] += len(row["value"]) if row["query_id"] == query else 0
        if min(taken.values()) >= share * max(taken.values()):
            expected.append(query)
    assert changed.balanced(share).tolist() == expected


CHOICES = st.dictionaries(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 3)), max_size=8)


@relaxed
@given(CHOICES, CHOICES, CHOICES, st.permutations([7, 8, 9]))
def test_movement_compares_candidates_not_the_numbers_under_which_they_were_shown(before, cited, others, order):
    given_ = [before, cited, others]
    shown = [[7, 8, 9], order, order[::-1]]
    named = [
        {q: None if c is None else (own[c - 1] if c else "none") for q, c in answers.items()}
        for answers, own in zip(given_, shown, strict=True)
    ]
    shared = [q for q in named[0] if all(n.get(q) is not None for n in named)]
    sets = [answers_of(dict.fromkeys(c, own), c) if c else None for c, own in zip(given_, shown, strict=True)]
    if not shared:
        if all(sets):
            with pytest.raises(DistillerError, match="no query is answered readably"):
                movement(*sets)
        return
    told = movement(*sets)
    moves = [[named[0][q] != n[q] for q in shared] for n in named[1:]]
    assert told["queries"] == len(shared)
    assert told["moved_without_cited"] == pytest.approx(sum(moves[0]) / len(shared))
    assert told["moved_without_others"] == pytest.approx(sum(moves[1]) / len(shared))
    assert told["only_without_cited"] == sum(a and not b for a, b in zip(*moves, strict=True))
    assert told["only_without_others"] == sum(b and not a for a, b in zip(*moves, strict=True))


def test_answers_without_explanations_cannot_be_asked_again():
    tables = [pa.table({"id": [0], "title": ["red"]}), pa.table({"id": [7], "title": ["red"]})]
    pairs = pa.table({"query_id": [0], "candidate_id": [7], "similarity": [0.5], "position": [1]})
    task = Task(checked("made", *tables, None), CandidateSet(pairs), Store(root="never-written"), 1)
    with pytest.raises(DistillerError, match="none of the 1 answers about made"):
        counterfactual(task, answers_of({0: [7]}, {0: 1}))


@needs_data
def test_recorded_answers_are_not_replayed_for_a_changed_question():
    task, _, train = real_task("walmart-amazon")
    teacher = Recorded(name="qwen2.5-32b")
    changed = counterfactual(task, teacher.annotate(task, train))
    assert len(changed.query_ids) > 150
    assert changed.without_cited.records.queries.schema == task.records.queries.schema
    with pytest.raises(DistillerError, match="recorded answers"):
        teacher.annotate(changed.without_cited, changed.query_ids)
