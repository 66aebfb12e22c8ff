"""A language model student is taught what it will be asked: the tokens it reads, those it learns, and what lies on disk."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from student.toy_school import ASK, checkpoint, fresh, student, task

from distiller.algorithm.dpo import DPO
from distiller.algorithm.sft import SFT
from distiller.artifacts import Checkpoint
from distiller.config import DistillerError
from distiller.elicitation.confidence import Confidence
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.option_tree import distinguishing
from distiller.student.base import Lesson, split
from distiller.student.language_lessons import Rendering, batches, check_example
from distiller.student.language_model import Adapter, OptionModel
from distiller.trainer import Trainer

pytestmark = pytest.mark.filterwarnings("ignore")
LORA = {"rank": 4, "alpha": 8.0, "epochs": 1}


@cache
def model():
    return checkpoint(hidden=32, layers=1)


@cache
def lesson(queries=40):
    own, answers = task(queries)
    return Lesson.of(own, answers, soft=False)


def rendering():
    return Rendering(ASK, ChatTokenizer.load(str(model()), None), 4096)


def room(lessons=None, **fields):
    taught = {name: fields.pop(name) for name in ("taught", "start", "frozen") if name in fields}
    torch.manual_seed(3)
    return student(model(), **{**LORA, **fields}).classroom(lessons or [lesson()], Trainer(), 1, **taught)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_covers_the_answer_and_the_end_of_its_turn_and_nothing_else():
    tokenizer = rendering().tokenizer
    prompts = ASK.prompts(lesson().task, lesson().query_ids)
    for prompt, example in zip(prompts, rendering().examples([lesson()]), strict=True):
        text = tokenizer.prompt(prompt.request.messages)
        for choice, path in enumerate(example.tree.steps):
            learnt = [token for _, token in path]
            assert example.prompt + learnt[:-1] == tokenizer.encode([f"{text}[{choice}]"])[0]
            assert learnt[-1] == tokenizer.end_of_turn
            assert tokenizer.text(learnt) == f"[{choice}]"
        right = lesson().query_ids.tolist().index(prompt.query_id)
        begin, end = lesson().option_offsets[right : right + 2]
        assert sorted(example.target) == sorted(lesson().target[begin:end])


def test_the_log_probability_of_an_option_is_the_sum_over_its_tokens_in_a_plain_pass():
    own = room(taught=False)
    batch = next(iter(own.validation()))
    with torch.no_grad():
        found = own.model.log_probabilities(batch)
        for example, row in zip(rendering().examples([lesson()]), range(3), strict=False):
            single = next(iter(batches([example], 1, None, 0)))
            scores = own.model.log_probabilities(single)[0]
            for choice, path in enumerate(example.tree.steps):
                tokens = [*example.prompt, *(token for _, token in path)]
                logits = own.model.causal(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
                first = len(example.prompt)
                plain = sum(logits[i - 1, tokens[i]].item() for i in range(first, len(tokens)))
                assert scores[choice].item() == pytest.approx(plain, abs=1e-4)
            assert row < 3
    assert found.shape == batch["target"].shape
    assert (found.exp().sum(-1) < 1).all()


def test_options_without_a_share_can_be_left_out_of_a_cross_entropy():
    all_options, taught = room(taught=False), room(taught=True)
    for one, other in zip(all_options.batches(0), taught.batches(0), strict=False):
        if len(one["target"]) == len(other["target"]) and one["target"].shape[1] > 1:
            break
    examples = rendering().examples([lesson()])
    few = rendering().examples([lesson()], taught=True)
    with torch.no_grad():
        for whole, part in zip(examples[:6], few[:6], strict=True):
            a, b = (next(iter(batches([e], 1, None, 0))) for e in (whole, part))
            assert b["target"].shape == (1, 1)
            cross = -(a["target"] * taught.model.log_probabilities(a)).sum()
            assert cross.item() == pytest.approx(-taught.model.log_probabilities(b).item(), abs=1e-4)


def test_the_order_of_learning_follows_from_seed_and_epoch_alone_and_options_move():
    one, other = room(), room()
    assert all(same(a, b) for a, b in zip(one.batches(2), other.batches(2), strict=True))
    assert all(same(a, b) for a, b in zip(one.batches(0), other.batches(0), strict=True))
    later = list(one.batches(1))
    assert not all(
        a["prompts"].shape == b["prompts"].shape and same(a, b) for a, b in zip(one.batches(0), later, strict=False)
    )
    targets = [torch.cat([batch["target"].argmax(-1) for batch in one.batches(epoch)]) for epoch in range(2)]
    assert sorted(targets[0].gt(0).tolist()) == sorted(targets[1].gt(0).tolist()), "the same queries"
    assert torch.bincount(targets[0], minlength=4).tolist() != torch.bincount(targets[1], minlength=4).tolist()
    seeded = room(seed=5)
    assert not all(
        a["prompts"].shape == b["prompts"].shape and same(a, b)
        for a, b in zip(one.batches(0), seeded.batches(0), strict=False)
    )


def test_held_out_queries_are_never_learnt_from():
    learnt, held = split([lesson(), lesson(30)], 0.2, 7)
    assert sum(len(part.query_ids) for part in held) == 14
    for whole in (lesson(), lesson(30)):
        parts = [p for p in learnt + held if p.task is whole.task]
        ids = np.concatenate([p.query_ids for p in parts])
        assert sorted(ids) == sorted(whole.query_ids)
        for p in parts:
            rows = np.isin(whole.query_ids, p.query_ids)
            assert p.target.tolist() == whole.part(rows).target.tolist()
    with pytest.raises(DistillerError, match=r"raise selector\.budget"):
        split([lesson().part(np.arange(40) < 1)], 0.5, 0)


@pytest.mark.parametrize("limit", [200, 1024, 8192])
def test_batches_keep_to_their_limit_and_hold_every_example_once(limit):
    examples = rendering().examples([lesson()])
    made = batches(examples, limit, np.random.default_rng(1), 0)
    assert sorted(id(e) for group in made.groups for e in group) == sorted(map(id, examples))
    for batch in made:
        rows, nodes = batch["nodes"].shape
        assert rows == 1 or rows * (batch["prompts"].shape[1] + nodes - 1 + 1) <= limit
    assert made.tokens == sum(e.size for e in examples)


def test_examples_of_like_lengths_share_a_batch_so_that_little_is_padding():
    draw = np.random.default_rng(0)
    example = rendering().examples([lesson()])[0]
    lengths = np.clip(draw.lognormal(6, 0.5, 1000).astype(int), 60, 3000)
    made = batches([replace(example, prompt=[1] * int(n)) for n in lengths], 8192, draw, 0)
    assert made.padding < 0.05
    assert max(len(group) * max(e.size for e in group) for group in made.groups) <= 8192


def test_an_adapter_is_written_as_peft_loads_it_and_answers_as_it_was_trained():
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    own = room(rank=4)
    with torch.no_grad():
        for name, weight in own.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    folder = fresh()
    own.save(folder)
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "student.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".md"))]
    assert all("lora_" in name for name in load_file(folder / "adapter_model.safetensors"))
    assert len(AutoTokenizer.from_pretrained(folder)) == len(own.model.tokenizer.tokenizer)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model()), folder)
    batch = next(iter(own.validation()))
    with torch.no_grad():
        mine = own.model.eval().log_probabilities(batch)
        reloaded = OptionModel(theirs.eval(), None, own.model.tokenizer, torch.float32).log_probabilities(batch)
    assert torch.allclose(mine, reloaded, atol=1e-5)
    asked = lesson().query_ids
    answers = student(model(), **LORA).answer(Checkpoint(folder), lesson().task, asked, Trainer(), 1)
    with torch.no_grad():
        for i, example in enumerate(rendering().examples([lesson()])[:5]):
            step = own.model.step_log_probabilities(next(iter(batches([example], 1, None, 0))))[0]
            # Answers are scored by the first tokens that tell the options apart, the end of the turn is not among them.
            needed = distinguishing([[token for _, token in path] for path in example.tree.steps])
            plain = torch.stack([step[j, : len(tokens)].sum() for j, tokens in enumerate(needed)]).softmax(-1)
            assert answers.distribution[i * 4 : i * 4 + 4] == pytest.approx(plain.numpy(), abs=1e-4)


def test_all_weights_are_written_as_a_model_of_its_own():
    whole = student(model(), rank=0, epochs=1, dtype="bfloat16")
    torch.manual_seed(0)
    own = whole.classroom([lesson()], Trainer(), 1)
    assert all(weight.requires_grad and weight.dtype == torch.float32 for weight in own.model.parameters())
    folder = fresh()
    own.save(folder)
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.bfloat16}
    answers = whole.answer(Checkpoint(folder), lesson().task, lesson().query_ids, Trainer(), 1)
    assert len(answers.choice) == 40


@pytest.mark.parametrize("rank", [0, 4])
def test_the_reference_stays_where_the_student_started_and_is_seen_to_do_so(rank):
    own = room(rank=rank, frozen=True)
    batch = next(iter(own.validation()))
    start = own.model.eval().log_probabilities(batch).detach()
    before = {name: weight.clone() for name, weight in own.model.named_parameters()}
    own.model.check_reference(batch)
    assert all(torch.equal(weight, before[name]) for name, weight in own.model.named_parameters())
    with torch.no_grad():
        for weight in own.model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
        moved = own.model.log_probabilities(batch)
        with own.model.reference():
            assert torch.allclose(own.model.log_probabilities(batch), start, atol=1e-5)
        assert torch.equal(own.model.log_probabilities(batch), moved)
    assert (moved - start).abs().max() > 0.01


def test_a_reference_that_moves_with_the_student_is_found_before_training():
    own = room(rank=4, frozen=True)

    class Leaky(OptionModel):
        def reference(self):
            return torch.no_grad()

    own.model.__class__ = Leaky
    with pytest.raises(DistillerError, match="reference model changes"):
        own.model.check_reference(next(iter(own.validation())))


def test_an_adapter_taught_before_goes_on_and_its_start_is_kept_beside_it():
    first = room(rank=4)
    with torch.no_grad():
        for weight in first.model.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn_like(weight))
    folder = fresh()
    first.save(folder)
    second = room(rank=4, start=folder, frozen=True)
    batch = next(iter(second.validation()))
    with torch.no_grad():
        taught = first.model.eval().log_probabilities(batch)
        assert torch.allclose(second.model.eval().log_probabilities(batch), taught, atol=1e-5)
        second.model.check_reference(batch)
        learning = [name for name, weight in second.model.named_parameters() if weight.requires_grad]
        assert learning
        assert not [name for name in learning if "reference" in name]
        for name, weight in second.model.named_parameters():
            if name in learning:
                weight.zero_()
        with second.model.reference():
            assert torch.allclose(second.model.log_probabilities(batch), taught, atol=1e-5)
    assert [name for name, weight in second.model.named_parameters() if weight.requires_grad] == learning
    again = fresh()
    second.save(again)
    assert (
        load_file(again / "adapter_model.safetensors").keys() == load_file(folder / "adapter_model.safetensors").keys()
    )


def test_gradients_with_and_without_checkpointing_are_the_same():
    found = []
    for recompute in (False, True):
        own = room(rank=4, gradient_checkpointing=recompute)
        loss = -own.model.train().log_probabilities(next(iter(own.batches(0))))[:, 0].mean()
        loss.backward()
        found.append(torch.cat([w.grad.flatten() for w in own.model.parameters() if w.grad is not None]))
    assert found[0].abs().max() > 0
    assert torch.allclose(*found, atol=1e-6)


@pytest.mark.parametrize("rank", [0, 4])
def test_a_layer_is_computed_again_for_the_backward_pass_exactly_where_asked(rank):
    for recompute in (True, False):
        own = room(rank=rank, gradient_checkpointing=recompute)
        calls = []
        own.model.causal.model.layers[0].mlp.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        loss = own.model.log_probabilities(next(iter(own.batches(0))))[:, 0].mean()
        read = len(calls)
        loss.backward()
        assert len(calls) == (2 * read if recompute else read)


def check(reply="[1]", learnt=None, kept=None, text=None):
    example = rendering().examples([lesson()])[0]
    tokenizer = rendering().tokenizer
    prompt = ASK.prompts(lesson().task, lesson().query_ids[:1])[0]
    path = [token for _, token in example.tree.steps[1]]
    check_example(
        tokenizer,
        prompt,
        tokenizer.prompt(prompt.request.messages) if text is None else text(tokenizer.prompt(prompt.request.messages)),
        reply,
        example.prompt if kept is None else kept(example.prompt),
        path if learnt is None else learnt(path),
    )


def test_what_is_taught_is_checked_before_any_time_is_spent():
    check()
    with pytest.raises(DistillerError, match="would not stop"):
        check(learnt=lambda path: path[:-1])
    with pytest.raises(DistillerError, match="tokens learnt are not those of the reply"):
        check(learnt=lambda path: path[1:])
    with pytest.raises(DistillerError, match="tokens learnt are not those of the reply"):
        check(kept=lambda prompt: prompt[:-1])
    with pytest.raises(DistillerError, match="tokens learnt are not those of the reply"):
        check(reply="[2]")


def test_a_template_that_drops_part_of_the_prompt_is_refused():
    tokenizer = ChatTokenizer.load(str(model()), None)
    tokenizer.tokenizer.chat_template = tokenizer.tokenizer.chat_template.replace(
        "message['content'] | trim", "message['content'][:40]"
    )
    with pytest.raises(DistillerError, match="leaves out"):
        Rendering(ASK, tokenizer, 4096).examples([lesson()])


def test_a_prompt_longer_than_the_student_reads_is_refused_not_cut():
    with pytest.raises(DistillerError, match=r"the student reads 100: lower student\.elicitation\.prompt_tokens"):
        replace(rendering(), longest=100).examples([lesson()])


def test_a_first_loss_that_is_no_number_stops_the_training():
    from distiller.algorithm.course import Course
    from distiller.algorithm.lightning_fit import teach
    from distiller.algorithm.sft_module import sft_loss

    own = room(rank=4)
    with torch.no_grad():
        own.model.causal.lm_head.weight.fill_(float("nan"))
    with pytest.raises(DistillerError, match="loss of the very first batch is nan"):
        teach(Course(own, sft_loss), Trainer())


def test_what_is_missing_is_said_in_one_sentence_before_anything_else(monkeypatch):
    import importlib.util

    store = lesson().task.store
    with pytest.raises(DistillerError, match="no such folder"):
        student("./nowhere").ready(store)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("peft", "bitsandbytes") else real(name)
    )
    with pytest.raises(
        DistillerError, match=r"student\.rank=4 needs the library peft: pip install 'distiller-er\[local\]'"
    ):
        student(model(), rank=4).ready(store)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else real(name))
    with pytest.raises(DistillerError, match=r"student\.quantize=4bit needs the library bitsandbytes"):
        student(model(), rank=4, quantize="4bit").ready(store)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="quantize=4bit keeps the base as it is"):
        student(model(), rank=0, quantize="4bit")
    with pytest.raises(ValueError, match="elicitation=confidence asks for something else"):
        student(model(), elicitation=Confidence())
    with pytest.raises(DistillerError, match="does not name layers"):
        OptionModel.load(str(model()), None, dtype="float32", adapter=Adapter(4, 8.0, targets=("nothing",)))


def test_a_student_can_also_write_its_answers():
    own = room(rank=4)
    folder = fresh()
    own.save(folder)
    writing = student(model(), **LORA, elicitation=replace(ASK, reply="generate"))
    answers = writing.answer(Checkpoint(folder), lesson().task, lesson().query_ids[:10], Trainer(), 1)
    assert (answers.choice >= 0).all()
    assert set(answers.table["text"].to_pylist()) <= {f"[{i}]" for i in range(4)}


def test_only_language_models_learn_by_preference_and_the_warm_start_must_suit_too():
    from distiller.algorithm.kd import KD
    from distiller.student.boosted import Boosted

    assert DPO().suits(student(model())) is None
    assert DPO(warm_start=SFT()).suits(student(model())) is None
    assert "boosted is none" in DPO(warm_start=KD()).suits(Boosted())
