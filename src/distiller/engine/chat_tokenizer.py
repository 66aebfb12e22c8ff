"""A model's own tokenizer and chat template: requests become tokens, tokens become text."""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

from distiller.config import DistillerError
from distiller.engine.base import Message, Request, Tokenizer
from distiller.engine.option_tree import split_after_prompt

#: What ends a turn in well-known chat formats, beside what a checkpoint itself names.
END_OF_TURN = ("<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>")
#: A model without a chat template sees "role: text" paragraphs, and writes after the last of these words.
PLAIN_TURN, PLAIN_REPLY = "{role}: {text}\n\n", "assistant:"
#: Templates that print today's date (Llama 3.2) get this day, their own fallback, so that a prompt is the same tomorrow.
FIXED_DATE = "26 Jul 2024"


class ChatTokenizer(Tokenizer):
    """Renders requests through the chat template and counts, encodes and decodes tokens exactly as the model sees them.

    A last message of the assistant is continued, not answered. A template that refuses system messages gets their text at
    the head of the first user message. Models that can think aloud first are asked not to (`enable_thinking`). Without a
    template a prompt is `role: text` paragraphs, then `assistant:`, with the tokenizer's own first token before it.
    """

    def __init__(self, tokenizer: Any, ends: Iterable[int] = ()):
        """tokenizer: of the transformers library. ends: tokens that end a turn according to the checkpoint."""
        self.tokenizer = tokenizer
        known = {t for name in END_OF_TURN if (t := tokenizer.get_vocab().get(name)) is not None}
        own = {tokenizer.eos_token_id} - {None}
        self.ends = frozenset({*ends, *own, *known})
        self._chat = tokenizer.chat_template is not None
        self._first = [] if self._chat else [t for t in tokenizer("").input_ids if t == tokenizer.bos_token_id]
        self._of_options = lru_cache(maxsize=4096)(self._after_mark)

    @classmethod
    def load(cls, model: str, revision: str | None) -> "ChatTokenizer":
        """The tokenizer of a model on the hub or in a folder.

        Raises:
            DistillerError: its files cannot be read.
        """
        from transformers import AutoTokenizer, GenerationConfig

        try:
            tokenizer = AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)
        except (OSError, ValueError, ImportError) as error:
            raise DistillerError(
                f"the tokenizer of {model!r} cannot be loaded: {' '.join(str(error).split())}"
            ) from error
        try:
            ends = GenerationConfig.from_pretrained(model, revision=revision or "main").eos_token_id
        except OSError:  # a checkpoint need not have that file
            ends = None
        return cls(tokenizer, ends if isinstance(ends, list) else [] if ends is None else [ends])

    def tokens(self, requests: Sequence[Request]) -> list[int]:
        return [len(tokens) for tokens in self.encode([self.prompt(request.messages) for request in requests])]

    def text_tokens(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return [len(tokens) for tokens in self.tokenizer(list(texts), add_special_tokens=False).input_ids]

    def text_ids(self, text: str) -> list[int]:
        """Tokens of a bare text, without any that a chat template or the tokenizer would put around it."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def prompt(self, messages: Sequence[Message]) -> str:
        """What the model reads before it writes.

        Raises:
            DistillerError: the chat template refuses the messages.
        """
        continued = bool(messages) and messages[-1][0] == "assistant"
        if not self._chat:
            turns = messages[:-1] if continued else messages
            head = "".join(PLAIN_TURN.format(role=role, text=text) for role, text in turns)
            return head + PLAIN_REPLY + (f" {messages[-1][1]}" if continued else "")
        try:
            return self._rendered(messages, continued)
        except _template_errors() as error:
            merged = _without_system(messages)
            if merged != list(messages):
                return self._rendered(merged, continued)
            raise DistillerError(f"the model's chat template refuses the messages: {error}") from error

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Tokens of rendered prompts, [n_prompts] lists."""
        if not prompts:
            return []
        encoded = self.tokenizer(list(prompts), add_special_tokens=False, return_attention_mask=False).input_ids
        return [self._first + tokens for tokens in encoded]

    def with_options(self, prompt: str, tokens: list[int], options: tuple[str, ...]) -> tuple[int, list[list[int]]]:
        """Of a rendered prompt and its tokens: how many of these stay before any of the options, and each option's tokens.

        Prompt and option are tokenized together, see `split_after_prompt`, which also says what is raised.
        """
        mark, tail = self._last_mark(prompt)
        if mark:
            alone, kept, after = self._of_options(mark, tail, options)
            if tokens[-len(alone) :] == alone:
                return len(tokens) - len(alone) + kept, after
        return split_after_prompt(tokens, self.encode([prompt + option for option in options]), self.end_of_turn)

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say, without special ones."""
        return self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    @cached_property
    def end_of_turn(self) -> int:
        """The token that the chat template puts after a reply.

        Raises:
            DistillerError: the tokenizer knows no token that could end a turn.
        """
        if self._chat:
            ask: list[Message] = [("user", "x"), ("assistant", "reply")]
            text = self.tokenizer.apply_chat_template(_as_dicts(ask), tokenize=False)
            after = self.encode([text[text.rindex("reply") :]])[0]
            if found := [token for token in after if token in self.ends]:
                return found[0]
        if self.tokenizer.eos_token_id is None:
            raise DistillerError(
                "the model's tokenizer names no token that ends a reply (eos_token): add it to its files"
            )
        return self.tokenizer.eos_token_id

    def _rendered(self, messages: Sequence[Message], continued: bool) -> str:
        return self.tokenizer.apply_chat_template(
            _as_dicts(messages),
            tokenize=False,
            add_generation_prompt=not continued,
            continue_final_message=continued,
            enable_thinking=False,
            date_string=FIXED_DATE,
        )

    @cached_property
    def _marks(self) -> list[str]:
        """Texts at which the tokenizer always cuts, whatever stands before and after them."""
        added = self.tokenizer.added_tokens_decoder.values() if self.tokenizer.is_fast else []
        return [token.content for token in added if token.special and not token.single_word]

    def _last_mark(self, prompt: str) -> tuple[str, str]:
        """The last of these texts in a prompt, and what follows it; empty where there is none."""
        place, mark = max(((prompt.rfind(mark), mark) for mark in self._marks), default=(-1, ""), key=_end_of)
        return (mark, prompt[place + len(mark) :]) if place >= 0 else ("", "")

    def _after_mark(self, mark: str, tail: str, options: tuple[str, ...]) -> tuple[list[int], int, list[list[int]]]:
        """What `with_options` needs of all prompts that end alike: thousands of prompts ask for the same options."""
        alone, *wholes = self.encode([mark + tail, *(mark + tail + option for option in options)])
        return alone, *split_after_prompt(alone, wholes, self.end_of_turn)


def _end_of(place_and_mark: tuple[int, str]) -> tuple[bool, int]:
    place, mark = place_and_mark
    return place >= 0, place + len(mark)


def _as_dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in messages]


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The same words with those of the system at the head of the first user message."""
    system = [text for role, text in messages if role == "system"]
    others = [(role, text) for role, text in messages if role != "system"]
    first = next((i for i, (role, _) in enumerate(others) if role == "user"), None)
    if not system or first is None:
        return list(messages)
    others[first] = ("user", "\n\n".join([*system, others[first][1]]))
    return others


def _template_errors() -> tuple[type[Exception], ...]:
    from jinja2.exceptions import TemplateError

    return (TemplateError,)
