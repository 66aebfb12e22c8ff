"""Pairs of records as tokens of an encoder: fairly shortened, within a budget, with the special tokens it expects."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from distiller.config import DistillerError
from distiller.elicitation.serialization import Fields, fields_of
from distiller.task import Task

Form = Literal["tagged", "plain"]

#: To which part of a pair a token belongs.
SPECIAL, QUERY, CANDIDATE = 0, 1, 2


@dataclass(frozen=True)
class Template:
    """The tokens that a tokenizer puts before, between and after two texts, with the token types of all five parts.

    Read off what the tokenizer does to a pair, so that none is forgotten: BERT adds three tokens, RoBERTa four.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int, int, int, int]

    @property
    def added(self) -> int:
        """Number of special tokens in a pair."""
        return len(self.before) + len(self.between) + len(self.after)

    @classmethod
    def of(cls, tokenizer: Any) -> "Template":
        """The template of a fast tokenizer of the transformers library."""
        backend = tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        pair = backend.encode("a", "b")
        own = [place for place, text in enumerate(pair.sequence_ids) if text is not None]
        first = [place for place in own if pair.sequence_ids[place] == 0]
        second = [place for place in own if pair.sequence_ids[place] == 1]
        cuts = [0, first[0], first[-1] + 1, second[0], second[-1] + 1, len(pair.ids)]
        parts = [range(start, stop) for start, stop in pairwise(cuts)]
        before, _, between, _, after = (tuple(pair.ids[place] for place in part) for part in parts)
        types = tuple(pair.type_ids[part[0]] if len(part) else 0 for part in parts)
        return cls(before, between, after, types)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RecordTokens:
    """A record as tokens: of each attribute the name as it is written before the value (maybe nothing), and the value."""

    names: tuple[tuple[int, ...], ...]
    values: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Number of tokens of the whole record."""
        return self.fixed + sum(map(len, self.values))

    @property
    def fixed(self) -> int:
        """Number of tokens of the names, which are never cut."""
        return sum(map(len, self.names))

    def within(self, share: int) -> list[int]:
        """The record in at most `share` tokens (not less than `fixed`): its longest values lose their ends."""
        kept = cut_longest([len(value) for value in self.values], share - self.fixed)
        pieces = zip(self.names, self.values, kept, strict=True)
        return [token for name, value, length in pieces for token in (*name, *value[:length])]


def cut_longest(lengths: Sequence[int], room: int) -> list[int]:
    """Lengths that sum to at most `room`: those beyond a common cap are cut down to it, earlier ones by one less."""
    left, cap, spare = room, None, 0
    for place, length in enumerate(sorted(lengths)):
        rest = len(lengths) - place
        if length * rest > left:
            cap, spare = divmod(max(left, 0), rest)
            break
        left -= length
    if cap is None:
        return list(lengths)
    kept = [min(length, cap) for length in lengths]
    for place, length in enumerate(lengths):
        if length > cap and spare:
            kept[place] += 1
            spare -= 1
    return kept


def shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How many of `room` tokens two texts get: half each, and what one does not need goes to the other."""
    half = room // 2
    if first + second <= room:
        return first, second
    if first <= room - half:
        return first, room - first
    if second <= half:
        return room - second, second
    return room - half, half


@dataclass(frozen=True)
class PairTokens:
    """Tokens of many pairs under one another.

    tokens, types, records: token, its type and the part of the pair it belongs to (SPECIAL, QUERY, CANDIDATE), [n_tokens].
    offsets: where each pair begins, [n_pairs + 1].
    """

    tokens: np.ndarray
    types: np.ndarray
    records: np.ndarray
    offsets: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each pair, [n_pairs]."""
        return np.diff(self.offsets)

    @classmethod
    def concatenated(cls, parts: Sequence["PairTokens"]) -> "PairTokens":
        """The pairs of all parts, one part after the other."""
        lengths = np.concatenate([part.lengths for part in parts])
        tokens, types, records = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("tokens", "types", "records")
        )
        return cls(tokens, types, records, np.r_[0, np.cumsum(lengths)])


@dataclass(frozen=True)
class PairText:
    """How a pair of records is written for an encoder.

    tokenizer: a fast tokenizer of the transformers library. form: `tagged` writes "COL name VAL value" for each attribute
    (Ditto, Li et al. 2020, section 2.1), `plain` the values alone. attributes: those that are written, in the order of
    the table; None for all. longest: most tokens of a pair, special tokens included.
    """

    tokenizer: Any
    form: Form
    attributes: tuple[str, ...] | None
    longest: int

    def pairs(self, task: Task, query_ids: np.ndarray, candidate_ids: np.ndarray) -> PairTokens:
        """Tokens of the pairs (query_ids[i], candidate_ids[i]), [n_pairs].

        Raises:
            DistillerError: a table has none of the attributes; column names alone are longer than the budget.
        """
        template = Template.of(self.tokenizer)
        queries = self._records(task, task.records.queries, query_ids)
        candidates = self._records(task, task.records.candidates, candidate_ids)
        room = self.longest - template.added
        cut: dict[tuple[int, int, int], list[int]] = {}

        def within(side: int, record: int, tokens: RecordTokens, share: int) -> list[int]:
            key = (side, record, min(share, tokens.length))
            if key not in cut:
                if tokens.fixed > share:
                    raise DistillerError(
                        f"student.longest={self.longest} leaves {share} tokens for a record of {task.name} whose column "
                        f"names alone take {tokens.fixed}; raise student.longest, set student.form=plain, or name fewer "
                        "columns in student.attributes"
                    )
                cut[key] = tokens.within(share)
            return cut[key]

        ids: list[int] = []
        lengths = np.empty((len(query_ids), 5), dtype=np.int64)
        added = len(template.before), len(template.between), len(template.after)
        for row, (query, candidate) in enumerate(zip(query_ids.tolist(), candidate_ids.tolist(), strict=True)):
            share = shares(queries[query].length, candidates[candidate].length, room)
            first = within(QUERY, query, queries[query], share[0])
            second = within(CANDIDATE, candidate, candidates[candidate], share[1])
            ids += template.before
            ids += first
            ids += template.between
            ids += second
            ids += template.after
            lengths[row] = added[0], len(first), added[1], len(second), added[2]
        parts = np.tile(np.array([SPECIAL, QUERY, SPECIAL, CANDIDATE, SPECIAL], np.int8), len(lengths))
        types = np.tile(np.array(template.types, np.int8), len(lengths))
        repeats = lengths.ravel()
        offsets = np.r_[0, np.cumsum(lengths.sum(1))]
        return PairTokens(np.array(ids, np.int32), np.repeat(types, repeats), np.repeat(parts, repeats), offsets)

    def check(self, task: Task) -> None:
        """Find out whether every pair of a task can be written, before a student is trained that could not answer it.

        Raises:
            DistillerError: what `pairs` raises.
        """
        tables = [self._columns(task, table) for table in (task.records.queries, task.records.candidates)]
        half = (self.longest - Template.of(self.tokenizer).added) // 2
        most = 0
        for table in tables if self.form == "tagged" else ():
            lengths = [len(self._encoded([f" COL {name} VAL"])[0]) for name in table.column_names[1:]]
            filled = [
                column.is_valid().to_numpy() * length for column, length in zip(table.columns[1:], lengths, strict=True)
            ]
            most = max(most, int(np.sum(filled, axis=0).max(initial=0)))
        if most > half:
            self.pairs(task, task.candidates.table["query_id"].to_numpy(), task.candidates.candidate_ids)

    def _records(self, task: Task, table: pa.Table, ids: np.ndarray) -> dict[int, RecordTokens]:
        return self.tokenized(fields_of(self._columns(task, table), ids))

    def _columns(self, task: Task, table: pa.Table) -> pa.Table:
        if self.attributes is None:
            return table
        columns = [name for name in table.column_names if name in self.attributes]
        if not columns:
            raise DistillerError(
                f"{task.name} has none of student.attributes={list(self.attributes)}; "
                f"its columns are {', '.join(table.column_names[1:])}"
            )
        return table.select(["id", *columns])

    def tokenized(self, records: dict[int, Fields]) -> dict[int, RecordTokens]:
        """Each record as the tokens its whole text has: every piece but the first is tokenised after a blank."""
        pieces = {record: self._pieces(fields) for record, fields in records.items()}
        texts = list({text: None for own in pieces.values() for piece in own for text in piece})
        tokens = dict(zip(texts, self._encoded(texts), strict=True))
        return {
            record: RecordTokens(tuple(tokens[name] for name, _ in own), tuple(tokens[value] for _, value in own))
            for record, own in pieces.items()
        }

    def _pieces(self, fields: Fields) -> list[tuple[str, str]]:
        if self.form == "tagged":
            return [(f"{' ' * (place > 0)}COL {name} VAL", f" {value}") for place, (name, value) in enumerate(fields)]
        return [("", f"{' ' * (place > 0)}{value}") for place, (_, value) in enumerate(fields)]

    def _encoded(self, texts: Iterable[str]) -> list[tuple[int, ...]]:
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        return [tuple(encoding.ids) for encoding in backend.encode_batch(list(texts), add_special_tokens=False)]
