"""A language model as teacher: every query is put to it once, or several times, and its replies are read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from distiller.artifacts import AnswerSet
from distiller.budget import BudgetSpent, Forecast, Interval, Prices, scaled, total_forecast
from distiller.config import DistillerError, component, part
from distiller.elicitation.answers import answer_set, with_justifications
from distiller.elicitation.base import Elicitation, Prompt
from distiller.engine.asking import Asked, ask, asker_of
from distiller.engine.base import Engine, Reply, Request, Tokenizer
from distiller.engine.forecast import forecast
from distiller.engine.hub import fingerprint
from distiller.engine.reply_cache import Asker, ReplyCache
from distiller.rationale.counterfactual import counterfactual, movement
from distiller.store import Store, file_sum
from distiller.task import Task
from distiller.teacher.base import Teacher

CACHE = "replies.sqlite"
#: One way of asking with its prompts.
Step = tuple[Elicitation, list[Prompt]]


@component
class LLM(Teacher):
    """A language model, run or reached by an engine, asked in the way of an elicitation.

    model: id on the hub, path of a local folder, or the name that a server knows. samples: replies drawn per prompt, which
    needs a temperature; their shares are the distribution. Replies in several orders of the candidates are averaged alike.
    A reply that cannot be read, or that the engine did not get, is a failed answer.
    counterfactual: ask again without the values that an explanation cites, and without as many others, to see whether the
    answers move (`rationale.counterfactual`); this at most triples the number of prompts. The facts say what came out.
    """

    model: str
    revision: str | None = None
    engine: Engine = part()
    elicitation: Elicitation = part()
    prices: Prices = part()
    samples: Annotated[int, Field(ge=1)] = 1
    counterfactual: bool = False

    @model_validator(mode="after")
    def _samples_differ(self) -> "LLM":
        if self.samples > 1 and not self.elicitation.draws():
            raise ValueError(
                f"samples={self.samples} would all be the same; set elicitation.temperature above 0, with reply=generate"
            )
        if self.counterfactual and not self.elicitation.EXPLAINS:
            raise ValueError(
                "counterfactual=true needs explanations to test; set elicitation@teacher.elicitation=explain, "
                "or counterfactual=false"
            )
        return self

    def label(self) -> str:
        return self.model.rstrip("/").rsplit("/", 1)[-1]

    def fingerprints(self) -> list[str]:
        own = fingerprint(self.model)
        return [*([own] if own else []), *(file_sum(path) for path in self.engine.reads(None))]

    @property
    def asker(self) -> Asker:
        """Who is asked, as the reply cache names it: weights that changed in their folder are another model."""
        asker = asker_of(self.engine, self.model, self.revision)
        files = self.fingerprints()
        return replace(asker, engine={**asker.engine, "files": files}) if files else asker

    def ready(self, store: Store) -> None:
        path = store.root / CACHE
        if path.is_file():
            with ReplyCache(path) as cache:
                if cache.knows(self.asker):
                    return  # perhaps nothing is left to ask; if something is, opening the engine says what is missing
        self.engine.check(self.model, self.revision)

    def forecast(self, task: Task, query_ids: np.ndarray) -> Forecast | None:
        """Tokens, money and seconds of what no earlier run has asked of these queries.

        Justifications are counted in where the elicitation asks for them. The counterfactual question may be asked of none
        to all of the answers.
        """
        with ReplyCache(task.store.root / CACHE) as cache:
            tokenizer = self._tokenizer(cache)
            return self._expected(cache, tokenizer, self._steps(task, query_ids, tokenizer))

    def _expected(self, cache: ReplyCache, tokenizer: Tokenizer | None, steps: list[Step]) -> Forecast | None:
        each = [self._forecast(cache, tokenizer, *step, known=True) for step in steps]
        if self.counterfactual:
            again = [self._forecast(cache, tokenizer, *step, known=False) for step in steps]
            each += [scaled(one, (0.0, 0.75, 1.0)) for one in again for _ in range(2)]
        return total_forecast(each)

    def annotate(self, task: Task, query_ids: np.ndarray, gold: pa.Table | None = None) -> AnswerSet:
        with ReplyCache(task.store.root / CACHE) as cache:
            tokenizer = self._tokenizer(cache)
            steps = self._steps(task, query_ids, tokenizer)
            expected = self._expected(cache, tokenizer, steps)
            if expected is not None and expected.asked:
                _say(f"[bold]{task.name:<15}[/] {'forecast':<13} {expected}")
            (elicitation, prompts), *more = steps
            asked = self._ask(cache, task, prompts)
            answers = answer_set(self.label(), task, elicitation, prompts, asked.replies)
            facts = self._facts(asked)
            for _, justifying in more:
                if not asked.stopped:
                    asked = self._ask(cache, task, justifying)
                    answers = with_justifications(answers, self.elicitation, justifying, asked.replies)
                    facts = _added(facts, self._facts(asked))
        if self.counterfactual:
            facts = _added(facts, again := self._moved(task, answers)) | {"counterfactual": again["counterfactual"]}
        answers.facts = facts | {"forecast": expected.as_facts() if expected else None}
        return answers

    def _moved(self, task: Task, answers: AnswerSet) -> dict[str, Any]:
        """Facts of asking again without what the explanations cite; `counterfactual` holds what `movement` found."""
        question = counterfactual(task, answers)
        plain = replace(self, counterfactual=False)
        asked = question.balanced() if len(question.balanced()) else question.query_ids
        given = [plain.annotate(changed, asked) for changed in (question.without_cited, question.without_others)]
        return _added(given[0].facts, given[1].facts) | {"counterfactual": movement(answers, *given)}

    def requests(self, task: Task, query_ids: np.ndarray) -> list[Prompt]:
        """The prompts that the answers to these queries come from, as they are put to the model, samples included.

        Without the model's tokenizer at hand, lengths are estimated from characters, as `annotate` then does.
        """
        try:
            tokenizer = self.engine.tokenizer(self.model, self.revision)
        except DistillerError:
            tokenizer = None
        return self._steps(task, query_ids, tokenizer)[0][1]

    def _tokenizer(self, cache: ReplyCache) -> Tokenizer | None:
        """The model's tokenizer, where the engine has one; a model known from its replies alone needs none."""
        try:
            return self.engine.tokenizer(self.model, self.revision)
        except DistillerError:
            if cache.knows(self.asker):
                return None
            raise

    def _steps(self, task: Task, query_ids: np.ndarray, tokenizer: Tokenizer | None) -> list[Step]:
        """The ways of asking, in order, each with its prompts: for answers, then for justifications where they are wanted."""
        count = None if tokenizer is None else tokenizer.text_tokens
        ways = [self.elicitation.answering()]
        if not self.elicitation.ANSWERS:
            ways.append(self.elicitation)
        return [
            (
                way,
                [
                    replace(prompt, request=replace(prompt.request, sample=sample))
                    for prompt in way.prompts(task, query_ids, count)
                    for sample in range(self.samples)
                ],
            )
            for way in ways
        ]

    def _forecast(
        self,
        cache: ReplyCache,
        tokenizer: Tokenizer | None,
        elicitation: Elicitation,
        prompts: Sequence[Prompt],
        known: bool,
    ) -> Forecast:
        """The forecast of these prompts; known: leave out those whose replies are in the cache."""
        expected: dict[Request, Interval] = {}
        for prompt in prompts:
            expected[prompt.request] = elicitation.expected_tokens(len(prompt.options))
        asker = self.asker
        new = [request for request in expected if not known or cache.get(asker.key(request)) is None]
        return forecast(
            new,
            len(expected),
            None if tokenizer is None else tokenizer.tokens(new),
            [expected[request] for request in new],
            cache.of_model(self.model),
            self.prices,
            self.engine.parallel(),
        )

    def _ask(self, cache: ReplyCache, task: Task, prompts: Sequence[Prompt]) -> Asked:
        requests = [prompt.request for prompt in prompts]
        ledger = task.ledger
        limits = ledger.left()
        with _progress(f"{task.name}: asking {self.label()}", len(set(requests))) as told:
            asked = ask(self.engine, self.asker, requests, cache, limits, self.prices, told)
        ledger.spend(self._facts(asked), limits.elapsed())
        if not any(reply is not None for reply in asked.replies):
            raise BudgetSpent(
                str(asked.stopped),
                f"budget.{asked.stopped} leaves nothing to ask {self.label()} about {task.name}; raise it "
                "(until=forecast tells what is needed)",
            )
        return asked

    def _facts(self, asked: Asked) -> dict[str, Any]:
        """What was spent on the replies, whenever that was."""
        replies = list({id(reply): reply for reply in asked.replies if reply is not None}.values())
        tokens = (sum(r.tokens_in for r in replies), sum(r.tokens_out for r in replies))
        failures = sum(reply.error is not None for reply in replies)
        return {
            "requests": len(replies),
            "cached": asked.cached,
            "failures": failures,
            "tokens_in": tokens[0],
            "tokens_out": tokens[1],
            "cost": self.prices.of(*tokens),
            "currency": self.prices.currency,
            "answer_seconds": sum(r.seconds for r in replies),
            "errors": sorted({reply.error for reply in replies if reply.error})[:5],
            "stopped": asked.stopped,
            "incomplete": bool(failures or asked.stopped),
        }


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Facts of two steps together: counts add up, the later step says how it ended."""
    both = {name: one[name] + other[name] for name in one if isinstance(one[name], (int, float))}
    return one | both | {"stopped": other["stopped"], "incomplete": one["incomplete"] or other["incomplete"]}


def _say(line: str) -> None:
    """Write one line above whatever progress is shown on stderr."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


@contextmanager
def _progress(text: str, total: int) -> Iterator[Any]:
    """A bar on stderr that hears of every reply."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(text, total=total)

        def told(reply: Reply, known: bool) -> None:
            bar.advance(line)

        yield told
