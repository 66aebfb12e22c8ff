"""From the replies of a language model to answers: one per query, whatever order the candidates were shown in."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet, Parse
from distiller.elicitation.base import Elicitation, Prompt, Reading
from distiller.engine.base import Reply
from distiller.task import Task


@dataclass(frozen=True)
class Opinion:
    """One reply as an opinion about the options of its query, in the order shown.

    distribution: probabilities of options 0..k, or None where the reply gives only its choice.
    """

    prompt: Prompt
    reply: Reply
    reading: Reading
    distribution: np.ndarray | None

    @property
    def probabilities(self) -> np.ndarray:
        """Its distribution, or all mass on its choice, [k + 1]."""
        return (
            np.eye(len(self.prompt.options) + 1)[self.reading.choice]
            if self.distribution is None
            else self.distribution
        )


def opinion(elicitation: Elicitation, prompt: Prompt, reply: Reply) -> Opinion:
    """What one reply says.

    Scores become the probabilities of the options among themselves. A stated confidence is the probability of the choice;
    the rest is spread evenly over the other options, but the choice stays the most probable one.
    """
    k = len(prompt.options)
    if reply.scores is not None:
        scores = np.array(reply.scores)
        distribution = np.exp(scores - scores.max())
        choice = int(scores.argmax())
        return Opinion(prompt, reply, Reading(choice, Parse.EXACT), distribution / distribution.sum())
    reading = elicitation.read(reply.text, k)
    if reading.choice < 0 or reading.confidence is None:
        return Opinion(prompt, reply, reading, None)
    sure = max(reading.confidence, 1 / (k + 1))
    distribution = np.full(k + 1, (1 - sure) / k)
    distribution[reading.choice] = sure
    return Opinion(prompt, reply, reading, distribution)


def answer_set(
    source: str, task: Task, elicitation: Elicitation, prompts: Sequence[Prompt], replies: Sequence[Reply | None]
) -> AnswerSet:
    """One answer per query that got any reply.

    Several readable replies to one query (orders, samples) are averaged over the candidates they mean; among options that
    are equally probable then, the one that an earlier reply chose wins. Rationale and text are those of the first reply
    that chose the winner. A query without a readable reply is a failed answer.
    """
    by_query: dict[int, list[Opinion]] = defaultdict(list)
    for prompt, reply in zip(prompts, replies, strict=True):
        if reply is not None:
            by_query[prompt.query_id].append(opinion(elicitation, prompt, reply))
    rows = [_row(source, given) for _, given in sorted(by_query.items())]
    return AnswerSet(pa.Table.from_pylist(rows, AnswerSet.SCHEMA))


def _row(source: str, given: list[Opinion]) -> dict[str, object]:
    readable = [each for each in given if each.reading.choice >= 0]
    first = readable[0] if readable else given[0]
    options = first.prompt.options
    distribution = None
    choice: int | None = None
    kept = first
    if readable:
        mean = np.mean([_reordered(each, options) for each in readable], axis=0)
        best = np.flatnonzero(mean >= mean.max() - 1e-9)
        choices = [_renumbered(each, options) for each in readable]
        choice = next((c for c in choices if c in best), int(best[0]))
        kept = next((each for each, c in zip(readable, choices, strict=True) if c == choice), first)
        if len(readable) > 1 or kept.distribution is not None:
            distribution = mean
    confidences = [each.reading.confidence for each in readable if each.reading.confidence is not None]
    return {
        "query_id": first.prompt.query_id,
        "source": source,
        "options": list(options),
        "choice": choice,
        "distribution": None if distribution is None else distribution.tolist(),
        "rationale": kept.reading.rationale,
        "justifications": None,
        "confidence": float(np.mean(confidences)) if confidences else None,
        "parse": kept.reading.parse if readable else Parse.FAILED,
        "text": kept.reply.text,
        "tokens_in": sum(each.reply.tokens_in for each in given),
        "tokens_out": sum(each.reply.tokens_out for each in given),
        "seconds": sum(each.reply.seconds for each in given),
    }


def _reordered(given: Opinion, options: tuple[int, ...]) -> np.ndarray:
    """Its probabilities in another order of the same candidates, [k + 1]."""
    places = {candidate: i for i, candidate in enumerate(given.prompt.options, 1)}
    return given.probabilities[[0, *(places[candidate] for candidate in options)]]


def _renumbered(given: Opinion, options: tuple[int, ...]) -> int:
    """Its choice in another order of the same candidates."""
    choice = given.reading.choice
    return options.index(given.prompt.options[choice - 1]) + 1 if choice else 0


def with_justifications(
    answers: AnswerSet, elicitation: Elicitation, prompts: Sequence[Prompt], replies: Sequence[Reply | None]
) -> AnswerSet:
    """The same answers with a justification of every option, in the order the answer has them.

    The justification of the choice becomes the rationale. An option whose justification did not come is left empty; tokens
    and seconds of the justifications are added to those of the answer.
    """
    texts: dict[tuple[int, int], str | None] = {}
    spent: dict[int, list[Reply]] = defaultdict(list)
    for prompt, reply in zip(prompts, replies, strict=True):
        if reply is None:
            continue
        spent[prompt.query_id].append(reply)
        about = prompt.options[prompt.about - 1] if prompt.about else -1
        texts.setdefault((prompt.query_id, about), elicitation.read(reply.text, len(prompt.options)).rationale)
    rows = answers.table.to_pylist()
    for row in rows:
        query = row["query_id"]
        row["justifications"] = [texts.get((query, about)) for about in (-1, *row["options"])]
        if row["choice"] is not None:
            row["rationale"] = row["justifications"][row["choice"]]
        for reply in spent[query]:
            for name in ("tokens_in", "tokens_out", "seconds"):
                row[name] += getattr(reply, name)
    return AnswerSet(pa.Table.from_pylist(rows, AnswerSet.SCHEMA))
