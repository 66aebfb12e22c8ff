"""What a teacher said about the options of its queries, ready to be learnt in any order of the candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

from distiller.artifacts import AnswerSet
from distiller.rationale.numbering import renumbered


@dataclass(frozen=True)
class Reasons:
    """What was said about the options of one query.

    options: candidate ids in the order in which the texts number them, [k]. texts: about each option, "none" first, [k + 1];
    None where nothing was said.
    """

    options: tuple[int, ...]
    texts: tuple[str | None, ...]

    def shown(self, options: Sequence[int]) -> list[str | None]:
        """The texts about the same candidates in this order, "none" first, [k + 1]; they name candidates by its numbers."""
        old = {candidate: number for number, candidate in enumerate(self.options, 1)}
        numbers = {old[candidate]: number for number, candidate in enumerate(options, 1)}
        texts = [self.texts[0], *(self.texts[old[candidate]] for candidate in options)]
        return [text and renumbered(text, numbers) for text in texts]


def reasons_of(answers: AnswerSet) -> dict[int, Reasons]:
    """What was said about each query, by its id; queries about which nothing was said are left out.

    The option chosen has the answer's rationale, every other its justification where there is one. Blank texts and those of
    answers that could not be read are nothing.
    """
    columns = ("query_id", "options", "choice", "rationale", "justifications")
    found: dict[int, Reasons] = {}
    for query, options, choice, rationale, justifications in zip(
        *(answers.table[name].to_pylist() for name in columns), strict=True
    ):
        texts = list(justifications or [None] * (len(options) + 1))
        if choice is None:
            continue
        texts[choice] = rationale or texts[choice]
        said = tuple(text.strip() or None if text else None for text in texts)
        if any(said):
            found[query] = Reasons(tuple(options), said)
    return found
