"""Lessons as tokens: prompts with the trees of their options, in batches of like lengths, and what is checked of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distiller.config import DistillerError
from distiller.elicitation.asking import Answering
from distiller.elicitation.base import Prompt
from distiller.engine.chat_tokenizer import ChatTokenizer
from distiller.engine.option_scoring import OptionBatch
from distiller.engine.option_tree import OptionTree, common_beginning, prefix_free
from distiller.student.base import Lesson
from distiller.student.language_reply import explains, opening, reply_of

#: Lengths are compared with so much noise, so that a batch is not made of the same examples in every epoch.
NOISE = 0.01
#: So many examples of each rendering are checked token by token.
CHECKED = 16


@dataclass(frozen=True)
class Example:
    """A prompt with what is to be learnt of it.

    prompt: tokens that stay whatever the option. tree: its options below it, each with the token that ends the turn, but for
    an answer after which a rationale is to follow that nobody gave.
    target: probability of each of these options, [options]; they sum to 1. n_options: candidates shown.
    answer_steps: how many first tokens of each option are its answer, [options]; the others are its rationale.
    """

    prompt: list[int]
    tree: OptionTree
    target: np.ndarray
    n_options: int
    answer_steps: np.ndarray

    @property
    def size(self) -> int:
        """Tokens that a model reads."""
        return len(self.prompt) + len(self.tree.tokens)


@dataclass(frozen=True)
class Rendering:
    """How lessons are put to a model.

    longest: tokens that the model can read, None where it does not say. rivals: give options that the teacher did not choose
    their rationales, too, where there are any.
    """

    elicitation: Answering
    tokenizer: ChatTokenizer
    longest: int | None
    rivals: bool = False

    def examples(self, lessons: Sequence[Lesson], taught: bool = False) -> list[Example]:
        """One example for every prompt about the lessons' queries. taught: with the options that have a share only.

        Raises:
            DistillerError: a prompt is too long for the model, or not what would be asked; see `check_example`.
        """
        made: list[Example] = []
        for lesson in lessons:
            prompts = self.elicitation.prompts(lesson.task, lesson.query_ids, self.tokenizer.text_tokens)
            texts = [self.tokenizer.prompt(prompt.request.messages) for prompt in prompts]
            wanted = _targets(lesson)
            for prompt, text, tokens in zip(prompts, texts, self.tokenizer.encode(texts), strict=True):
                own = wanted[prompt.query_id]
                target = np.array([own[option] for option in (None, *prompt.options)])
                said = self._said(lesson, prompt, target)
                made.append(self._example(prompt, text, tokens, target, said, taught, len(made) < CHECKED))
        return made

    def _said(self, lesson: Lesson, prompt: Prompt, target: np.ndarray) -> list[str | None]:
        """The rationales to be learnt, one for each option, in the numbers of the prompt."""
        if not explains(self.elicitation) or prompt.query_id not in lesson.reasons:
            return [None] * len(target)
        texts = lesson.reasons[prompt.query_id].shown(prompt.options)
        chosen = int(target.argmax())
        return [text if self.rivals or choice == chosen else None for choice, text in enumerate(texts)]

    def _example(
        self,
        prompt: Prompt,
        text: str,
        tokens: list[int],
        target: np.ndarray,
        said: list[str | None],
        taught: bool,
        checked: bool,
    ) -> Example:
        openings = tuple(opening(self.elicitation, choice) for choice in range(len(target)))
        replies = tuple(reply_of(self.elicitation, choice, why) for choice, why in enumerate(said))
        kept, options = self.tokenizer.with_options(text, tokens, replies)
        end, whole = self.tokenizer.end_of_turn, [why is not None or not explains(self.elicitation) for why in said]
        ended = [
            [*option, end] if over and option[-1] != end else option
            for option, over in zip(options, whole, strict=True)
        ]
        answers = ended
        if explains(self.elicitation):
            _, begun = self.tokenizer.with_options(text, tokens, openings)
            answers = [
                own[: common_beginning([own, start])] if why else own
                for own, start, why in zip(ended, begun, said, strict=True)
            ]
        if self.longest is not None and kept + max(map(len, ended)) > self.longest:
            raise DistillerError(
                f"the prompt about query {prompt.query_id} has {len(tokens)} tokens, the student reads {self.longest}: lower "
                "student.elicitation.prompt_tokens, which shortens long values"
            )
        if checked:
            for written, option, over in zip(replies, ended, whole, strict=True):
                check_example(self.tokenizer, prompt, text, written, tokens[:kept], option, over)
            if not prefix_free(answers):
                raise DistillerError(
                    "the tokenizer of the model melts the answer into the rationale after it, so that it cannot be scored alone: "
                    "choose another model, or elicitation@student.elicitation=score"
                )
        shown = np.flatnonzero(target > 0) if taught else np.arange(len(target))
        tree = OptionTree.of([ended[i] for i in shown])
        steps = np.array([len(answers[i]) for i in shown])
        return Example(tokens[:kept], tree, target[shown], len(prompt.options), steps)


def check_example(
    tokenizer: ChatTokenizer,
    prompt: Prompt,
    text: str,
    reply: str,
    kept: list[int],
    learnt: list[int],
    whole: bool = True,
) -> None:
    """Make sure that a model is taught what it will be asked: the whole prompt is read, the whole reply is learnt.

    text: the prompt as rendered. reply: the text to be learnt. kept: tokens read before it. learnt: tokens with a loss.
    whole: the reply is over then; if not, more would follow that nobody has said.

    Raises:
        DistillerError: the query or an option is not in the prompt; the loss covers more or less than the reply; the token
            that ends the turn is not learnt, so that the student would write on and on.
    """
    said = learnt[:-1] if whole else learnt
    if (whole and learnt[-1] != tokenizer.end_of_turn) or tokenizer.end_of_turn in said:
        raise DistillerError(
            f"the loss on the reply {reply!r} does not end with the token that ends a turn, so that the student would not stop: "
            "choose a model whose chat template ends turns"
        )
    if tokenizer.encode([text + reply])[0] != kept + said:
        raise DistillerError(
            f"the tokens learnt are not those of the reply {reply!r}: choose a model with another tokenizer"
        )
    shown = prompt.request.messages[-1][1]
    missing = [f"[{i}]" for i in range(1, len(prompt.options) + 1) if f"\n[{i}] " not in shown]
    if missing or shown.strip() not in text:
        raise DistillerError(
            f"the chat template of the model leaves out {missing[0] if missing else 'a part'} of the prompt about query "
            f"{prompt.query_id}: choose another model"
        )


def _targets(lesson: Lesson) -> dict[int, dict[int | None, float]]:
    """Probability of each candidate, and of None for "none", by query."""
    rows, offsets = lesson.task.candidates.of(lesson.query_ids)
    shown = lesson.task.candidates.candidate_ids[rows].tolist()
    target, begins = lesson.target.tolist(), lesson.option_offsets.tolist()
    found: dict[int, dict[int | None, float]] = {}
    for i, query in enumerate(lesson.query_ids.tolist()):
        options = [None, *shown[offsets[i] : offsets[i + 1]]]
        found[query] = dict(zip(options, target[begins[i] : begins[i + 1]], strict=True))
    return found


@dataclass(frozen=True)
class ExampleBatches:
    """Batches of examples, made into tensors one after the other.

    groups: the examples of each batch. padding_token: any; it changes nothing.
    """

    groups: list[list[Example]]
    padding_token: int

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for group in self.groups:
            yield tensors(group, self.padding_token)

    @property
    def tokens(self) -> int:
        """Tokens read in all, without padding."""
        return sum(example.size for group in self.groups for example in group)

    @property
    def padding(self) -> float:
        """Share of what is computed that is padding, [0, 1)."""
        computed = sum(len(group) * _width(group) for group in self.groups)
        return 1 - self.tokens / computed


def _width(group: Sequence[Example]) -> int:
    return max(len(each.prompt) for each in group) + max(len(each.tree.tokens) for each in group)


def batches(
    examples: Sequence[Example], limit: int, draw: np.random.Generator | None, padding_token: int
) -> ExampleBatches:
    """Examples of like lengths together, about `limit` tokens a batch, padding included, at least one example.

    draw: shuffles the batches, and the examples of nearly the same length; None keeps the order of lengths.
    """
    sizes = np.array([example.size for example in examples], dtype=float)
    if draw is not None:
        sizes *= 1 + NOISE * draw.uniform(-1, 1, len(sizes))
    groups: list[list[Example]] = []
    for i in np.argsort(-sizes, kind="stable").tolist():
        if groups and _width([*groups[-1], examples[i]]) * (len(groups[-1]) + 1) <= limit:
            groups[-1].append(examples[i])
        else:
            groups.append([examples[i]])
    if draw is not None:
        groups = [groups[i] for i in draw.permutation(len(groups))]
    return ExampleBatches(groups, padding_token)


def tensors(examples: Sequence[Example], padding_token: int) -> dict[str, Any]:
    """The fields of an `OptionBatch`, with `target` and `answer_steps` [batch, options] and `n_options` [batch]."""
    import torch

    batch = OptionBatch.of([e.prompt for e in examples], [e.tree for e in examples], padding_token)
    target = torch.zeros(batch.step_node.shape[:2])
    steps = torch.zeros(target.shape, dtype=torch.long)
    for row, example in enumerate(examples):
        target[row, : len(example.target)] = torch.from_numpy(example.target)
        steps[row, : len(example.target)] = torch.from_numpy(example.answer_steps)
    fields = {name: getattr(batch, name) for name in OptionBatch.__dataclass_fields__}
    n_options = torch.tensor([example.n_options for example in examples])
    return {**fields, "target": target, "answer_steps": steps, "n_options": n_options}
