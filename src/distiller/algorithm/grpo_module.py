"""The loss of group-relative policy optimisation and the Lightning module that draws replies and minimises it."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distiller.algorithm.course import Batch, Course
from distiller.algorithm.sft_module import sft_loss
from distiller.engine.decoding import Draft, write
from distiller.engine.option_scoring import OptionBatch
from distiller.engine.option_tree import OptionTree
from distiller.student.base import Classroom

#: Keeps advantages finite where all replies of a group are worth nearly the same.
EPSILON = 1e-4


def group_advantages(values: Tensor, scaled: bool) -> Tensor:
    """How much more each reply of a group is worth than the mean of the group, [groups, samples], mean 0.

    values: rewards, [groups, samples], at least two samples. scaled: divide by the group's standard deviation (of a sample).
    """
    apart = values - values.mean(dim=1, keepdim=True)
    return apart / (values.std(dim=1, keepdim=True) + EPSILON) if scaled else apart


def grpo_token_loss(
    log_p: Tensor, drawn: Tensor, reference: Tensor | None, advantages: Tensor, beta: float, clip: float
) -> Tensor:
    """Loss of each token, [..., steps]: -min(r A, clamp(r, 1 - clip, 1 + clip) A) + beta r (e^d - d - 1).

    r is the ratio of the token's probability to that when it was drawn, d = reference - log_p. With r before it, the
    gradient of the last term is in expectation that of the divergence KL(student, reference), which without it it is not.
    log_p, drawn, reference: log-probabilities of the tokens by the student, when they were drawn, and by the reference (None:
    without its term), [..., steps]. advantages: of each reply, [...].
    """
    ratio = torch.exp(log_p - drawn)
    advantage = advantages[..., None]
    loss = -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    if reference is not None:
        apart = reference - log_p
        loss = loss + beta * ratio * (torch.exp(apart) - apart - 1)
    return loss


def reply_losses(token_losses: Tensor, there: Tensor, longest: int | None) -> Tensor:
    """Loss of each reply, [...]: the mean over its tokens, or their sum divided by the longest length, the same for all.

    token_losses: [..., steps]. there: whether a reply has a token, [..., steps]. longest: None takes the mean.
    """
    total = (token_losses * there).sum(dim=-1)
    return total / (there.sum(dim=-1).clamp(min=1) if longest is None else longest)


@dataclass(frozen=True)
class Rollout:
    """Replies drawn to the prompts of a batch; equal replies to a prompt are one, with a share.

    fields: of an `OptionBatch`, the distinct replies being its options. share: of the samples, [batch, replies], 0 for
    padding. advantages: [batch, replies]. reference: log-probabilities of the tokens by the reference, [batch, replies, steps];
    drawn: likewise by the student that drew them, None before its first step.
    """

    fields: Batch
    share: Tensor
    advantages: Tensor
    reference: Tensor | None
    drawn: Tensor | None = None


class GRPOCourse(Course):
    """Draws replies, rewards them, and steps; on unseen queries, the probability of a wrong or ill-formed reply is to be small.

    That probability needs no draws: one minus that of writing exactly the teacher's answer. `rewards` has the mean reward
    of each epoch's replies.
    """

    def __init__(
        self,
        classroom: Classroom,
        reward: Callable[[str, bool, np.ndarray], float],
        *,
        samples: int,
        reply_tokens: int,
        unbiased: bool = False,
        beta: float = 0.04,
        clip: float = 0.2,
        iterations: int = 1,
    ):
        """reward: of a reply's text, whether its turn ended, and the target of options 0..k; else as in `grpo.GRPO`."""

        def repeated(epoch: int) -> Iterator[dict[str, Any]]:
            for batch in classroom.batches(epoch):
                for _ in range(iterations):
                    yield batch

        super().__init__(replace(classroom, batches=repeated, steps=classroom.steps * iterations), sft_loss)
        self.reward, self.samples, self.reply_tokens = reward, samples, reply_tokens
        self.unbiased, self.beta, self.clip, self.iterations = unbiased, beta, clip, iterations
        self.rewards: list[float] = []
        self._means: list[Tensor] = []
        self._rollout: Rollout | None = None

    def losses(self, batch: Batch) -> Tensor:
        if self._rollout is None or self.global_step % self.iterations == 0:
            self._rollout = self.rollout(batch, self.global_step)
        log_p = self.model.step_log_probabilities(self._rollout.fields)
        if self._rollout.drawn is None:
            self._rollout = replace(self._rollout, drawn=log_p.detach())
        return self.rollout_losses(log_p, self._rollout)

    def unseen_losses(self, log_probabilities: Tensor, batch: Batch) -> Tensor:
        return 1 - (batch["target"] * log_probabilities.exp()).sum(dim=-1)

    def on_validation_epoch_end(self) -> None:
        if self._means:
            self.rewards.append(float(self.over_ranks(self.stacked(self._means)).mean()))
            self._means.clear()
        super().on_validation_epoch_end()

    @property
    def pausable(self) -> bool:
        return self.global_step % self.iterations == 0  # the next step draws replies of its own

    def state(self) -> dict[str, Any]:
        return {**super().state(), "rewards": self.rewards, "means": self.over_ranks(self.stacked(self._means))}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.rewards = state["rewards"]
        self._means = self.shares_of(state["means"])

    def rollout_losses(self, log_p: Tensor, rollout: Rollout) -> Tensor:
        """Loss of each prompt, [batch]: the mean over its samples. log_p: of the replies' tokens, now."""
        drawn = log_p.detach() if rollout.drawn is None else rollout.drawn
        tokens = grpo_token_loss(log_p, drawn, rollout.reference, rollout.advantages, self.beta, self.clip)
        longest = self.reply_tokens if self.unbiased else None
        replies = reply_losses(tokens, rollout.fields["step_node"] >= 0, longest)
        return (replies * rollout.share).sum(dim=-1)

    def rollout(self, batch: Batch, step: int) -> Rollout:
        """Replies to the prompts of a batch with their advantages; the draws follow from seed and step."""
        device = batch["nodes"].device
        prompts = prompts_of(batch)
        rows = batch.get("row", torch.arange(len(prompts)))
        written = self._written(prompts, step, rows.cpu().numpy())
        worth, groups = [], []
        for row, replies in enumerate(written):
            target = batch["target"][row, : int(batch["n_options"][row]) + 1].cpu().numpy()
            worth.append([self._worth(tokens, target) for tokens in replies])
            groups.append(Counter(replies))
        values = torch.tensor(worth)
        self._means.append(self.mean(values.mean(dim=1).to(device), batch))
        scaled = group_advantages(values, not self.unbiased)
        width = max(map(len, groups))
        share, advantages = torch.zeros(len(groups), width), torch.zeros(len(groups), width)
        for row, (counted, replies) in enumerate(zip(groups, written, strict=True)):
            for place, (reply, count) in enumerate(counted.items()):
                share[row, place] = count / self.samples
                advantages[row, place] = scaled[row, replies.index(reply)]
        trees = [OptionTree.of(list(counted)) for counted in groups]
        options = OptionBatch.of(prompts, trees, self.model.padding).to(device)
        fields = {name: getattr(options, name) for name in OptionBatch.__dataclass_fields__}
        reference = None
        if self.beta:
            with self.model.reference():
                reference = self.model.step_log_probabilities(fields)
        return Rollout(fields, share.to(device), advantages.to(device), reference)

    def _written(self, prompts: list[list[int]], step: int, rows: np.ndarray) -> list[list[tuple[int, ...]]]:
        """Tokens of the replies to each prompt, [prompts] lists of [samples], the end of the turn included if it was written.

        rows: places of the prompts in the whole batch, whose draws are the same however it is shared out.
        """
        end = self.model.tokenizer.end_of_turn
        draws = np.random.default_rng([self.classroom.seed, step]).random(
            (rows.max() + 1, self.samples, self.reply_tokens)
        )
        drafts = [
            Draft(prompt, self.reply_tokens, frozenset({end}), 1.0, draws[rows[row], sample])
            for row, prompt in enumerate(prompts)
            for sample in range(self.samples)
        ]
        with self.model.still(), self.model.computing():
            write(self.model.causal, drafts, self.model.padding)
        replies = [(*draft.tokens, end) if draft.ended else tuple(draft.tokens) for draft in drafts]
        return [replies[i : i + self.samples] for i in range(0, len(replies), self.samples)]

    def _worth(self, reply: tuple[int, ...], target: np.ndarray) -> float:
        ended = reply[-1] == self.model.tokenizer.end_of_turn
        text = self.model.tokenizer.tokenizer.decode(list(reply[:-1] if ended else reply))
        return self.reward(text, ended, target)


def prompts_of(batch: Batch) -> list[list[int]]:
    """The prompts of a batch as tokens, without their options."""
    return [
        [*tokens[:length].tolist(), int(last)]
        for tokens, length, last in zip(
            batch["prompts"], batch["lengths"].tolist(), batch["nodes"][:, 0].tolist(), strict=True
        )
    ]
