"""A language model whose weights this process holds: requests are sorted into batches, and generated or scored."""

import gc
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from distiller.config import DistillerError
from distiller.engine.base import LanguageModel, Reply, Request
from distiller.engine.beginning import LastBeginning
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.constraints import Constraint, FollowsSchema, OneOption, guidance_tokenizer
from distiller.engine.decoding import Draft, uniform_draws, write
from distiller.engine.option_scoring import OptionBatch, option_log_probabilities
from distiller.engine.option_tree import OptionTree, distinguishing

#: A batch to be scored stops growing where more than this share of it would be padding, once it holds so much of the limit.
PADDING, ENOUGH = 0.05, 1 / 8


@dataclass(frozen=True)
class _Job:
    """A request with its tokens: `draft` or `tree` is what is to be done. cost: tokens it may come to occupy."""

    number: int
    request: Request
    prompt: list[int]
    cost: int
    seconds: float
    draft: Draft | None = None
    tree: OptionTree | None = None


class LocalModel(LanguageModel):
    """Answers with a causal language model of the transformers library.

    Of each window of requests the longest come first, in batches of at most `batch_tokens` tokens, padding included. A batch
    that does not fit into memory is halved, and so are those after it. What the prompts to be scored begin with is read
    once and kept from one batch to the next, so the weights must stay as they are. Generated text ends before the
    first of the request's stop texts. Options go before a schema where a request has both.
    """

    def __init__(self, network: Any, tokenizer: ChatTokenizer, name: str, batch_tokens: int, window: int):
        """network: in evaluation mode, on its device. name: the model's, for messages."""
        self.network = network
        self.tokenizer = tokenizer
        self.name = name
        self.limit = batch_tokens
        self.window = window
        self._beginning = LastBeginning()

    def tokens(self, requests: Sequence[Request]) -> list[int]:
        return self.tokenizer.tokens(requests)

    def text_tokens(self, texts: Sequence[str]) -> list[int]:
        return self.tokenizer.text_tokens(texts)

    def replies(self, requests: Iterable[tuple[int, Request]]) -> Iterator[tuple[int, Reply]]:
        source = iter(requests)
        while window := list(itertools.islice(source, self.window)):
            jobs = []
            if any(request.schema is not None and not request.options for _, request in window):
                _ = self._guidance  # what is missing for it concerns all requests, not one
            for number, request in window:
                job = self._job(number, request)
                if isinstance(job, Reply):
                    yield number, job
                else:
                    jobs.append(job)
            for kind in ("score", "generate"):
                own = [job for job in jobs if job.request.mode == kind]
                yield from self._answered(sorted(own, key=lambda job: -job.cost))

    def _answered(self, jobs: list[_Job]) -> Iterator[tuple[int, Reply]]:
        while jobs:
            batch = jobs[: self._size(jobs)]
            answers = self._within_memory(batch)
            if answers is not None:
                yield from answers
                jobs = jobs[len(batch) :]
                continue
            self._beginning.forget()
            _free_memory()
            if len(batch) == 1:
                raise DistillerError(
                    f"a prompt of {len(batch[0].prompt)} tokens to {self.name} does not fit into the memory of "
                    f"{self.network.device} by itself: choose a smaller model, engine.dtype=bfloat16, or another device"
                )
            self.limit = max(jobs[0].cost, len(batch) * jobs[0].cost // 2)

    def _size(self, jobs: list[_Job]) -> int:
        """How many of these jobs, the longest first, are done together."""
        longest = jobs[0].cost
        most = max(1, self.limit // longest)
        if not jobs[0].tree:
            return most
        read = itertools.accumulate(job.cost for job in jobs[:most])
        padded = (i for i, tokens in enumerate(read) if tokens < (1 - PADDING) * (i + 1) * longest)
        return next((i for i in padded if i * longest >= ENOUGH * self.limit), most)

    def _within_memory(self, batch: list[_Job]) -> list[tuple[int, Reply]] | None:
        """The replies to a batch; None where memory does not suffice."""
        try:
            return self._scored(batch) if batch[0].tree else self._generated(batch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return None

    def _job(self, number: int, request: Request) -> _Job | Reply:
        """What is to be done about a request, or why nothing can be."""
        begin = time.perf_counter()
        try:
            prompt = self.tokenizer.prompt(request.messages)
            (tokens,) = self.tokenizer.encode([prompt])
            self._check(request, tokens)
            if request.mode == "score":
                kept, options = self.tokenizer.with_options(prompt, tokens, request.options)
                tree = OptionTree.of(distinguishing(options))
                cost = kept + len(tree.tokens)
                return _Job(number, request, tokens[:kept], cost, time.perf_counter() - begin, tree=tree)
            draft = self._draft(request, prompt, tokens)
        except (ValueError, DistillerError) as error:
            return Reply(error=str(error), finish="error", seconds=time.perf_counter() - begin)
        cost = len(draft.prompt) + draft.max_tokens
        return _Job(number, request, tokens, cost, time.perf_counter() - begin, draft=draft)

    def _check(self, request: Request, tokens: list[int]) -> None:
        if not tokens:
            raise ValueError("the request has no text to read")
        if request.mode == "score" and not request.options:
            raise ValueError("a request of mode 'score' needs options")
        longest = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        if longest and len(tokens) >= longest:
            raise ValueError(f"the prompt has {len(tokens)} tokens, {self.name} reads fewer than {longest}: shorten it")
        if request.mode == "generate" and request.max_tokens < 1:
            raise ValueError(f"a reply needs at least one token, max_tokens is {request.max_tokens}")

    def _draft(self, request: Request, prompt: str, tokens: list[int]) -> Draft:
        constraint: Constraint | None = None
        if request.options:
            kept, options = self.tokenizer.with_options(prompt, tokens, request.options)
            tokens, constraint = tokens[:kept], OneOption(options, self.tokenizer.end_of_turn)
        elif request.schema is not None:
            role, said = request.messages[-1]
            begun = self.tokenizer.text_ids(said) if role == "assistant" else []
            constraint = FollowsSchema(request.schema, self._guidance, begun)
        longest = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        room = longest - len(tokens) if longest else request.max_tokens
        return Draft(
            prompt=tokens,
            max_tokens=min(request.max_tokens, room),
            ends=self.tokenizer.ends,
            temperature=request.temperature,
            draws=uniform_draws(request) if request.temperature > 0 else None,
            constraint=constraint,
            finished=self._stops(request.stop) if request.stop else None,
        )

    def _stops(self, stop: tuple[str, ...]) -> Any:
        """Whether tokens written so far end with, or have just passed, one of these texts."""
        reach = 4 * max(len(text) for text in stop) + 8  # a character is at most four tokens of bytes

        def passed(tokens: list[int]) -> bool:
            recent = self.tokenizer.text(tokens[-reach:])
            return any(text in recent for text in stop)

        return passed

    @cached_property
    def _guidance(self) -> Any:
        vocabulary = self.network.config.get_text_config().vocab_size
        return guidance_tokenizer(self.tokenizer.tokenizer, vocabulary, sorted(self.tokenizer.ends))

    @property
    def _padding(self) -> int:
        return min(self.tokenizer.ends, default=0)  # any token will do, it is never attended to

    def _scored(self, jobs: list[_Job]) -> list[tuple[int, Reply]]:
        import torch

        begin = time.perf_counter()
        trees = [job.tree for job in jobs if job.tree]
        with torch.inference_mode():
            prompts = [job.prompt for job in jobs]
            batch = OptionBatch.of(prompts, trees, self._padding).to(self.network.device)
            beginning = self._beginning.of(self.network, prompts)
            scores = option_log_probabilities(self.network, batch, beginning).tolist()
        seconds = time.perf_counter() - begin
        share = seconds / sum(job.cost for job in jobs)
        return [
            (
                job.number,
                Reply(
                    scores=tuple(min(0.0, score) for score in own[: len(job.request.options)]),
                    tokens_in=len(job.prompt),
                    seconds=job.seconds + share * job.cost,
                ),
            )
            for job, own in zip(jobs, scores, strict=True)
        ]

    def _generated(self, jobs: list[_Job]) -> list[tuple[int, Reply]]:
        begin = time.perf_counter()
        drafts = [job.draft.fresh() for job in jobs if job.draft]
        write(self.network, drafts, self._padding)
        seconds = time.perf_counter() - begin
        share = seconds / sum(len(draft.prompt) + draft.written for draft in drafts)
        return [
            (
                job.number,
                Reply(
                    text=self._text(draft, job.request),
                    tokens_in=len(job.prompt),
                    tokens_out=draft.written,
                    seconds=job.seconds + share * (len(draft.prompt) + draft.written),
                    finish="stop" if draft.complete else "length",
                ),
            )
            for job, draft in zip(jobs, drafts, strict=True)
        ]

    def _text(self, draft: Draft, request: Request) -> str:
        if isinstance(draft.constraint, OneOption) and draft.constraint.chosen is not None:
            return request.options[draft.constraint.chosen]
        text = self.tokenizer.text(draft.tokens)
        places = [place for stop in request.stop if (place := text.find(stop)) >= 0]
        return text[: min(places, default=len(text))]


def out_of_memory(error: BaseException) -> bool:
    """Whether memory of the device or of the machine did not suffice."""
    import torch

    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
