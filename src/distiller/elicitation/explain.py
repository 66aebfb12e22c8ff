"""Ask for the matching candidate and the reason."""

import json
from typing import Any, ClassVar

from distiller.config import component
from distiller.elicitation.asking import Answering
from distiller.elicitation.base import Reading
from distiller.elicitation.replies import bracketed, read_object
from distiller.engine.base import Request


@component
class Explain(Answering):
    """The reply asked for is one JSON object: {"answer": "[n]", "explanation": "..."}, n = 0 for "none of them".

    The answer comes first: a reply that is cut off loses only part of its explanation, an answer can be scored without
    decoding, and a student's answer costs no more tokens than a bare number. The explanation is then a reason given for
    the answer, not a path to it; `confidence` asks in the same order.
    """

    EXPLAINS: ClassVar[bool] = True
    FIELDS: ClassVar[tuple[str, ...]] = ("answer", "explanation")
    FORMAT: ClassVar[str] = '{"answer": "[n]", "explanation": "..."}'
    MEANING: ClassVar[str] = ""
    # Tokens of the 33,960 recorded explanations of three teachers: 5th percentile, median, 99th percentile.
    LENGTHS: ClassVar[tuple[float, float, float]] = (30.0, 65.0, 160.0)

    def closings(self, n_options: int) -> list[tuple[int | None, str]]:
        closing = (
            f"\n\nReply with one JSON object and nothing else: {self.FORMAT}. Here n is the number of that candidate, or 0 if "
            f"none of the candidates describes the same entity; {self.MEANING}the explanation says briefly which values of "
            "the records decide it."
        )
        return [(None, closing)]

    def request(self, messages: tuple[tuple[str, str], ...], n_options: int) -> Request:
        schema = json.dumps(self.schema(n_options), sort_keys=True) if self.structured else None
        return Request(messages, schema=schema, max_tokens=self.reply_tokens, temperature=self.temperature)

    def schema(self, n_options: int) -> dict[str, Any]:
        """JSON Schema of the reply; engines write its fields in this order, which is also that of their names."""
        properties: dict[str, Any] = {
            "answer": {"enum": [bracketed(choice) for choice in range(n_options + 1)], "type": "string"},
            "confidence": {"maximum": 1, "minimum": 0, "type": "number"},
            "explanation": {"type": "string"},
        }
        asked = {name: properties[name] for name in self.FIELDS}
        return {"additionalProperties": False, "properties": asked, "required": list(asked), "type": "object"}

    def read(self, text: str | None, n_options: int) -> Reading:
        return read_object(text, n_options, self.FIELDS)

    def write(self, reading: Reading) -> str:
        if reading.choice < 0:
            raise ValueError("a failed reading has no text")
        said = {"answer": bracketed(reading.choice), "confidence": reading.confidence, "explanation": reading.rationale}
        return json.dumps({name: said[name] for name in self.FIELDS}, ensure_ascii=False)

    def expected_tokens(self, n_options: int) -> tuple[float, float, float]:
        low, middle, high = (min(length, float(self.reply_tokens)) for length in self.LENGTHS)
        return low, middle, high
