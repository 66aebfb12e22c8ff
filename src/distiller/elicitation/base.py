"""How a question is put to a language model and how its reply is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from distiller.artifacts import Parse
from distiller.config import Component
from distiller.engine.base import Request
from distiller.task import Task

#: Number of tokens of each text, [n_texts].
CountTokens = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Prompt:
    """One request about one query.

    options: candidate ids in the order shown, [k]; number i of the reply means options[i - 1], 0 means "none".
    order: which of several orders of the candidates this is, from 0.
    about: the option (0..k, in the order shown) that a justification is asked for, else None.
    """

    query_id: int
    options: tuple[int, ...]
    request: Request
    order: int = 0
    about: int | None = None


@dataclass(frozen=True)
class Reading:
    """What a reply says.

    choice: 0 for "none", 1..k, or -1 where parse is FAILED. rationale: the explanation given, or None.
    confidence: the model's own probability that its answer is right, in [0, 1], or None where it gives none.
    """

    choice: int
    parse: Parse
    rationale: str | None = None
    confidence: float | None = None


class Elicitation(Component):
    """One way to ask: what is rendered into a prompt, and how the reply is read.

    ANSWERS: whether its replies are answers; if not, they justify answers got in the way of `answering()`.
    EXPLAINS: whether answers come with a rationale.
    """

    ANSWERS: ClassVar[bool] = True
    EXPLAINS: ClassVar[bool] = False

    def answering(self) -> "Elicitation":
        """The way in which the answers are asked for: this one, unless it only justifies answers."""
        return self

    def draws(self) -> bool:
        """Whether two samples of a reply can differ."""
        return False

    def prompts(self, task: Task, query_ids: np.ndarray, count: CountTokens | None = None) -> list[Prompt]:
        """Prompts for these queries (ids ascending, all with candidates), all prompts of one query next to each other.

        count: counts tokens where the model's tokenizer is at hand; None falls back on an estimate from characters.

        Raises:
            DistillerError: a prompt cannot be made short enough without losing the query, an option or the answer.
        """
        raise NotImplementedError

    def read(self, text: str | None, n_options: int) -> Reading:
        """What the reply to a prompt about `n_options` candidates says; FAILED for what cannot be read, never a guess."""
        raise NotImplementedError

    def write(self, reading: Reading) -> str:
        """The reply, as text, that a model should have written to say this; `read` gives the reading back."""
        raise NotImplementedError

    def expected_tokens(self, n_options: int) -> tuple[float, float, float]:
        """Tokens of one reply about `n_options` candidates before any was seen: low, middle and high estimate."""
        raise NotImplementedError
