"""Log-probabilities of replies in the two parts that they can have: an answer, and a rationale after it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Replies:
    """What a model says of the replies to a batch of prompts, one for each option.

    answers: log-probability of each answer, [batch, options], -inf where a query has fewer options. rationales: of the
    rationale with the end of its turn, given the answer, [batch, options], 0 where there is none. tokens: of the rationale,
    [batch, options].
    """

    answers: Tensor
    rationales: Tensor
    tokens: Tensor

    @property
    def whole(self) -> Tensor:
        """Log-probability of each reply, [batch, options], -inf where a query has fewer options."""
        return self.answers + self.rationales

    def rationale_losses(self, target: Tensor) -> Tensor:
        """Mean loss of a token of the rationale of the most probable option, [batch], >= 0, 0 where it has none.

        target: [batch, options].
        """
        chosen = target.argmax(dim=-1, keepdim=True)
        return -(self.rationales / self.tokens.clamp(min=1)).gather(1, chosen)[:, 0]
