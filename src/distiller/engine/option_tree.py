"""The token sequences of a request's options as one tree below its prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Tokens = Sequence[int]


@dataclass(frozen=True)
class OptionTree:
    """Options that share what they have in common, ready to be read after a prompt.

    Node 0 is the prompt's last token. Nodes 1..n are the tokens of the options that another token follows, each after its
    parent; the last token of an option is no node, since a model need not read it to say how probable it was.

    tokens: token of each node from 1 on, [n]. parents: node that it follows, [n]. depths: its distance from node 0, [n].
    steps: for each option its tokens as (node before it, token), in order.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    steps: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, sequences: Sequence[Tokens]) -> "OptionTree":
        """The tree of these token sequences, one per option, none empty, none the beginning of another.

        Raises:
            ValueError: one is empty, or the beginning of another or its like.
        """
        if not prefix_free(sequences):
            raise ValueError("an option's tokens are none, or the beginning of another's")
        numbers: dict[tuple[int, ...], int] = {(): 0}
        tokens, parents, depths, steps = [], [], [], []
        for sequence in sequences:
            path = []
            for depth, token in enumerate(sequence):
                before = numbers[tuple(sequence[:depth])]
                path.append((before, token))
                node = tuple(sequence[: depth + 1])
                if depth + 1 < len(sequence) and node not in numbers:
                    numbers[node] = len(numbers)
                    tokens.append(token)
                    parents.append(before)
                    depths.append(depth + 1)
            steps.append(tuple(path))
        return cls(tuple(tokens), tuple(parents), tuple(depths), tuple(steps))

    def ancestors(self) -> list[list[int]]:
        """Nodes, from 1 on, on the way to each node, itself included, [n] lists."""
        ways: list[list[int]] = [[]]
        for node, parent in enumerate(self.parents, start=1):
            ways.append([*ways[parent], node])
        return ways[1:]


def begins_with(sequence: Tokens, beginning: Tokens) -> bool:
    """Whether the first tokens of `sequence` are those of `beginning`."""
    return list(sequence[: len(beginning)]) == list(beginning)


def prefix_free(sequences: Sequence[Tokens]) -> bool:
    """Whether none of the sequences is empty or the beginning of another or its like."""
    ordered = sorted(map(list, sequences))  # what a sequence begins stands right after it
    return [] not in ordered and not any(begins_with(b, a) for a, b in pairwise(ordered))


def distinguishing(sequences: Sequence[Tokens]) -> list[list[int]]:
    """Of each sequence its first tokens up to the one by which no other is left, the shortest that tells it apart.

    sequences: none the beginning of another, at least one. What a single one is told apart by is its first token.
    """
    ordered = sorted(range(len(sequences)), key=lambda i: list(sequences[i]))
    shared = [common_beginning([sequences[a], sequences[b]]) for a, b in pairwise(ordered)]
    needed = {i: 1 + max(shared[max(place - 1, 0) : place + 1], default=0) for place, i in enumerate(ordered)}
    return [list(sequence[: needed[i]]) for i, sequence in enumerate(sequences)]


def common_beginning(sequences: Sequence[Tokens]) -> int:
    """Number of first tokens that all sequences share."""
    low, high = min(map(list, sequences)), max(map(list, sequences))  # all others lie between these two
    return next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))


def split_after_prompt(prompt: Tokens, wholes: Sequence[Tokens], end_of_turn: int) -> tuple[int, list[list[int]]]:
    """How many tokens of the prompt stay as they are whatever the option, and the tokens of each option after those.

    prompt: tokens of the prompt alone. wholes: tokens of prompt and option written together, one per option. A tokenizer
    may melt the end of a prompt into the beginning of an option; such a token then belongs to the option. Where one
    option is the beginning of another, end_of_turn follows all of them, so that their probabilities exclude each other.

    Raises:
        ValueError: two options are the same tokens, or no token of the prompt stays.
    """
    kept = common_beginning([list(prompt), *(list(whole) for whole in wholes)])
    options = [list(whole[kept:]) for whole in wholes]
    if not kept:
        raise ValueError("the prompt has no token of its own before its options")
    if len({tuple(option) for option in options}) < len(options):
        raise ValueError("two options are the same to the model's tokenizer")
    if not prefix_free(options):
        options = [[*option, end_of_turn] for option in options]
    return kept, options
