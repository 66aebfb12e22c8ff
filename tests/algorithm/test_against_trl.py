"""Losses, gradients and three steps of training are those of TRL's trainers on the same tokens and the same tiny model."""

import copy
import warnings

import numpy as np
import pytest
import torch
from student.toy_school import checkpoint, fresh, student, task

from distiller.algorithm.dpo_module import preference_losses
from distiller.algorithm.grpo_module import GRPOCourse, Rollout, group_advantages
from distiller.algorithm.sft_module import sft_loss
from distiller.engine.option_tree import OptionTree
from distiller.student.base import Lesson
from distiller.student.language_lessons import Example, tensors
from distiller.trainer import Trainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    trl = pytest.importorskip("trl", reason="TRL is not installed: pip install 'distiller-er[test]'")

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS, RATE = 3, 0.5


class Twins:
    """Our classroom and a copy of its model for TRL, with the same prompts."""

    def __init__(self, **fields):
        from datasets import Dataset

        folder = checkpoint(hidden=32, layers=1)
        own, answers = task(12)
        torch.manual_seed(0)
        self.room = student(folder, epochs=1, batch_tokens=8192, held_out=0.1, **fields).classroom(
            [Lesson.of(own, answers, soft=False)], Trainer(), 1, frozen=True
        )
        self.model = self.room.model.eval()
        self.theirs = copy.deepcopy(self.model.network)
        self.batch = next(iter(self.room.batches(0)))
        self.tokenizer = self.model.tokenizer.tokenizer
        self.row = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c", "completion": "b"}])
        self.prompts = [
            [*tokens[:n].tolist(), int(last)]
            for tokens, n, last in zip(
                self.batch["prompts"], self.batch["lengths"].tolist(), self.batch["nodes"][:, 0], strict=True
            )
        ]

    def replies(self, row):
        """Tokens of each option of a prompt."""
        tokens, there = self.batch["step_token"][row], self.batch["step_node"][row] >= 0
        return [own[mask].tolist() for own, mask in zip(tokens, there, strict=True)]

    def settings(self, kind, **extra):
        common = {"output_dir": str(fresh()), "use_cpu": True, "report_to": "none", "bf16": False, "fp16": False}
        return kind(**common, gradient_checkpointing=False, **extra)

    def train_both(self, ours, theirs, tolerance=1e-5):
        """Three steps of plain gradient descent on either side: equal losses, equal gradients, equal weights."""
        mine, other = self.model.network, self.theirs
        optimizers = [torch.optim.SGD(model.parameters(), lr=RATE) for model in (mine, other)]
        losses = []
        for _ in range(STEPS):
            found = []
            for optimizer, loss in zip(optimizers, (ours, theirs), strict=True):
                optimizer.zero_grad()
                value = loss()
                value.backward()
                found.append(value.item())
            assert found[0] == pytest.approx(found[1], abs=tolerance)
            for (name, a), b in zip(mine.named_parameters(), other.parameters(), strict=True):
                assert torch.allclose(a.grad, b.grad, atol=tolerance), name
            for optimizer in optimizers:
                optimizer.step()
            losses.append(found[0])
        assert len(set(losses)) == STEPS, "the steps did change something"
        for a, b in zip(mine.parameters(), other.parameters(), strict=True):
            assert torch.allclose(a, b, atol=tolerance)


def padded(rows, value=0):
    """Rows of numbers padded on the right, and which of them are there."""
    longest = max(map(len, rows))
    filled = torch.tensor([row + [value] * (longest - len(row)) for row in rows])
    return filled, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def joined(prompts, replies):
    """Inputs with prompts and replies, and which tokens are of the replies."""
    ids, mask = padded([p + r for p, r in zip(prompts, replies, strict=True)])
    answers, _ = padded([[0] * len(p) + [1] * len(r) for p, r in zip(prompts, replies, strict=True)])
    return {"input_ids": ids, "attention_mask": mask, "completion_mask": answers}


def test_supervised_training_is_that_of_trl_on_completions():
    twins = Twins()
    best = twins.batch["target"].argmax(-1).tolist()
    right = [twins.replies(row)[choice] for row, choice in enumerate(best)]
    inputs = joined(twins.prompts, right)
    labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
    trainer = trl.SFTTrainer(
        twins.theirs, args=twins.settings(trl.SFTConfig), train_dataset=twins.row, processing_class=twins.tokenizer
    )
    trainer.model.eval()
    length = len(right[0])
    assert {len(reply) for reply in right} == {length}

    def theirs():
        given = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"], "labels": labels}
        return trainer.compute_loss(trainer.model, given)

    # TRL's is the mean over tokens, ours over answers.
    twins.train_both(
        lambda: sft_loss(twins.model.log_probabilities(twins.batch), twins.batch["target"]).mean() / length, theirs
    )


@pytest.mark.parametrize(
    ("form", "kind", "smoothing", "normalised"),
    [
        ("sigmoid", "sigmoid", 0.0, False),
        ("sigmoid", "sigmoid_norm", 0.0, True),
        ("ipo", "ipo", 0.0, True),
        ("robust", "robust", 0.1, False),
    ],
)
def test_preferences_are_those_of_trl_with_every_other_option_rejected(form, kind, smoothing, normalised):
    twins = Twins()
    best = twins.batch["target"].argmax(-1).tolist()
    prompts, chosen, rejected = [], [], []
    for row, choice in enumerate(best):
        options = twins.replies(row)
        for other, reply in enumerate(options):
            if other != choice:
                prompts.append(twins.prompts[row])
                chosen.append(options[choice])
                rejected.append(reply)
    inputs = joined(prompts * 2, chosen + rejected)
    trainer = trl.DPOTrainer(
        twins.theirs,
        ref_model=copy.deepcopy(twins.theirs),
        args=twins.settings(trl.DPOConfig, loss_type=[kind], beta=0.1, label_smoothing=smoothing),
        train_dataset=twins.row.remove_columns("completion"),
        processing_class=twins.tokenizer,
    )
    trainer.model.eval()

    def ours():
        log_p = twins.model.log_probabilities(twins.batch)
        with twins.model.reference():
            start = twins.model.log_probabilities(twins.batch)
        tokens = (twins.batch["step_node"] >= 0).sum(-1)
        return preference_losses(
            log_p, start, twins.batch["target"], tokens, form, 0.1, smoothing, length_normalised=normalised
        ).mean()

    twins.train_both(ours, lambda: trainer.compute_loss(trainer.model, dict(inputs)))


@pytest.mark.parametrize("variant", ["group", "unbiased"])
def test_group_relative_steps_are_those_of_trl_on_the_same_replies(variant):
    twins, samples, longest = Twins(), 4, 8
    draw = np.random.default_rng(0)
    replies, rewards, share, trees = [], [], [], []
    for row in range(len(twins.prompts)):
        options = twins.replies(row)
        drawn = [0, 1, 1, 3]
        replies += [options[i] for i in drawn]
        worth = draw.random(4)[drawn]
        rewards.append(worth.tolist())
        trees.append(OptionTree.of([options[i] for i in (0, 1, 3)]))
        share.append([0.25, 0.5, 0.25])
    scaled = group_advantages(torch.tensor(rewards, dtype=torch.float32), variant == "group")
    advantages = scaled[:, [0, 1, 3]]
    prompts = [prompt for prompt in twins.prompts for _ in range(samples)]
    trainer = trl.GRPOTrainer(
        twins.theirs,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=twins.settings(
            trl.GRPOConfig,
            num_generations=samples,
            per_device_train_batch_size=samples,
            max_completion_length=longest,
            beta=0.04,
            loss_type="grpo" if variant == "group" else "dr_grpo",
        ),
        train_dataset=twins.row.select_columns("prompt"),
        processing_class=twins.tokenizer,
    )
    trainer.model.eval()
    examples = [
        Example(p, tree, np.array([1.0, 0.0, 0.0]), 3, np.array([len(path) for path in tree.steps]))
        for p, tree in zip(twins.prompts, trees, strict=True)
    ]
    fields = tensors(examples, 0)
    with twins.model.reference():
        reference = twins.model.step_log_probabilities(fields)
    ours_drawn = reference + 0.1 * torch.sin(torch.arange(reference.numel())).reshape(reference.shape)
    back = [0, 1, 1, 2]
    course = GRPOCourse(
        twins.room, lambda *_: 0.0, samples=samples, reply_tokens=longest, unbiased=variant == "unbiased", beta=0.04
    )
    rollout = Rollout(fields, torch.tensor(share), advantages, reference, ours_drawn)
    completions, mask = padded(replies)
    steps = completions.shape[1]
    # TRL pads prompts on the left.
    width = max(map(len, prompts))
    inputs = {
        "prompt_ids": torch.tensor([[0] * (width - len(p)) + p for p in prompts]),
        "prompt_mask": torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]),
        "completion_ids": completions,
        "completion_mask": mask,
        "advantages": scaled.reshape(-1),
        "old_per_token_logps": ours_drawn[:, back, :steps].reshape(-1, steps),
        "ref_per_token_logps": reference[:, back, :steps].reshape(-1, steps),
    }
    trainer.current_gradient_accumulation_steps = 1

    def ours():
        return course.rollout_losses(twins.model.step_log_probabilities(fields), rollout).mean()

    twins.train_both(ours, lambda: trainer.compute_loss(trainer.model, dict(inputs)))
