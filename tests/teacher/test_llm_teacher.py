"""A language model as teacher: what it is asked, how its replies become answers, what it costs, what is kept."""

import re
from dataclasses import replace

import numpy as np
import pytest
from overlap_engine import Overlap, _Model, pieces, prompts_asked
from pydantic import ValidationError

from distiller.artifacts import Parse
from distiller.blocker.tfidf import Tfidf
from distiller.budget import Budget, Ledger, Prices
from distiller.config import DistillerError
from distiller.dataset.synthetic import Synthetic
from distiller.elicitation.confidence import Confidence
from distiller.elicitation.explain import Explain
from distiller.elicitation.justify import Justify
from distiller.elicitation.label import Label
from distiller.engine.reply_cache import ReplyCache
from distiller.store import Store
from distiller.task import Task
from distiller.teacher.llm import LLM

PRICES = Prices(input=2.0, output=10.0, currency="USD")


@pytest.fixture
def task(tmp_path):
    records = Synthetic(queries=60, candidates=70, seed=4).load()
    return Task(records.without_gold(), Tfidf().block(records, 2), Store(root=tmp_path / "store"), 2)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def teacher(log, elicitation=None, samples=1, model="overlap", **engine):
    return LLM(
        model=model,
        engine=Overlap(log=log, **engine),
        elicitation=elicitation or Label(order="shown"),
        prices=PRICES,
        samples=samples,
    )


def everyone(task):
    return task.candidates.query_ids


def test_every_query_gets_the_answer_of_the_model_about_the_candidates_it_saw(task, log):
    answers = teacher(log).answers(task, everyone(task))
    assert answers.query_ids.tolist() == everyone(task).tolist()
    prompts = prompts_asked(log)
    assert len(prompts) == len(everyone(task))
    names = {r["id"]: r for r in task.records.candidates.to_pylist()}
    for row, prompt in zip(answers.table.to_pylist(), prompts, strict=True):
        lines = [line for line in prompt.splitlines() if line.startswith("[")]
        for candidate, line in zip(row["options"], lines, strict=True):
            assert all(value in line for name, value in names[candidate].items() if name != "id" and value)
        assert row["parse"] == Parse.EXACT
        assert row["text"] == f"[{row['choice']}]"
        assert (row["tokens_out"], row["seconds"], row["distribution"]) == (3, 0.25, None)
    facts = answers.facts
    assert facts["requests"] == len(prompts)
    assert facts["tokens_in"] == sum(answers.table["tokens_in"].to_pylist())
    assert facts["cost"] == pytest.approx((2 * facts["tokens_in"] + 10 * facts["tokens_out"]) / 1e6)
    assert not facts["incomplete"]


def test_the_order_in_which_candidates_are_shown_does_not_change_which_one_is_meant(task, log):
    shown = teacher(log).annotate(task, everyone(task))
    for order in (Label(order="reference"), Label(order="shuffled", seed=3), Explain(order="shuffled", seed=9)):
        other = teacher(log, order).annotate(task, everyone(task))
        assert other.chosen_ids.tolist() == shown.chosen_ids.tolist()
        assert (other.option_ids != shown.option_ids).any()


def test_several_orders_are_averaged_over_the_candidates_they_mean(task, log):
    way = Label(order="shuffled", orders=3, reply="score")
    own = teacher(log, way)
    answers = own.annotate(task, everyone(task))
    asked = own.requests(task, everyone(task))
    model = _Model(own.engine)
    for row in answers.table.to_pylist():
        means = {c: [] for c in (-1, *row["options"])}
        for prompt in (p for p in asked if p.query_id == row["query_id"]):
            weights = np.exp(model.reply(prompt.request).scores)
            for candidate, share in zip((-1, *prompt.options), weights / weights.sum(), strict=True):
                means[candidate].append(share)
        expected = [np.mean(means[c]) for c in (-1, *row["options"])]
        assert row["distribution"] == pytest.approx(expected, abs=1e-6)
        assert row["distribution"][row["choice"]] == pytest.approx(max(expected))


def test_samples_are_asked_one_by_one_and_their_shares_are_the_distribution(task, log):
    some = everyone(task)[:10]
    answers = teacher(log, Label(order="shown", temperature=0.7), samples=4, wanders=True, least=0.0).annotate(
        task, some
    )
    assert answers.facts["requests"] == 40
    for row in answers.table.to_pylist():
        k = len(row["options"])
        expected = sorted([1 / 4] * min(4, k)) if k >= 4 else None
        shares = sorted(p for p in row["distribution"] if p > 0)
        assert sum(shares) == pytest.approx(1)
        if expected:
            assert shares == pytest.approx(expected)
    with pytest.raises(ValidationError, match=r"samples=2 would all be the same; set elicitation.temperature above 0"):
        teacher(log, Label(), samples=2)


def test_a_stated_confidence_becomes_the_probability_of_the_choice(task, log):
    answers = teacher(log, Confidence(order="shown"), sure=0.6).annotate(task, everyone(task))
    for row in answers.table.to_pylist():
        k = len(row["options"])
        assert row["confidence"] == pytest.approx(0.6)
        assert row["distribution"][row["choice"]] == pytest.approx(max(0.6, 1 / (k + 1)))
        others = [p for i, p in enumerate(row["distribution"]) if i != row["choice"]]
        assert others == pytest.approx([(1 - row["distribution"][row["choice"]]) / k] * k)
        assert "of the words are shared" in row["rationale"]


def test_a_justification_is_asked_for_of_every_option_after_the_answer(task, log):
    some = everyone(task)[:6]
    answers = teacher(log, Justify(order="shown")).answers(task, some)
    plain = teacher(log, Label(order="shown")).annotate(task, some)
    assert answers.chosen_ids.tolist() == plain.chosen_ids.tolist()
    for row in answers.table.to_pylist():
        assert len(row["justifications"]) == len(row["options"]) + 1
        for i, text in enumerate(row["justifications"]):
            assert text.startswith(f"about [{i}]")
        assert row["rationale"] == row["justifications"][row["choice"]]
    options = int(np.diff(answers.offsets).sum()) + len(some)
    assert answers.facts["requests"] == options + len(some)
    assert answers.table["seconds"].to_pylist() == [0.25 * (n + 2) for n in np.diff(answers.offsets)]


def test_a_second_job_and_a_second_selection_ask_only_what_is_new(task, log):
    ids = everyone(task)
    first = teacher(log).answers(task, ids[:20])
    again = teacher(log).answers(task, ids[:20])
    assert again.reused
    assert again.table.equals(first.table)
    teacher(log).answers(task, ids[10:30])
    prompts = prompts_asked(log)
    assert len(prompts) == len(set(prompts)) == 30
    assert teacher(log).answers(task, ids[10:30]).facts["cached"] == 10


def test_a_reply_that_does_not_come_is_a_failed_answer_and_is_asked_for_again(task, log):
    ids = everyone(task)[:12]
    word = prompts_asked_word(task, ids[4])
    failing = teacher(log, fails=word)
    answers = failing.answers(task, ids)
    failed = answers.query_ids[answers.choice < 0]
    assert ids[4] in failed
    assert answers.facts["failures"] == len(failed)
    assert answers.facts["errors"] == ["it would not"]
    before = len(prompts_asked(log))
    mended = teacher(log).answers(task, ids)
    assert len(prompts_asked(log)) == before + len(failed)
    assert (mended.choice >= 0).all()
    assert mended.key != answers.key, "what was made of the incomplete answers must not be reused"
    assert teacher(log).answers(task, ids).reused


def prompts_asked_word(task, query):
    """A pattern that stands in the given record of one query."""
    (row,) = [r for r in task.records.queries.to_pylist() if r["id"] == query]
    value = max((v for k, v in row.items() if k != "id" and v), key=len)
    return "Given record: .*" + re.escape(value)


def test_a_budget_stops_the_asking_and_a_larger_one_goes_on_from_there(task, log):
    ids = everyone(task)
    whole = sum(pieces(p.request.messages[-1][1]) + 3 for p in teacher(log).requests(task, ids))

    def limited(tokens):
        budget = Budget(max_cost=None, max_tokens=tokens, max_seconds=None)
        return replace(task, ledger=Ledger(budget))

    small = limited(whole // 2)
    part = teacher(log).answers(small, ids)
    assert 0 < len(part.query_ids) < len(ids)
    assert part.facts["stopped"] == "max_tokens"
    assert small.ledger.tokens == part.facts["tokens_in"] + part.facts["tokens_out"] <= whole // 2
    assert np.isin(part.query_ids, ids).all()
    asked = len(prompts_asked(log))
    assert asked == len(part.query_ids)
    assert teacher(log).answers(limited(whole // 2), ids).key == part.key
    assert len(prompts_asked(log)) == asked, "a repetition spends nothing"
    rest = teacher(log).answers(limited(None), ids)
    assert rest.query_ids.tolist() == ids.tolist()
    assert len(prompts_asked(log)) == len(ids)
    with pytest.raises(DistillerError, match=r"budget.max_tokens leaves nothing to ask overlap about .*until=forecast"):
        teacher(log, Explain()).answers(limited(3), ids)


def test_a_model_that_is_not_there_is_said_before_anything_unless_its_replies_are_known(task, log):
    absent = teacher(log, model="absent")
    with pytest.raises(DistillerError, match="there is no model absent; choose another"):
        absent.ready(task.store)
    teacher(log).ready(task.store)
    answers = teacher(log).answers(task, everyone(task)[:5])
    with ReplyCache(task.store.root / "replies.sqlite") as cache:
        pairs = [
            (p.request, cache.get(teacher(log).asker.key(p.request)))
            for p in teacher(log).requests(task, everyone(task)[:5])
        ]
        cache.add(absent.asker, pairs)
    absent.ready(task.store)
    assert absent.answers(task, everyone(task)[:5]).chosen_ids.tolist() == answers.chosen_ids.tolist()
    with pytest.raises(DistillerError, match="there is no model absent"):
        absent.answers(task, everyone(task)[:6])


@pytest.mark.parametrize("way", [Label(order="shown"), Explain(order="shown"), Justify(order="shown")])
def test_the_forecast_of_what_was_not_asked_yet_holds_what_is_spent_then(task, log, way):
    ids, own = everyone(task), teacher(log, way)
    expected = own.forecast(task, ids)
    assert prompts_asked(log) == []
    facts = own.answers(task, ids).facts
    assert expected.asked == expected.prompts == facts["requests"]
    for name, spent in (
        ("tokens_in", facts["tokens_in"]),
        ("tokens_out", facts["tokens_out"]),
        ("cost", facts["cost"]),
    ):
        low, _, high = getattr(expected, name)
        assert low <= spent <= high, name
    low, _, high = expected.seconds
    assert low <= facts["answer_seconds"] <= high
    after = own.forecast(task, ids)
    assert (after.prompts, after.asked, after.cost) == (expected.prompts, 0, (0.0, 0.0, 0.0))
    assert "0 of" in str(after)


def test_the_counterfactual_question_is_asked_about_what_explanations_cite(task, log):
    own = teacher(log, Explain(order="shown"))
    asking_again = LLM(
        **{**{f: getattr(own, f) for f in ("model", "engine", "elicitation", "prices")}, "counterfactual": True}
    )
    plain, answers = own.annotate(task, everyone(task)), asking_again.answers(task, everyone(task))
    assert answers.table.equals(plain.table), "the answers themselves are those to the unchanged records"
    found = answers.facts["counterfactual"]
    assert 0 < found["queries"] <= len(everyone(task))
    assert 0 <= found["moved_without_cited"] <= 1
    assert found["counterfactual"] == pytest.approx(found["moved_without_cited"] - found["moved_without_others"])
    assert answers.facts["requests"] > plain.facts["requests"]
    assert len(prompts_asked(log)) <= answers.facts["requests"]
    low, _, high = answers.facts["forecast"]["tokens_in"]
    assert low <= answers.facts["tokens_in"] - plain.facts["tokens_in"] <= high
    with pytest.raises(ValidationError, match="counterfactual=true needs explanations to test"):
        LLM(model="overlap", engine=own.engine, elicitation=Label(), prices=PRICES, counterfactual=True)


def test_weights_that_changed_in_their_folder_are_asked_anew(task, log, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("one")
    some = everyone(task)[:5]
    first = teacher(log, model=str(model)).answers(task, some)
    assert teacher(log, model=str(model)).answers(task, some).reused
    (model / "weights").write_text("two")
    again = teacher(log, model=str(model)).answers(task, some)
    assert not again.reused
    assert again.facts["cached"] == 0
    assert again.key != first.key
    assert len(prompts_asked(log)) == 10
