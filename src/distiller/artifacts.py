"""What stages hand over: tables with a schema, checked when they are made, and folders of trained weights."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distiller import ragged
from distiller.config import DistillerError
from distiller.records import rows_of


@dataclass
class Artifact:
    """One table. `key` names it in the store, `seconds` is what making it took, `reused` whether this run made it."""

    SCHEMA: ClassVar[pa.Schema]
    VERSION: ClassVar[int] = 1

    table: pa.Table
    key: str = field(default="", compare=False)
    seconds: float = field(default=0.0, compare=False)
    reused: bool = field(default=False, compare=False)
    facts: dict[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        try:
            self.table = self.table.select(self.SCHEMA.names).cast(self.SCHEMA).combine_chunks()
        except (KeyError, pa.ArrowInvalid, ValueError) as error:
            raise DistillerError(f"a {type(self).__name__} needs the columns {self.SCHEMA.names}: {error}") from error
        self.check()

    def check(self) -> None:
        """Raise DistillerError when the rows break the artifact's own rules."""

    def write(self, folder: Path) -> None:
        """Write the table into `folder`."""
        pq.write_table(self.table, folder / "table.parquet", compression="zstd")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The artifact that `write` wrote into `folder`."""
        return cls(pq.read_table(folder / "table.parquet"))

    def _column(self, name: str) -> np.ndarray:
        return self.table[name].to_numpy()


@dataclass
class CandidateSet(Artifact):
    """What blocking keeps: one row per (query, candidate) pair, sorted by query, then position.

    similarity: in [0, 1], the larger the more alike. position: 1..k, the number under which the candidate is shown.
    """

    SCHEMA = pa.schema(
        [("query_id", pa.int64()), ("candidate_id", pa.int64()), ("similarity", pa.float32()), ("position", pa.int16())]
    )

    def check(self) -> None:
        order = [("query_id", "ascending"), ("position", "ascending")]
        self.table = self.table.sort_by(order).combine_chunks()
        similarity = self.similarity
        if len(similarity) and not (similarity.min() >= 0 and similarity.max() <= 1):
            raise DistillerError(f"similarities must lie in [0, 1], got {similarity.min()} to {similarity.max()}")
        expected = np.arange(len(similarity)) - self.offsets[:-1][ragged.owner(self.offsets)] + 1
        if not np.array_equal(expected, self._column("position")):
            raise DistillerError("positions of the candidates of a query must be 1, 2, ... without gap or repetition")

    @cached_property
    def _segments(self) -> tuple[np.ndarray, np.ndarray]:
        return ragged.offsets_of(self._column("query_id"))

    @property
    def query_ids(self) -> np.ndarray:
        """Ids of the queries that have candidates, ascending, [n_queries]."""
        return self._segments[0]

    @property
    def offsets(self) -> np.ndarray:
        """Where the pairs of each query begin, [n_queries + 1]."""
        return self._segments[1]

    @cached_property
    def candidate_ids(self) -> np.ndarray:
        """Candidate of each pair, [n_pairs]."""
        return self._column("candidate_id")

    @cached_property
    def similarity(self) -> np.ndarray:
        """Similarity of each pair in [0, 1], [n_pairs]."""
        return self._column("similarity")

    def of(self, query_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pairs of these queries, in the order asked for, and their offsets."""
        place = rows_of(self.query_ids, query_ids, "candidate set's queries")
        return ragged.rows_within(self.offsets, place)


@dataclass
class Selection(Artifact):
    """Which queries a teacher labels (train), which are scored (test) and which are left alone (unused).

    score: what the selector ranked by, the larger the sooner selected; null where it does not rank.
    """

    SCHEMA = pa.schema([("query_id", pa.int64()), ("part", pa.string()), ("score", pa.float32())])

    def check(self) -> None:
        odd = set(self.table["part"].to_pylist()) - {"train", "test", "unused"}
        if odd:
            raise DistillerError(f"parts are train, test and unused, got {', '.join(sorted(map(str, odd)))}")
        self.table = self.table.sort_by("query_id").combine_chunks()

    def ids(self, part: str) -> np.ndarray:
        """Ids of the queries of one part, ascending."""
        return self._column("query_id")[self._column("part") == part]


class Parse(StrEnum):
    """How an answer was read from a reply. FAILED counts as wrong; it is never taken for "none"."""

    EXACT = "exact"
    RECOVERED = "recovered"
    FAILED = "failed"


@dataclass
class AnswerSet(Artifact):
    """What a teacher or student answered: one row per query.

    options: candidate ids in the order shown, [k]. choice: 0 for "none of them", else 1..k; null iff parse is failed.
    distribution: probabilities of options 0..k, [k + 1], or null where the source gives only its choice.
    rationale: why, in the source's own words. justifications: for every option 0..k, what speaks for it, or null.
    text: the reply as it came. confidence: the source's own statement of how sure it is, in [0, 1], or null.
    seconds: what this one answer took. tokens_in, tokens_out: null for sources that are not language models.
    """

    VERSION = 2
    SCHEMA = pa.schema(
        [
            ("query_id", pa.int64()),
            ("source", pa.string()),
            ("options", pa.list_(pa.int64())),
            ("choice", pa.int16()),
            ("distribution", pa.list_(pa.float32())),
            ("rationale", pa.string()),
            ("justifications", pa.list_(pa.string())),
            ("confidence", pa.float32()),
            ("parse", pa.string()),
            ("text", pa.string()),
            ("tokens_in", pa.int32()),
            ("tokens_out", pa.int32()),
            ("seconds", pa.float64()),
        ]
    )

    def check(self) -> None:
        self.table = self.table.sort_by("query_id").combine_chunks()
        failed = self._column("parse") == Parse.FAILED
        choice = self.table["choice"].fill_null(-1).to_numpy()
        if len(np.unique(self.query_ids)) < len(choice):
            raise DistillerError("an answer set holds one answer per query, some query has several")
        if not np.array_equal(failed, choice < 0):
            raise DistillerError("an answer has a choice exactly when its parse is not failed")
        if (choice > np.diff(self.offsets)).any():
            raise DistillerError("a choice lies beyond the options of its query")
        sizes = np.where(self.soft, np.diff(self.offsets) + 1, 0)
        given = self.table["distribution"].combine_chunks()
        if not np.array_equal(given.value_lengths().fill_null(0).to_numpy(), sizes):
            raise DistillerError("a distribution needs one probability per option and one for none")
        values = given.flatten().to_numpy()
        sums = ragged.segment_sum(values, np.r_[0, np.cumsum(sizes)])[self.soft]
        if not ((values >= 0).all() and (np.abs(sums - 1) < 1e-3).all()):
            raise DistillerError("the probabilities of an answer must not be negative and must sum to 1")

    @classmethod
    def make(
        cls,
        source: str,
        query_ids: np.ndarray,
        candidate_ids: np.ndarray,
        offsets: np.ndarray,
        choice: np.ndarray,
        distribution: np.ndarray | None = None,
        seconds: np.ndarray | float = 0.0,
        **columns: Any,
    ) -> "AnswerSet":
        """Answers of one source from flat arrays.

        query_ids: [n_queries], ascending. candidate_ids: the options shown, [n_pairs], cut up by offsets, [n_queries + 1].
        choice: option chosen, [n_queries], -1 where the reply could not be read. distribution: [n_pairs + n_queries].
        """
        n = len(query_ids)
        columns.setdefault("parse", np.where(choice < 0, Parse.FAILED.value, Parse.EXACT.value))
        soft = None
        if distribution is not None:
            begins = pa.array(ragged.option_offsets(offsets), pa.int32())
            soft = pa.ListArray.from_arrays(begins, pa.array(distribution, pa.float32()))
        table = {
            "query_id": query_ids,
            "source": [source] * n,
            "options": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(candidate_ids, pa.int64())),
            "choice": pa.array(choice, pa.int16(), mask=choice < 0),
            "distribution": soft,
            "seconds": np.broadcast_to(np.asarray(seconds, float), n),
            **columns,
        }
        filled = {
            f.name: table.get(f.name) if table.get(f.name) is not None else pa.nulls(n, f.type) for f in cls.SCHEMA
        }
        return cls(pa.table(filled))

    @property
    def query_ids(self) -> np.ndarray:
        """Ids of the queries answered, ascending, [n_queries]."""
        return self._column("query_id")

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where the options (without "none") of each query begin in `option_ids`, [n_queries + 1]."""
        lengths = self.table["options"].combine_chunks().value_lengths().to_numpy()
        return np.r_[0, np.cumsum(lengths)].astype(np.int64)

    @cached_property
    def option_ids(self) -> np.ndarray:
        """Candidate ids of all options shown, [n_pairs]."""
        return self.table["options"].combine_chunks().flatten().to_numpy()

    @cached_property
    def choice(self) -> np.ndarray:
        """Option chosen, 0 = none, -1 = the reply could not be read, [n_queries]."""
        return self.table["choice"].fill_null(-1).to_numpy().astype(np.int64)

    @cached_property
    def soft(self) -> np.ndarray:
        """Whether each answer comes with a distribution, [n_queries]."""
        return self.table["distribution"].is_valid().to_numpy()

    @cached_property
    def distribution(self) -> np.ndarray:
        """Probabilities of all options, "none" first in each query, [n_pairs + n_queries].

        An answer without a distribution puts all its mass on its choice; one that could not be read spreads it evenly.
        """
        begins = ragged.option_offsets(self.offsets)
        sizes = np.diff(begins)
        values = np.where(np.repeat(self.choice < 0, sizes), 1 / np.repeat(sizes, sizes), 0.0)
        read = self.choice >= 0
        values[begins[:-1][read] + self.choice[read]] = 1.0
        given = np.repeat(self.soft, sizes)
        values[given] = self.table["distribution"].combine_chunks().flatten().to_numpy()
        return values

    @cached_property
    def chosen_ids(self) -> np.ndarray:
        """Candidate id chosen by each answer, [n_queries]; -1 for "none" and for unread replies."""
        chosen = np.full(len(self.choice), -1, dtype=np.int64)
        some = self.choice > 0
        chosen[some] = self.option_ids[self.offsets[:-1][some] + self.choice[some] - 1]
        return chosen

    def of(self, query_ids: np.ndarray) -> "AnswerSet":
        """The answers to these queries only, under the same key."""
        keep = np.isin(self.query_ids, query_ids)
        return type(self)(self.table.filter(pa.array(keep)), self.key, self.seconds, self.reused, self.facts)


@dataclass
class Checkpoint:
    """A folder in the store that holds a trained student."""

    folder: Path
    key: str = ""
    seconds: float = 0.0
    reused: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
