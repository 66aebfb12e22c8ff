"""The losses of direct preference optimisation and the Lightning module that minimises them over all options at once."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from distiller.algorithm.course import Batch, Course
from distiller.algorithm.sft_module import sft_loss
from distiller.student.base import Classroom

Form = Literal["sigmoid", "robust", "ipo"]


def dpo_loss(chosen: Tensor, rejected: Tensor, form: Form, beta: float, smoothing: float = 0.0) -> Tensor:
    """Loss of each pair of answers, of the inputs' shape.

    With m the margin chosen - rejected and s the logistic function:
    `sigmoid` is -(1 - e) log s(beta m) - e log s(-beta m), e being the smoothing; >= 0.
    `robust` is (-(1 - e) log s(beta m) + e log s(-beta m)) / (1 - 2 e), the mean of `sigmoid` without smoothing if a share e
    of the preferences is the wrong way round.
    `ipo` is (m - 1 / (2 beta))^2; >= 0.

    chosen, rejected: log of how much more probable the student holds an answer than the reference does. beta: above 0.

    Source: Rafailov et al. 2023 (sigmoid), Mitchell 2023 (its smoothing), Chowdhury et al. 2024 (robust), Azar et al. 2024.
    """
    margin = chosen - rejected
    if form == "ipo":
        return (margin - 1 / (2 * beta)) ** 2
    right, wrong = F.logsigmoid(beta * margin), F.logsigmoid(-beta * margin)
    if form == "robust":
        return -((1 - smoothing) * right - smoothing * wrong) / (1 - 2 * smoothing)
    return -(1 - smoothing) * right - smoothing * wrong


def preference_losses(
    log_p: Tensor,
    start: Tensor,
    target: Tensor,
    tokens: Tensor,
    form: Form = "sigmoid",
    beta: float = 0.1,
    smoothing: float = 0.0,
    length_normalised: bool = False,
    anchor: float = 0.0,
    chosen_loss: Tensor | None = None,
) -> Tensor:
    """Mean loss over the pairs of each query, [batch], and `anchor` times the loss of the chosen reply.

    log_p, start: log-probabilities of the replies by the student and by the reference, [batch, options], -inf where there is
    none; at least two in each row. target: [batch, options], its largest entry is the chosen option. tokens: of each reply,
    [batch, options]; by them the log-probabilities are divided if `length_normalised`. chosen_loss: what the anchor
    weighs, [batch]; minus the log-probability of the chosen reply unless told.
    """
    there = torch.isfinite(start)
    gain = log_p.masked_fill(~there, 0.0) - start.masked_fill(~there, 0.0)
    if length_normalised:
        gain = gain / tokens.clamp(min=1)
    best = target.argmax(dim=-1, keepdim=True)
    rejected = there.scatter(1, best, False)
    pairs = dpo_loss(gain.gather(1, best), gain, form, beta, smoothing)
    mean = (pairs * rejected).sum(dim=-1) / rejected.sum(dim=-1)
    if not anchor:
        return mean
    return mean + anchor * (-log_p.gather(1, best)[:, 0] if chosen_loss is None else chosen_loss)


class DPOCourse(Course):
    """The teacher's reply is preferred to that of each other option, whose mean loss is that of the query.

    A reply is an answer, or an answer and the rationale given for it. The anchor weighs the same loss as `sft` has.
    preference: as `preference_losses`, from its first four arguments and `chosen_loss`.
    """

    def __init__(self, classroom: Classroom, preference: Callable[..., Tensor]):
        super().__init__(classroom, sft_loss)
        self.preference = preference

    def losses(self, batch: Batch) -> Tensor:
        return self.judged(batch)[1]

    def judged(self, batch: Batch) -> tuple[Tensor, Tensor]:
        said, target = self.model.replies(batch), batch["target"]
        with self.model.reference():
            start = self.model.replies(batch).whole
        tokens = (batch["step_node"] >= 0).sum(dim=-1)
        chosen = said.answers.gather(1, target.argmax(dim=-1, keepdim=True))[:, 0]
        supervised = said.rationale_losses(target) - chosen
        return said.answers, self.preference(said.whole, start, target, tokens, chosen_loss=supervised)
