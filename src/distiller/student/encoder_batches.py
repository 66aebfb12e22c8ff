"""Queries with the tokens of their pairs: batches for learning, and groups of equally long pairs for answering."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distiller import ragged
from distiller.student.base import Lesson
from distiller.student.encoder_text import PairText, PairTokens

#: So many batches are filled from one stretch of shuffled queries, sorted by length.
STRETCH = 8


@dataclass(frozen=True)
class Exercises:
    """Queries with the tokens of their pairs and what is to be learnt.

    offsets: where the pairs of each query begin, [n_queries + 1]. target: probabilities, "none" first in each query,
    [n_pairs + n_queries].
    """

    pairs: PairTokens
    offsets: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, lessons: Sequence[Lesson], text: PairText) -> "Exercises":
        """The queries of all lessons, each once with one target (a query is never repeated with contradictory labels)."""
        parts, sizes = [], []
        for lesson in lessons:
            rows, offsets = lesson.task.candidates.of(lesson.query_ids)
            queries = lesson.query_ids[ragged.owner(offsets)]
            parts.append(text.pairs(lesson.task, queries, lesson.task.candidates.candidate_ids[rows]))
            sizes.append(np.diff(offsets))
        offsets = np.r_[0, np.cumsum(np.concatenate(sizes))]
        return cls(PairTokens.concatenated(parts), offsets, np.concatenate([lesson.target for lesson in lessons]))

    def batches(self, size: int, draw: np.random.Generator | None) -> "QueryBatches":
        """Batches of `size` queries whose pairs are of like lengths; `draw` shuffles, None keeps the order of lengths."""
        longest = ragged.segment_max(self.pairs.lengths, self.offsets, 0)
        if draw is None:
            return QueryBatches(self, _cut(np.argsort(longest, kind="stable"), size))
        shuffled = draw.permutation(len(longest))
        groups: list[np.ndarray] = []
        for stretch in _cut(shuffled, size * STRETCH):
            groups += _cut(stretch[np.argsort(longest[stretch], kind="stable")], size)
        return QueryBatches(self, [groups[i] for i in draw.permutation(len(groups))])

    def tensors(self, queries: np.ndarray) -> dict[str, Any]:
        """One batch.

        tokens, types, records: [n_tokens], as in `PairTokens`. lengths: of the pairs, [n_pairs]. present: where they
        belong, [batch, k]. target: [batch, k + 1], "none" first, 0 for options that do not exist.
        """
        import torch

        rows, inner = ragged.rows_within(self.offsets, queries)
        options, _ = ragged.rows_within(ragged.option_offsets(self.offsets), queries)
        taken, _ = ragged.rows_within(self.pairs.offsets, rows)
        sizes = np.diff(inner)
        present = np.arange(sizes.max())[None, :] < sizes[:, None]
        exists = np.column_stack([np.ones(len(sizes), bool), present])
        target = np.zeros(exists.shape, dtype=np.float32)
        target[exists] = self.target[options]
        return {
            "tokens": torch.from_numpy(self.pairs.tokens[taken].astype(np.int64)),
            "types": torch.from_numpy(self.pairs.types[taken].astype(np.int64)),
            "records": torch.from_numpy(self.pairs.records[taken].astype(np.int64)),
            "lengths": torch.from_numpy(self.pairs.lengths[rows]),
            "present": torch.from_numpy(present),
            "target": torch.from_numpy(target),
        }


@dataclass(frozen=True)
class QueryBatches:
    """Batches of queries, made into tensors one after the other. groups: the queries of each."""

    exercises: Exercises
    groups: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for group in self.groups:
            yield self.exercises.tensors(group)

    def padding(self, at_once: int) -> float:
        """Share of the computed tokens that is padding, [0, 1), if so many pairs are read at once."""
        lengths = self.exercises.pairs.lengths
        computed = 0
        for group in self.groups:
            own = lengths[ragged.rows_within(self.exercises.offsets, group)[0]]
            computed += sum(len(chunk) * int(own[chunk].max()) for chunk in by_length(own, at_once))
        return 1 - float(lengths.sum()) / computed


def by_length(lengths: np.ndarray, at_once: int) -> list[np.ndarray]:
    """Indices of the pairs, sorted by length and cut into chunks of `at_once`."""
    return _cut(np.argsort(lengths, kind="stable"), at_once)


def equally_long(lengths: np.ndarray, at_once: int) -> list[np.ndarray]:
    """Indices of the pairs in chunks of at most `at_once` that all have the same length, longest first.

    Nothing is padded, so that the scores of a pair do not depend on the pairs it is read with.
    """
    order = np.argsort(-lengths, kind="stable")
    _, starts = np.unique(-lengths[order], return_index=True)
    return [chunk for group in np.split(order, starts[1:]) for chunk in _cut(group, at_once)]


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[start : start + size] for start in range(0, len(order), size)]
