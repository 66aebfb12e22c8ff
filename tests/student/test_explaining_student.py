"""A student that explains: what it is taught of a rationale, what it costs, and what it writes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch
from student.toy_school import ASK, checkpoint, fresh, student, task

from distiller.algorithm.dpo import DPO
from distiller.algorithm.grpo import GRPO
from distiller.algorithm.kd import KD
from distiller.algorithm.rationale_course import RationaleCourse
from distiller.algorithm.sft import SFT
from distiller.algorithm.sft_module import sft_loss
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import DistillerError
from distiller.elicitation.explain import Explain
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.rationale.numbering import renumbered
from distiller.rationale.reasons import Reasons
from distiller.student.base import Lesson
from distiller.student.boosted import Boosted
from distiller.student.language_lessons import Rendering, batches
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
EXPLAIN = Explain(serialization="plain", prompt_tokens=512, reply_tokens=48)


@cache
def model():
    return checkpoint(hidden=32, layers=1)


def told(answers, own, justified=False):
    """The answers with a rationale of the choice for every query but each fourth, and of all options if `justified`."""
    names = dict(zip(own.records.candidates["id"].to_pylist(), own.records.candidates["name"].to_pylist(), strict=True))
    rows = answers.table.to_pylist()
    for row in rows:
        texts = ["None of them is it."]
        texts += [f"Candidate [{i}] is '{names[c]}'." for i, c in enumerate(row["options"], 1)]
        if row["query_id"] % 4:
            row["rationale"] = texts[row["choice"]]
            row["justifications"] = texts if justified else None
    return AnswerSet(pa.Table.from_pylist(rows, AnswerSet.SCHEMA), key=f"told-{len(rows)}-{justified}")


@cache
def lesson(justified=False):
    own, answers = task(40)
    return Lesson.of(own, told(answers, own, justified), soft=False)


def rendering(rivals=False):
    return Rendering(EXPLAIN, ChatTokenizer.load(str(model()), None), 4096, rivals)


def room(justified=False, **fields):
    torch.manual_seed(3)
    fields = {"elicitation": EXPLAIN, "rank": 4, "epochs": 1, **fields}
    taught = {name: fields.pop(name) for name in ("taught", "rivals", "frozen") if name in fields}
    return student(model(), **fields).classroom([lesson(justified)], Trainer(), 1, **taught)


def test_the_loss_covers_answer_rationale_and_end_of_turn_in_that_order_and_nothing_else():
    tokenizer, own = rendering().tokenizer, lesson()
    explained = 0
    for way in (EXPLAIN, replace(EXPLAIN, seed=7)):
        prompts = way.prompts(own.task, own.query_ids)
        for prompt, example in zip(prompts, replace(rendering(), elicitation=way).examples([own]), strict=True):
            text = tokenizer.prompt(prompt.request.messages)
            chosen = int(example.target.argmax())
            for choice, path in enumerate(example.tree.steps):
                learnt = [token for _, token in path]
                answer = learnt[: example.answer_steps[choice]]
                assert tokenizer.text(answer) == f'{{"answer": "[{choice}]",'
                assert example.prompt + answer == tokenizer.encode([text + tokenizer.text(answer)])[0]
                if choice != chosen or not prompt.query_id % 4:
                    assert learnt == answer, "nothing to say, so the answer alone is learnt"
                    continue
                explained += 1
                assert learnt[-1] == tokenizer.end_of_turn
                assert tokenizer.end_of_turn not in learnt[:-1]
                assert example.prompt + learnt[:-1] == tokenizer.encode([text + tokenizer.text(learnt)])[0]
                reading = EXPLAIN.read(tokenizer.text(learnt), len(prompt.options))
                assert (reading.choice, reading.parse) == (chosen, "exact")
                assert reading.rationale.startswith(f"Candidate [{chosen}] is '" if chosen else "None of them")
    assert explained == 60


def test_rationales_of_wrong_answers_are_rejected_with_them_where_there_are_any():
    tokenizer, own = rendering().tokenizer, lesson(justified=True)
    prompts = EXPLAIN.prompts(own.task, own.query_ids)
    names = dict(zip(own.task.records.candidates["id"].to_pylist(), own.task.records.candidates["name"].to_pylist(), strict=True))  # fmt: skip # noqa: E501
    for prompt, example in zip(prompts, rendering(rivals=True).examples([own]), strict=True):
        for choice, path in enumerate(example.tree.steps):
            said = tokenizer.text([token for _, token in path])
            if not prompt.query_id % 4:
                assert said == f'{{"answer": "[{choice}]",'
            elif choice:
                assert f"Candidate [{choice}] is '{names[prompt.options[choice - 1]]}'." in said
            else:
                assert "None of them is it." in said
    assert all(len(e.tree.steps) == 4 for e in rendering(rivals=True).examples([own]))


def test_a_rationale_names_candidates_by_their_numbers_in_the_prompt_it_is_learnt_with():
    reasons = Reasons((30, 10, 20), ("none", "a [1], not [2, 3]", None, "candidates 1 and 3; [0]; 3 GB, [1995]"))
    assert reasons.shown((10, 20, 30)) == ["none", None, "candidates 3 and 2; [0]; 3 GB, [1995]", "a [3], not [1, 2]"]
    assert reasons.shown((30, 10, 20)) == list(reasons.texts)


@pytest.mark.parametrize(
    "text", ["a 1-port switch", "3 GB", "[12]", "version 2", "candidate 1.5", "the first candidate", ""]
)
def test_numbers_that_name_no_candidate_stay(text):
    assert renumbered(text, {1: 2, 2: 3, 3: 1}) == text


def test_the_loss_of_a_query_is_that_of_its_answer_and_the_weighted_mean_over_its_rationale():
    own = room(taught=False)
    examples = [e for e in rendering().examples([lesson()]) if e.tree.steps[int(e.target.argmax())]][:6]
    batch = next(iter(batches(examples, 100_000, None, 0)))
    order = sorted(range(len(examples)), key=lambda i: -examples[i].size)
    with torch.no_grad():
        found = [RationaleCourse(own, sft_loss, weight).eval().losses(batch) for weight in (0.0, 0.5)]
        log_p = own.model.log_probabilities(batch)
    for row, i in enumerate(order):
        example = examples[i]
        chosen = int(example.target.argmax())
        learnt = [token for _, token in example.tree.steps[chosen]]
        tokens = [*example.prompt, *learnt]
        with torch.no_grad():
            logits = own.model.causal(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
        first = len(example.prompt)
        each = [-logits[j - 1, tokens[j]].item() for j in range(first, len(tokens))]
        answer, rationale = each[: example.answer_steps[chosen]], each[example.answer_steps[chosen] :]
        assert found[0][row].item() == pytest.approx(sum(answer), abs=1e-4)
        assert -log_p[row, chosen].item() == pytest.approx(sum(answer), abs=1e-4)
        expected = sum(answer) + (0.5 * float(np.mean(rationale)) if rationale else 0.0)
        assert found[1][row].item() == pytest.approx(expected, abs=1e-4)
    assert (found[1] > found[0]).any()


def test_gradients_come_from_the_tokens_of_answer_and_rationale_alone():
    """Exchanging a token of the loss moves the gradient; the logits elsewhere have none."""
    own = room(taught=True)
    seen = {}

    def record(module, inputs, output):
        output.register_hook(lambda gradient: seen.__setitem__("rows", gradient.reshape(-1, gradient.shape[-1])))

    hook = own.model.causal.lm_head.register_forward_hook(record)
    (example,) = rendering().examples([lesson().part(np.arange(40) == 1)], taught=True)
    RationaleCourse(own, sft_loss, 1.0).losses(next(iter(batches([example], 1, None, 0)))).sum().backward()
    hook.remove()
    assert int((seen["rows"].abs().sum(dim=1) > 0).sum()) == len(example.tree.steps[0])


def test_preferences_compare_whole_replies_and_begin_at_no_preference():
    learner = student(model(), elicitation=EXPLAIN, rank=4, epochs=1)
    own = room(justified=True, rivals=True, frozen=True)
    course = DPO(anchor=0.0).course(own, learner)
    batch = next(iter(own.validation()))
    with torch.no_grad():
        assert course.losses(batch).tolist() == pytest.approx([np.log(2)] * len(batch["target"]), abs=1e-5)
        for name, weight in own.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
        found = course.losses(batch)
        said = own.model.replies(batch)
        with own.model.reference():
            start = own.model.replies(batch)
        assert torch.equal(own.model.step_log_probabilities(batch).sum(-1)[0], said.whole[0])
    for row in range(len(found)):
        there = [i for i in range(said.whole.shape[1]) if torch.isfinite(start.whole[row, i])]
        gain = {i: (said.whole[row, i] - start.whole[row, i]).item() for i in there}
        best = int(batch["target"][row].argmax())
        losses = [np.log1p(np.exp(-0.1 * (gain[best] - gain[i]))) for i in there if i != best]
        assert found[row].item() == pytest.approx(np.mean(losses), abs=1e-4)
    assert int(said.tokens.gt(0).sum()) > len(found), "rejected replies have rationales"


def test_the_anchor_of_a_preference_is_the_loss_of_supervised_training():
    learner = student(model(), elicitation=EXPLAIN, rank=4, epochs=1)
    own = room(justified=True, rivals=True, frozen=True)
    batch = next(iter(own.validation()))
    with torch.no_grad():
        plain, anchored = (DPO(anchor=a).course(own, learner).losses(batch) for a in (0.0, 1.0))
        supervised = RationaleCourse(own, sft_loss, 1.0).losses(batch)
    assert torch.allclose(anchored - plain, supervised, atol=1e-5)


def test_an_answer_costs_no_more_without_rationales_and_is_the_same_with_them():
    learner = student(model(), elicitation=EXPLAIN, rank=0, epochs=1)
    own, _ = task(12)
    folder = fresh()
    learner.classroom([lesson()], Trainer(), 1).save(folder)
    silent = learner.answer(Checkpoint(folder), own, own.candidates.query_ids, Trainer(), 1)
    speaking = replace(learner, rationales=True)
    explained = speaking.answer(Checkpoint(folder), own, own.candidates.query_ids, Trainer(), 1)
    assert silent.table["rationale"].null_count == silent.table["text"].null_count == 12
    assert set(silent.table["tokens_out"].to_pylist()) == {0}, "nothing is written"
    assert np.array_equal(silent.choice, explained.choice)
    assert np.array_equal(silent.distribution, explained.distribution)
    for row in explained.table.to_pylist():
        assert row["text"].startswith(f'{{"answer": "[{row["choice"]}]",')
        reading = EXPLAIN.read(row["text"], len(row["options"]))
        assert reading.choice == row["choice"]
        assert reading.rationale == row["rationale"]
        assert row["text"].partition('",')[2].startswith(' "explanation": "'), "held to the rest of the JSON object"
        assert 0 < row["tokens_out"] <= EXPLAIN.reply_tokens
    assert Boosted().learner() == Boosted()
    assert speaking.learner() == learner, "both are the same to the key of a checkpoint"


def test_a_rationale_follows_the_answer_that_several_orders_agree_on():
    learner = student(model(), elicitation=replace(EXPLAIN, orders=3), rank=0, epochs=1, rationales=True)
    own, _ = task(6)
    folder = fresh()
    learner.classroom([lesson()], Trainer(), 1).save(folder)
    for row in learner.answer(Checkpoint(folder), own, own.candidates.query_ids, Trainer(), 1).table.to_pylist():
        assert row["text"].startswith(f'{{"answer": "[{row["choice"]}]",')
        assert np.argmax(row["distribution"]) == row["choice"]


@pytest.mark.parametrize("algorithm", [SFT(), KD()], ids=["sft", "kd"])
def test_a_tiny_model_learns_to_answer_and_to_say_why(algorithm):
    own, answers = task(150)
    ids = own.candidates.query_ids
    taught = told(answers.of(ids[:120]), own)
    learner = student(checkpoint(), elicitation=EXPLAIN, epochs=8, rationales=True)
    folder = fresh()
    facts = algorithm.distil(learner, [(own, taught)], Trainer(), 1, folder)
    losses = [loss for _, _, loss in facts["curve"]]
    assert losses[-1] < losses[0] / 2
    given = learner.answer(Checkpoint(folder, facts=facts), own, ids[120:], Trainer(), 1)
    texts = given.table["rationale"].to_pylist()
    like = [text is not None and ("None of them is it." in text or "Candidate [" in text) for text in texts]
    assert np.mean(like) > 0.8
    ended = [text.endswith('"}') for text in given.table["text"].to_pylist()]
    assert np.mean(ended) > 0.8, "it ends its turn by itself"


def test_what_cannot_be_learnt_or_asked_is_one_sentence():
    own, answers = task(10)
    explaining = student(model(), elicitation=EXPLAIN, rank=0)
    with pytest.raises(DistillerError, match=r"gave no rationale .* set elicitation@student\.elicitation=score"):
        explaining.classroom([Lesson.of(own, answers, soft=False)], Trainer(), 1)
    with pytest.raises(ValueError, match="rationales=true needs a student that has learnt to explain"):
        student(model(), elicitation=ASK, rationales=True)
    assert "grpo rewards replies that are a bare number" in GRPO().suits(explaining)
    assert "grpo" in DPO(warm_start=GRPO()).suits(explaining)
    for algorithm in (SFT(rationale_weight=0.5), KD(rationale_weight=2.0)):
        assert algorithm.suits(explaining) is None
        for other in (student(model(), elicitation=ASK), Boosted()):
            assert "learns none: leave it at 1" in algorithm.suits(other)
    assert SFT().suits(Boosted()) is None


def test_a_template_that_begins_a_reply_otherwise_than_it_goes_on_is_refused():
    learner = student(model(), elicitation=EXPLAIN, rank=0, rationales=True)
    own, _ = task(4)
    folder = fresh()
    learner.classroom([lesson()], Trainer(), 1).save(folder)
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text().replace("assistant<|end_header_id|>", "assistant (final)<|end_header_id|>"))
    with pytest.raises(DistillerError, match=r"set student\.rationales=false"):
        learner.answer(Checkpoint(folder), own, own.candidates.query_ids, Trainer(), 1)
