"""The reply that a student is taught: its answer, told in its first tokens, and perhaps a rationale after it.

All that tells the answers apart comes first, so that they are scored without a word of a rationale being written.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from distiller.artifacts import AnswerSet, Parse
from distiller.config import DistillerError
from distiller.elicitation.asking import Answering
from distiller.elicitation.base import Prompt, Reading
from distiller.elicitation.explain import Explain
from distiller.elicitation.label import Label
from distiller.elicitation.replies import bracketed
from distiller.engine.base import Reply, Request

if TYPE_CHECKING:
    from distiller.engine.local_model import LocalModel


def learnable(elicitation: object) -> bool:
    """Whether a student can be asked like this: for a bare number, or for a number with a rationale after it."""
    return type(elicitation) in (Label, Explain)


def explains(elicitation: Answering) -> bool:
    """Whether a reply holds a rationale."""
    return isinstance(elicitation, Explain)


def opening(elicitation: Answering, choice: int) -> str:
    """The beginning of every reply that chooses this option, up to where a rationale goes on; the whole of a bare number."""
    if not explains(elicitation):
        return elicitation.write(Reading(choice, Parse.EXACT))
    return json.dumps({"answer": bracketed(choice)}).removesuffix("}") + ","


def reply_of(elicitation: Answering, choice: int, rationale: str | None) -> str:
    """What is learnt to be written for an option: the whole reply, or its opening where there is nothing to say about it."""
    if rationale is None or not explains(elicitation):
        return opening(elicitation, choice)
    return elicitation.write(Reading(choice, Parse.EXACT, rationale))


def scored(elicitation: Answering, prompt: Prompt) -> Request:
    """The request that has the options of an explaining student scored, by the openings of its replies."""
    options = tuple(opening(elicitation, choice) for choice in range(len(prompt.options) + 1))
    return Request(prompt.request.messages, mode="score", options=options, max_tokens=1)


def with_rationales(
    answers: AnswerSet, elicitation: Answering, prompts: Sequence[Prompt], model: "LocalModel"
) -> AnswerSet:
    """The same answers, each with the rationale that the model writes after it.

    A reply goes on from its answer, in the first of the prompts about its query, to the end of the turn or to
    `reply_tokens`. What was written is in `text`. Tokens and seconds are added. A rationale that cannot be read is null.

    Raises:
        DistillerError: the chat template does not let a reply go on from its first words, or a reply failed.
    """
    first: dict[int, Prompt] = {}
    for prompt in prompts:
        first.setdefault(prompt.query_id, prompt)
    rows = answers.table.to_pylist()
    begun = [opening(elicitation, row["choice"]) for row in rows]
    requests: list[Request] = []
    for row, start in zip(rows, begun, strict=True):
        prompt = first[row["query_id"]]
        assert list(prompt.options) == row["options"]
        messages = (*prompt.request.messages, ("assistant", start))
        if not requests and model.tokenizer.prompt(messages) != model.tokenizer.prompt(prompt.request.messages) + start:
            raise DistillerError(
                f"the chat template of {model.name} does not let a reply go on from its first words, so that no rationale can "
                "follow an answer; set student.rationales=false"
            )
        (told,) = model.text_tokens([start])
        requests.append(replace(prompt.request, messages=messages, max_tokens=max(1, prompt.request.max_tokens - told)))
    written: dict[int, Reply] = dict(model.replies(enumerate(requests)))
    for number, (row, start) in enumerate(zip(rows, begun, strict=True)):
        own = written[number]
        if own.text is None:
            raise DistillerError(f"{model.name} cannot explain its answer to query {row['query_id']}: {own.error}")
        row["text"] = start + own.text
        row["rationale"] = elicitation.read(row["text"], len(row["options"])).rationale
        row["tokens_in"] += own.tokens_in
        row["tokens_out"] += own.tokens_out
        row["seconds"] += own.seconds
    return AnswerSet(pa.Table.from_pylist(rows, AnswerSet.SCHEMA))
