"""Ask for the matching candidate, how sure the model is, and the reason."""

from typing import ClassVar

from distiller.config import component
from distiller.elicitation.explain import Explain


@component
class Confidence(Explain):
    """The reply asked for is one JSON object: {"answer": "[n]", "confidence": p, "explanation": "..."}.

    confidence: the probability that the answer is right, as the model itself states it, in [0, 1].

    Source: verbalized confidence, Tian et al. 2023.
    """

    FIELDS: ClassVar[tuple[str, ...]] = ("answer", "confidence", "explanation")
    FORMAT: ClassVar[str] = '{"answer": "[n]", "confidence": p, "explanation": "..."}'
    MEANING: ClassVar[str] = "p, from 0 to 1, is the probability that this answer is right; "
    LENGTHS: ClassVar[tuple[float, float, float]] = (38.0, 73.0, 168.0)  # as `explain`, and eight tokens for one number
