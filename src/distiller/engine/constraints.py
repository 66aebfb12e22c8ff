"""What a generated reply is held to: exactly one of several options, or a JSON Schema."""

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from distiller.config import DistillerError
from distiller.engine.option_tree import begins_with

if TYPE_CHECKING:
    from llguidance import LLTokenizer
    from llguidance._lib import JsonCompileOptions

INSTALL_GUIDANCE = "pip install 'distiller-er[local]'"


class Constraint:
    """Follows one reply token by token."""

    def fresh(self) -> "Constraint":
        """The same at the beginning of a reply."""
        raise NotImplementedError

    def allowed(self, vocabulary: int) -> np.ndarray:
        """Which tokens may come next, bool [vocabulary], at least one."""
        raise NotImplementedError

    def take(self, token: int) -> None:
        """The reply goes on with this token, one of the allowed."""
        raise NotImplementedError

    @property
    def forced_end(self) -> bool:
        """Whether nothing but the end of the turn can follow."""
        raise NotImplementedError


class OneOption(Constraint):
    """The reply is one of these token sequences, none of them twice, and then ends."""

    def __init__(self, options: Sequence[Sequence[int]], end_of_turn: int):
        self.options = [[*option, end_of_turn] for option in options]
        self.taken: list[int] = []

    def fresh(self) -> "OneOption":
        other = copy(self)
        other.taken = []
        return other

    def allowed(self, vocabulary: int) -> np.ndarray:
        mask = np.zeros(vocabulary, dtype=bool)
        mask[[rest[0] for rest in self._rests()]] = True
        return mask

    def take(self, token: int) -> None:
        self.taken.append(token)

    @property
    def forced_end(self) -> bool:
        return [len(rest) for rest in self._rests()] == [1]

    @property
    def chosen(self) -> int | None:
        """Number of the option that the reply is, once all its tokens are there and no other is possible."""
        found = [i for i, option in enumerate(self.options) if begins_with(option, self.taken)]
        return found[0] if len(found) == 1 and len(self.options[found[0]]) - len(self.taken) <= 1 else None

    def _rests(self) -> list[list[int]]:
        return [option[len(self.taken) :] for option in self.options if begins_with(option, self.taken)]


class FollowsSchema(Constraint):
    """The reply is JSON that follows a schema, written with a blank after commas and colons and no other white space."""

    def __init__(self, schema: str, tokenizer: "LLTokenizer", begun: Sequence[int] = ()):
        """schema: JSON Schema as text. begun: first tokens of the reply, where it goes on from these.

        Raises:
            ValueError: the schema cannot be read, asks for what the constraining library does not know, or does not allow
                this beginning.
        """
        from llguidance import LLMatcher

        layout: JsonCompileOptions = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        self.matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(schema, defaults=layout))
        self._raise_its_error()
        self.begun = list(begun)
        self._begin()

    def fresh(self) -> "FollowsSchema":
        other = copy(self)
        other.matcher = self.matcher.deep_copy()
        other.matcher.reset()
        other._begin()
        return other

    def _begin(self) -> None:
        if self.begun and not self.matcher.consume_tokens(self.begun):
            self._raise_its_error()
            raise ValueError("the reply goes on from words that its schema does not allow")

    def allowed(self, vocabulary: int) -> np.ndarray:
        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        self._raise_its_error()
        mask = np.zeros(vocabulary, dtype=bool)
        known = np.unpackbits(bits, bitorder="little")[:vocabulary].astype(bool)
        mask[: len(known)] = known
        return mask

    def take(self, token: int) -> None:
        self.matcher.consume_token(token)

    @property
    def forced_end(self) -> bool:
        return self.matcher.is_stopped()

    def _raise_its_error(self) -> None:
        if self.matcher.is_error():
            raise ValueError(" ".join(self.matcher.get_error().split()))


def guidance_tokenizer(tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> "LLTokenizer":
    """What `FollowsSchema` needs of a tokenizer of the transformers library; takes about a second for a large one.

    ends: tokens that may end the reply. Raises DistillerError where the library is missing or the tokenizer unfit.
    """
    try:
        from llguidance.hf import from_tokenizer
    except ImportError as error:
        raise DistillerError(f"replies that follow a schema need llguidance: {INSTALL_GUIDANCE}") from error
    try:
        return from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(ends), slices=None)
    except ValueError as error:
        raise DistillerError(f"replies of this model cannot be held to a schema: {error}") from error
