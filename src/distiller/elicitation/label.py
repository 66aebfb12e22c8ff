"""Ask for the number of the matching candidate and nothing else."""

from typing import ClassVar, Literal

from pydantic import model_validator

from distiller.config import component
from distiller.elicitation.asking import Answering
from distiller.elicitation.base import Reading
from distiller.elicitation.replies import bracketed, read_bracketed
from distiller.engine.base import Request


@component
class Label(Answering):
    """The reply asked for is "[n]", n = 0 for "none of them": what a student is trained to write is what it is asked for.

    reply: `generate` has the model write it; `score` takes the log-probabilities of all options instead, which gives a
    distribution and leaves nothing to read. Then `structured`, `temperature` and `reply_tokens` have no part in it.
    """

    CLOSING: ClassVar[str] = (
        "\n\nReply with the number of that candidate in square brackets, or with [0] if none of the candidates describes "
        "the same entity. Write nothing else."
    )

    reply_tokens: int = 8
    reply: Literal["generate", "score"] = "generate"

    @model_validator(mode="after")
    def _scores_are_not_drawn(self) -> "Label":
        if self.reply == "score" and self.temperature > 0:
            raise ValueError(
                f"reply=score draws nothing, so temperature={self.temperature:g} has no effect; set temperature=0 or "
                "reply=generate"
            )
        return self

    def closings(self, n_options: int) -> list[tuple[int | None, str]]:
        return [(None, self.CLOSING)]

    def request(self, messages: tuple[tuple[str, str], ...], n_options: int) -> Request:
        options = tuple(bracketed(choice) for choice in range(n_options + 1))
        if self.reply == "score":
            return Request(messages, mode="score", options=options, max_tokens=1)
        held = options if self.structured else ()
        return Request(messages, options=held, max_tokens=self.reply_tokens, temperature=self.temperature)

    def read(self, text: str | None, n_options: int) -> Reading:
        return read_bracketed(text, n_options)

    def write(self, reading: Reading) -> str:
        if reading.choice < 0:
            raise ValueError("a failed reading has no text")
        return bracketed(reading.choice)

    def expected_tokens(self, n_options: int) -> tuple[float, float, float]:
        if self.reply == "score":
            return 0.0, 1.0, 1.0  # a server that gives scores only of what it writes writes one token
        longest = float(self.reply_tokens)
        return min(3.0, longest), min(4.0, longest), longest  # "[", digits, "]", and an end that some models write
