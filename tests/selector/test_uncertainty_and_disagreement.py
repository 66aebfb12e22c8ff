"""Selectors that rank queries by what somebody thinks of them, against the definitions written out as loops."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from toy import candidate_lists, ids, pool_of, relaxed, scores_by_id, task_of

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError, build, component, identity
from distiller.selector.disagreement import Disagreement
from distiller.selector.uncertainty import Uncertainty
from distiller.task import Task
from distiller.teacher.base import Teacher
from distiller.teacher.gold import Gold
from distiller.teacher.recorded import Recorded
from distiller.teacher.vote import Vote

measures = st.sampled_from(["margin", "entropy", "least-confidence"])


@component
class Dice(Teacher):
    """A teacher that answers at random, repeatably; shows the candidates in reverse order where `reverse` says so."""

    seed: int = 0
    soft: bool = True
    reverse: bool = False
    unread: float = 0.0
    asleep: int = 0  # of the last queries gets no answer

    def label(self) -> str:
        return f"dice-{self.seed}"

    def opinions(self, task, query_ids):
        """{query id: probabilities of none and of the candidates in the task's order, or None if unread}, by loop."""
        told = {}
        for q in query_ids.tolist():
            random = np.random.default_rng([self.seed, q])
            size = len(task.candidates.of(np.array([q]))[0]) + 1
            p = random.dirichlet(np.ones(size)) if self.soft else np.eye(size)[random.integers(size)]
            told[q] = None if random.random() < self.unread else p.astype(np.float32).astype(float)
        return told

    def annotate(self, task: Task, query_ids, gold=None) -> AnswerSet:
        query_ids = query_ids[: len(query_ids) - self.asleep]
        rows, offsets = task.candidates.of(query_ids)
        told = self.opinions(task, query_ids)
        shown, choice, parts = [], [], []
        for i, q in enumerate(query_ids.tolist()):
            own = task.candidates.candidate_ids[rows[offsets[i] : offsets[i + 1]]].tolist()
            p = told[q]
            order = list(range(len(own)))[:: -1 if self.reverse else 1]
            shown += [own[j] for j in order]
            seen = np.zeros(len(own) + 1) if p is None else np.array([p[0], *(p[1 + j] for j in order)])
            choice.append(-1 if p is None else int(seen.argmax()))
            parts.append(None if p is None or not self.soft else seen.tolist())
        answers = AnswerSet.make(self.label(), query_ids, np.array(shown), offsets, np.array(choice))
        index = answers.table.schema.get_field_index("distribution")
        field = AnswerSet.SCHEMA.field("distribution")
        return AnswerSet(answers.table.set_column(index, field, pa.array(parts, field.type)))


def even(p, size):
    return [1 / size] * size if p is None else list(p)


def entropy(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def uncertainty(p, measure):
    first, second = sorted(p, reverse=True)[:2]
    return {"margin": 1 - (first - second), "entropy": entropy(p), "least-confidence": 1 - first}[measure]


def highest(score, n):
    return sorted(sorted(score, key=lambda q: (-score[q], q))[:n])


@relaxed
@given(candidate_lists, measures, st.integers(1, 30))
def test_without_a_source_certainty_comes_from_similarities_with_none_at_zero(lists, measure, budget):
    task = task_of(lists)
    ranking = Uncertainty(measure=measure, budget=budget).select(task, pool_of(task))
    got = scores_by_id(task, ranking)
    for q, own in lists.items():
        options = [0.0, *own]
        if measure != "margin":
            total = sum(math.exp(s / 0.1) for s in options)
            options = [math.exp(s / 0.1) / total for s in options]
        assert got[q] == pytest.approx(uncertainty(options, measure), abs=1e-9)
    assert ids(ranking) == highest(got, min(budget, len(lists)))


def test_the_margin_of_a_lone_candidate_is_its_similarity():
    task = task_of({1: [0.75], 2: [0.75, 0.5], 3: [0.75, 0.75], 4: [0.0]})
    scores = scores_by_id(task, Uncertainty(budget=1).select(task, pool_of(task)))
    assert scores == {1: 0.25, 2: 0.75, 3: 1.0, 4: 1.0}


@relaxed
@given(candidate_lists, measures, st.integers(1, 30), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_with_a_source_its_distribution_counts_in_whatever_order_it_saw_the_candidates(
    lists, measure, n, reverse, unread
):
    task = task_of(lists)
    source = Dice(reverse=reverse, unread=unread)
    ranking = Uncertainty(measure=measure, source=source, budget=n).select(task, pool_of(task))
    got = scores_by_id(task, ranking)
    for q, p in source.opinions(task, pool_of(task)).items():
        assert got[q] == pytest.approx(uncertainty(even(p, len(lists[q]) + 1), measure), abs=1e-6)
    assert ids(ranking) == highest(got, min(n, len(lists)))


@relaxed
@given(candidate_lists, st.sampled_from([0.0, 0.3]), st.booleans(), st.integers(2, 4), st.integers(1, 30))
def test_vote_entropy_is_that_of_the_choices(lists, unread, soft, members, n):
    task = task_of(lists)
    sources = {f"m{i}": Dice(seed=i, unread=unread, soft=soft, reverse=i % 2 == 1) for i in range(members)}
    ranking = Disagreement(sources=sources, budget=n).select(task, pool_of(task))
    got = scores_by_id(task, ranking)
    told = [source.opinions(task, pool_of(task)) for source in sources.values()]
    for q, own in lists.items():
        size = len(own) + 1
        votes = [even(None, size) if t[q] is None else np.eye(size)[int(np.argmax(t[q]))].tolist() for t in told]
        share = [sum(vote[o] for vote in votes) / members for o in range(size)]
        assert got[q] == pytest.approx(entropy(share), abs=1e-9)
    assert ids(ranking) == highest(got, min(n, len(lists)))


@relaxed
@given(candidate_lists, st.sampled_from([0.0, 0.3]), st.integers(2, 4), st.booleans())
def test_divergence_is_the_mean_divergence_from_the_mean_distribution(lists, unread, members, soft):
    task = task_of(lists)
    sources = {f"m{i}": Dice(seed=i, unread=unread, soft=soft or i > 0) for i in range(members)}
    ranking = Disagreement(sources=sources, measure="divergence", budget=3).select(task, pool_of(task))
    got = scores_by_id(task, ranking)
    told = [source.opinions(task, pool_of(task)) for source in sources.values()]
    for q, own in lists.items():
        views = [even(t[q], len(own) + 1) for t in told]
        mean = [sum(column) / members for column in zip(*views, strict=True)]
        divergences = [sum(x * math.log(x / m) for x, m in zip(v, mean, strict=True) if x > 0) for v in views]
        assert got[q] == pytest.approx(sum(divergences) / members, abs=1e-5)
        assert 0 <= got[q] <= math.log(members) + 1e-6


@relaxed
@given(candidate_lists, st.randoms(use_true_random=False), st.sampled_from(["vote", "divergence"]))
def test_neither_row_order_nor_the_order_of_the_sources_changes_a_selection(lists, random, measure):
    straight, shuffled = task_of(lists), task_of(lists, random=random)
    sources = {name: Dice(seed=i) for i, name in enumerate("abc")}
    backwards = dict(reversed(sources.items()))
    one = Disagreement(sources=sources, measure=measure, budget=3).select(straight, pool_of(straight))
    other = Disagreement(sources=backwards, measure=measure, budget=3).select(shuffled, pool_of(shuffled))
    assert ids(one) == ids(other)
    for source in (None, Dice()):
        selector = Uncertainty(source=source, budget=3)
        assert ids(selector.select(straight, pool_of(straight))) == ids(selector.select(shuffled, pool_of(shuffled)))


def test_sources_that_agree_leave_nothing_to_dispute():
    task = task_of({1: [0.5], 2: [0.5, 0.1]})
    for measure in ("vote", "divergence"):
        selector = Disagreement(sources={"a": Dice(), "b": Dice()}, measure=measure, budget=1)
        assert list(scores_by_id(task, selector.select(task, pool_of(task))).values()) == pytest.approx(
            [0, 0], abs=1e-7
        )


def test_a_source_with_nothing_but_choices_has_no_certainty():
    task = task_of({1: [0.5], 2: [0.5]})
    with pytest.raises(DistillerError, match="dice-0 gives toy choices without a distribution"):
        Uncertainty(source=Dice(soft=False), budget=1).select(task, pool_of(task))


def test_a_source_that_leaves_queries_out_is_one_sentence():
    task = task_of({q: [0.5] for q in range(5)})
    with pytest.raises(DistillerError, match="dice-0 answered 3 of the 5 queries of toy"):
        Uncertainty(source=Dice(asleep=2), budget=1).select(task, pool_of(task))


def test_a_source_that_was_shown_other_candidates_is_one_sentence():
    task, other = task_of({1: [0.5, 0.25], 2: [0.5]}), task_of({1: [0.5, 0.25], 2: [0.5, 0.25]})

    @component
    class Elsewhere(Dice):
        def annotate(self, task, query_ids, gold=None):
            return super().annotate(other, query_ids)

    with pytest.raises(DistillerError, match="dice-0 was shown other candidates of toy"):
        Uncertainty(source=Elsewhere(), budget=1).select(task, pool_of(task))


def test_gold_may_not_decide_what_is_labelled():
    with pytest.raises(ValidationError, match="source=gold reads gold matches"):
        Uncertainty(source=Gold())
    with pytest.raises(ValidationError, match=r"sources\.b=vote reads gold matches"):
        Disagreement(sources={"a": Dice(), "b": Vote(members={"x": Dice(), "y": Gold()})})


@pytest.mark.parametrize("sources", [{}, {"a": Dice()}])
def test_one_source_cannot_disagree(sources):
    with pytest.raises(ValidationError, match=r"at least two teachers to disagree, got \d; add some"):
        Disagreement(sources=sources)


def test_sources_are_part_of_the_identity_and_what_they_read_is_read(tmp_path):
    folder = tmp_path / "annotations"
    folder.mkdir()
    for name in ("x", "y"):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt") as file:
            file.write(json.dumps({}))
    one, other = Recorded(name="x"), Recorded(name="y")
    assert identity(Uncertainty(source=one)) != identity(Uncertainty(source=other))
    assert Uncertainty(source=one).reads(tmp_path) == [folder / "x.jsonl.gz"]
    assert Uncertainty().reads(tmp_path) == []
    committee = Disagreement(sources={"a": one, "b": other})
    assert committee.reads(tmp_path) == [folder / "x.jsonl.gz", folder / "y.jsonl.gz"]


CONF = Path(__file__).parents[2] / "conf"


def selector_of(tmp_path, *overrides):
    """The selector that a command line with these overrides builds."""
    (tmp_path / "top.yaml").write_text("defaults:\n  - selector: random\n  - _self_\nseed: 1924\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        config = compose("top", overrides=[f"hydra.searchpath=[file://{CONF}]", *overrides])
    return build(config)["selector"]


def test_a_source_is_chosen_and_set_on_the_command_line(tmp_path):
    assert selector_of(tmp_path, "selector=uncertainty").source is None
    selector = selector_of(
        tmp_path, "selector=uncertainty", "teacher@selector.source=recorded", "selector.source.name=x"
    )
    assert selector == Uncertainty(source=Recorded(name="x"))


def test_several_sources_are_added_on_the_command_line(tmp_path):
    selector = selector_of(
        tmp_path,
        "selector=disagreement",
        "+teacher@selector.sources.a=recorded",
        "selector.sources.a.name=x",
        "+teacher@selector.sources.b=recorded",
        "selector.sources.b.name=y",
    )
    assert selector == Disagreement(sources={"a": Recorded(name="x"), "b": Recorded(name="y")})


def test_the_options_of_a_toy_task_are_what_the_loops_assume():
    task = task_of({1: [0.5, 0.25]})
    assert ragged.option_offsets(task.candidates.offsets).tolist() == [0, 3]
