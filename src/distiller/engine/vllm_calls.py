"""What vLLM is asked for one request, and the reply made of what it gives back; shared by the engines on top of vLLM.

Scoring walks the tree of the options' tokens: every node of it is put behind the prompt and one token is asked for, with
the log-probabilities of exactly those tokens that continue an option there. All nodes share the prompt, which vLLM's
prefix cache reads once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distiller.config import DistillerError
from distiller.engine.base import Reply, Request
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.option_tree import OptionTree, distinguishing

#: Ranks of adapters that vLLM can reserve room for.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
#: Most token ids that vLLM scores in one call.
SCORED_AT_ONCE = 128


@dataclass(frozen=True)
class Call:
    """One run of vLLM: the tokens it reads, and its sampling parameters as plain JSON. node: of the options' tree."""

    tokens: tuple[int, ...]
    sampling: dict[str, Any]
    node: int = 0


@dataclass(frozen=True)
class Outcome:
    """What one call gave. scores: log-probability of the first token written being this one, by token id."""

    text: str
    tokens_out: int
    finish: str | None
    scores: Mapping[int, float]


@dataclass
class Inquiry:
    """A request on its way through vLLM.

    tokens_in: tokens of the prompt. outcomes: of the calls, None where one is not there yet.
    """

    number: int
    request: Request
    tokens_in: int
    calls: list[Call]
    outcomes: list[Outcome | None]
    tree: OptionTree | None = None

    @classmethod
    def of(cls, number: int, request: Request, chat: ChatTokenizer) -> "Inquiry":
        """The calls that answer a request: one that writes, or one for each node of the options' tree.

        Raises:
            DistillerError: the chat template refuses the messages, or the tokenizer knows no end of a turn.
            ValueError: two options are the same to the tokenizer, or there is none.
        """
        text = chat.prompt(request.messages)
        (prompt,) = chat.encode([text])
        if request.mode == "generate":
            calls = [Call(tuple(prompt), _writing(request, sorted(chat.ends)))]
            return cls(number, request, len(prompt), calls, [None])
        if not request.options:
            raise ValueError("a request to score needs options")
        kept, options = chat.with_options(text, prompt, request.options)
        tree = OptionTree.of(distinguishing(options))
        calls = _scoring(prompt[:kept], tree)
        return cls(number, request, len(prompt), calls, [None] * len(calls), tree)

    @property
    def complete(self) -> bool:
        """Whether all outcomes are there."""
        return None not in self.outcomes

    @property
    def work(self) -> int:
        """Tokens read and written so far."""
        written = sum(outcome.tokens_out for outcome in self.outcomes if outcome is not None)
        return sum(len(call.tokens) for call in self.calls) + written

    def reply(self, seconds: float) -> Reply:
        """The reply made of all outcomes."""
        outcomes = [outcome for outcome in self.outcomes if outcome is not None]
        for outcome in outcomes:
            if outcome.finish not in ("stop", "length"):
                return Reply(seconds=seconds, finish="error", error=outcome.finish)
        if self.tree is None:
            (written,) = outcomes
            finish: Any = written.finish
            return Reply(written.text, None, self.tokens_in, written.tokens_out, seconds, finish)
        given: dict[int, dict[int, float]] = {}
        for call, outcome in zip(self.calls, outcomes, strict=True):
            given.setdefault(call.node, {}).update(outcome.scores)
        scores = [sum(given[node][token] for node, token in steps) for steps in self.tree.steps]
        return Reply(scores=tuple(min(0.0, score) for score in scores), tokens_in=self.tokens_in, seconds=seconds)


def _writing(request: Request, ends: list[int]) -> dict[str, Any]:
    sampling: dict[str, Any] = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.sample,
        "stop_token_ids": ends,
    }
    if request.stop:
        sampling["stop"] = list(request.stop)
    if request.options:
        sampling["structured_outputs"] = {"choice": list(request.options)}
    elif request.schema is not None:
        sampling["structured_outputs"] = {"json": request.schema}
    return sampling


def _scoring(prompt: Sequence[int], tree: OptionTree) -> list[Call]:
    """One call for each node, or several where more tokens follow it than vLLM scores at once."""
    following: dict[int, dict[int, None]] = {}
    for steps in tree.steps:
        for node, token in steps:
            following.setdefault(node, {})[token] = None
    ways = [[], *tree.ancestors()]
    calls = []
    for node, tokens in following.items():
        read = (*prompt, *(tree.tokens[ancestor - 1] for ancestor in ways[node]))
        for begin in range(0, len(tokens), SCORED_AT_ONCE):
            scored = list(tokens)[begin : begin + SCORED_AT_ONCE]
            sampling = {"temperature": 0.0, "max_tokens": 1, "logprob_token_ids": scored, "detokenize": False}
            calls.append(Call(read, sampling, node))
    return calls


def adapter_files(adapter: str | None) -> list[Path]:
    """Files of a LoRA adapter that decide the replies."""
    return sorted(path for path in Path(adapter).glob("adapter_*") if path.is_file()) if adapter else []


def adapter_rank(adapter: str) -> int:
    """Smallest rank that vLLM can reserve for this LoRA adapter.

    Raises:
        DistillerError: the folder holds no adapter, or its rank is beyond vLLM's.
    """
    try:
        settings = json.loads((Path(adapter) / "adapter_config.json").read_text(encoding="utf-8"))
        rank = max(settings["r"], *settings.get("rank_pattern", {}).values(), 1)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DistillerError(f"adapter {adapter} is no folder with a LoRA adapter: {brief(error)}") from error
    if rank > RANKS[-1]:
        raise DistillerError(
            f"adapter {adapter} has rank {rank}, vLLM takes at most {RANKS[-1]}: merge it into its base"
        )
    return next(room for room in RANKS if room >= rank)


def brief(error: BaseException) -> str:
    """The message of a library's error in one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
