"""Ask for the evidence about every option, once the answers are known."""

from typing import ClassVar, Literal

from distiller.artifacts import Parse
from distiller.config import component
from distiller.elicitation.asking import Asking
from distiller.elicitation.base import Elicitation, Reading
from distiller.elicitation.label import Label
from distiller.elicitation.replies import FAILED, bracketed, storable


@component
class Justify(Asking):
    """k + 1 prompts for each query, one about each option ("none" is option 0): which evidence speaks for and against it?

    The reference tells the model that the option is right and asks why, also where it is wrong, and gets reasons made up
    for it, or contradiction. Here the option is only put up for discussion. The reply is plain text, kept as it comes.

    answers: how the answers themselves are got first, one prompt for each query: as `label` with reply=`generate` or
    `score`. structured: hold these to a number, where the engine can.

    Source: the justifications of the paper, of which the one of the answer explains it and the others serve preference
    training.
    """

    ANSWERS: ClassVar[bool] = False
    EXPLAINS: ClassVar[bool] = True
    INSTRUCTION: ClassVar[str] = (
        "A record is given, and numbered candidate records of which at most one describes the same real-world entity."
    )
    # Tokens of the 13,666 recorded justifications: 5th percentile, median, 99th percentile.
    LENGTHS: ClassVar[tuple[float, float, float]] = (55.0, 105.0, 220.0)

    structured: bool = True
    answers: Literal["generate", "score"] = "generate"

    def answering(self) -> Elicitation:
        return Label(
            serialization=self.serialization,
            order=self.order,
            seed=self.seed,
            prompt_tokens=self.prompt_tokens,
            temperature=0.0 if self.answers == "score" else self.temperature,
            structured=self.structured,
            reply=self.answers,
        )

    def closings(self, n_options: int) -> list[tuple[int | None, str]]:
        return [(about, _closing(about)) for about in range(n_options + 1)]

    def draws(self) -> bool:
        return self.answering().draws()

    def read(self, text: str | None, n_options: int) -> Reading:
        """The rationale, EXACT for any text with a word in it; there is no choice."""
        if text is None or not text.strip():
            return FAILED
        return Reading(-1, Parse.EXACT, storable(text))

    def write(self, reading: Reading) -> str:
        if not (reading.rationale and reading.rationale.strip()):
            raise ValueError("a justification without a rationale has no text")
        return reading.rationale

    def expected_tokens(self, n_options: int) -> tuple[float, float, float]:
        low, middle, high = (min(length, float(self.reply_tokens)) for length in self.LENGTHS)
        return low, middle, high


def _closing(about: int) -> str:
    what = f"candidate {about} describes" if about else "none of the candidates describes"
    return (
        f"\n\nConsider the answer {bracketed(about)}: {what} the same entity as the given record. Which values of the records "
        "speak for this answer and which against it? Name them and weigh them up in two or three sentences; do not defend "
        "the answer if the records contradict it."
    )
