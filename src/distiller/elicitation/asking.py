"""Render queries into prompts: what all ways of asking share."""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from distiller.config import component
from distiller.elicitation.base import CountTokens, Elicitation, Prompt
from distiller.elicitation.length import Draft, caps, estimated
from distiller.elicitation.order import Order, orders
from distiller.elicitation.serialization import Form, fields_of
from distiller.engine.base import Request
from distiller.task import Task

SYSTEM = (
    "You are an expert in entity resolution: you judge whether records from different sources describe the same "
    "real-world entity."
)


@component
class Asking(Elicitation):
    """A prompt shows the given record, then its candidates one a line, numbered "[1]", "[2]", ..., then what to reply.

    The records come first, so that prompts which differ only in what they ask about them share their beginning.

    serialization: `tagged` names each attribute, `plain` gives the values alone, so that the model needs no schema.
    order, seed: see `order.orders`; the seed is that of `shuffled`.
    prompt_tokens: limit of a prompt; see `length.caps` for what gives way.
    reply_tokens: longest reply. temperature: 0 takes the most probable token each time.
    """

    INSTRUCTION: ClassVar[str]

    serialization: Form = "tagged"
    order: Order = "shuffled"
    seed: int = 1924
    prompt_tokens: Annotated[int, Field(ge=64)] = 4096
    reply_tokens: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(ge=0)] = 0.0

    def prompts(self, task: Task, query_ids: np.ndarray, count: CountTokens | None = None) -> list[Prompt]:
        rows, offsets = task.candidates.of(query_ids)
        shown = task.candidates.candidate_ids[rows]
        queries = fields_of(task.records.queries, query_ids)
        candidates = fields_of(task.records.candidates, shown)
        drafts: list[Draft] = []
        closings: dict[int, str] = {}
        shown_as: list[tuple[int, tuple[int, ...]]] = []
        opening, between = f"{self.INSTRUCTION}\n\nGiven record: ", "\n\nCandidate records:"
        for query, begin, end in zip(query_ids.tolist(), offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            longest = self._longest_closing(end - begin, closings, count)
            own = tuple(shown[begin:end].tolist())
            for number, ordered in enumerate(orders(self.order, self.seed, query, own, self.n_orders())):
                records = tuple(candidates[c] for c in ordered)
                drafts.append(Draft(query, SYSTEM, opening, queries[query], between, records, longest))
                shown_as.append((number, ordered))
        made: list[Prompt] = []
        most = caps(drafts, self.serialization, self.prompt_tokens, count, task.name)
        for draft, (number, ordered), cap in zip(drafts, shown_as, most, strict=True):
            text = draft.records(self.serialization, cap)
            for about, closing in self.closings(len(ordered)):
                request = self.request((("system", SYSTEM), ("user", text + closing)), len(ordered))
                made.append(Prompt(draft.query_id, ordered, request, number, about))
        return made

    def _longest_closing(self, n_options: int, known: dict[int, str], count: CountTokens | None) -> str:
        if n_options not in known:
            texts = [text for _, text in self.closings(n_options)]
            known[n_options] = texts[int(np.argmax((count or estimated)(texts)))]
        return known[n_options]

    def n_orders(self) -> int:
        """In how many orders the candidates are shown, each in a prompt of its own; fewer where there are not so many."""
        return 1

    def closings(self, n_options: int) -> list[tuple[int | None, str]]:
        """What follows the records, one text for each prompt, with the option that the prompt is about."""
        raise NotImplementedError

    def request(self, messages: tuple[tuple[str, str], ...], n_options: int) -> Request:
        """The request with these messages about so many candidates."""
        return Request(messages, max_tokens=self.reply_tokens, temperature=self.temperature)

    def draws(self) -> bool:
        return self.temperature > 0


@component
class Answering(Asking):
    """Asks which candidate is the match, if any.

    orders: in how many orders the candidates are shown, each in a prompt of its own, against position bias; the answers are
    averaged. A query with fewer orders than that, such as one with a single candidate, is asked in all it has.
    structured: hold replies to the format asked for, where the engine can.
    """

    INSTRUCTION: ClassVar[str] = (
        "Which of the numbered candidate records describes the same real-world entity as the given record? At most one of "
        "them does."
    )

    orders: Annotated[int, Field(ge=1)] = 1
    structured: bool = True

    def n_orders(self) -> int:
        return self.orders
