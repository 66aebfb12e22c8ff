"""Made-up products, people and publications in any number, damaged like real tables, with near-duplicates."""

from collections.abc import Iterator
from math import log1p
from random import Random
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from distiller.config import DistillerError, component
from distiller.dataset import synthetic_people, synthetic_products, synthetic_publications
from distiller.dataset.base import Dataset
from distiller.dataset.synthetic_damage import Columns, damage
from distiller.dataset.synthetic_order import Permutation, uniform
from distiller.records import MATCHES, Records, checked

Side = Literal["queries", "candidates"]
_SIDES: tuple[Side, Side] = ("queries", "candidates")

_DOMAINS: dict[str, Any] = {
    "products": synthetic_products,
    "people": synthetic_people,
    "publications": synthetic_publications,
}
_SHARES = {"products": 0.45, "people": 0.25, "publications": 0.3}  # of the records of domain=mixed

# Attributes of domain=mixed, and for each domain the columns that are joined to give them.
_MIXED_NAMES = {
    "queries": ("name", "by", "description", "value"),
    "candidates": ("label", "agent", "details", "figure"),
}
_MIXED: dict[tuple[str, str], tuple[tuple[int, ...], ...]] = {
    ("products", "queries"): ((0,), (1,), (2,), (3,)),
    ("products", "candidates"): ((0,), (1,), (), (2,)),
    ("people", "queries"): ((0,), (), (1, 3), (2,)),
    ("people", "candidates"): ((0, 1), (), (2, 3, 4, 6), (5,)),
    ("publications", "queries"): ((0,), (1,), (2,), (3,)),
    ("publications", "candidates"): ((0,), (1,), (2, 3, 4), (5,)),
}

# Things are numbered in blocks that are cut into families of one size; series of a few are commoner than of many.
_BLOCK = 24
_FAMILY_SIZES = np.array([2, 2, 3, 3, 4, 4, 6, 6, 8, 8, 12, 12, 24])
_CANDIDATE_DAMAGE = 0.4  # a table that is searched is better kept than what is looked up in it
_CHUNK = 8192  # rows that are Python objects at a time


@component
class Synthetic(Dataset):
    """Two tables with other attributes each, gold matches known by construction, one to one.

    Every record is a pure function of the fields and its row, so any rows can be made in any order.
    Rows are in random order and ids are row numbers, so neither tells anything about matches.
    At damage=0 and missing=0 the two records of a match hold the same words and numbers, only laid out differently.
    """

    VERSION: ClassVar[int] = 1

    name: str = "synthetic"
    domain: Literal["products", "people", "publications", "mixed"] = "mixed"
    queries: Annotated[int, Field(ge=1, le=10**9)] = 1000
    candidates: Annotated[int, Field(ge=1, le=10**9)] = 1500
    match_share: Annotated[float, Field(ge=0, le=1)] = 0.7  # share of the queries that have a match
    near_duplicates: Annotated[float, Field(ge=0, le=1)] = 0.7  # share of the things that have 1 to 23 siblings
    damage: Annotated[float, Field(ge=0, le=1)] = 0.6  # 0: none; 1: some in nearly every value
    missing: Annotated[float, Field(ge=0, le=1)] = 0.1  # chance of each value but the first to be empty
    seed: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        if self._matches > self.candidates:
            raise DistillerError(
                f"{self._matches} of {self.queries} queries are to have a match of their own, but there are "
                f"{self.candidates} candidates; lower dataset.match_share or raise dataset.candidates"
            )

    def dataset_name(self) -> str:
        """The name under which scores are reported."""
        return self.name

    def load(self) -> Records:
        """Both tables and the gold matches, in memory."""
        tables = [pa.Table.from_batches(self.batches(side), self.schema(side)) for side in _SIDES]
        return checked(self.name, tables[0], tables[1], pa.Table.from_batches(self.match_batches(), MATCHES))

    def schema(self, side: Side) -> pa.Schema:
        """Column `id` (int64) and the string attributes of one table."""
        names = _MIXED_NAMES[side] if self.domain == "mixed" else _columns(self.domain, side).names
        return pa.schema([pa.field("id", pa.int64()), *(pa.field(name, pa.string()) for name in names)])

    def batches(self, side: Side, size: int = 65_536) -> Iterator[pa.RecordBatch]:
        """One table in batches of `size` rows, the last may be smaller; memory is that of one batch."""
        schema, total = self.schema(side), self._rows(side)
        for start in range(0, total, size):
            stop = min(start + size, total)
            parts = [
                self._chunk(side, begin, min(begin + _CHUNK, stop), schema) for begin in range(start, stop, _CHUNK)
            ]
            yield pa.Table.from_batches(parts, schema).combine_chunks().to_batches()[0]

    def match_batches(self, size: int = 1_048_576) -> Iterator[pa.RecordBatch]:
        """The gold matches (query_id, candidate_id), ascending by query, in batches made from `size` queries each."""
        for start in range(0, self.queries, size):
            rows = np.arange(start, min(start + size, self.queries))
            ranks = Permutation(self.queries, self.seed, 1).forward(rows)
            matched = ranks < self._matches
            found = Permutation(self.candidates, self.seed, 2).backward(ranks[matched])
            yield pa.record_batch([pa.array(rows[matched]), pa.array(found)], schema=MATCHES)

    def families(self, side: Side, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Number of each row's family, [stop - start]; records of one family that do not match are near-duplicates."""
        rows = np.arange(start, self._rows(side) if stop is None else stop)
        return self._families(self._entities(side, rows))[0]

    def damages(self, side: Side, start: int = 0, stop: int | None = None) -> list[list[str]]:
        """The kinds of damage done to each row, one entry per event, [stop - start]; see `synthetic_damage.KINDS`."""
        rows = np.arange(start, self._rows(side) if stop is None else stop)
        return [self._row(side, *origin)[1] for origin in self._origins(side, rows)]

    @property
    def _matches(self) -> int:
        return round(self.match_share * self.queries)

    def _rows(self, side: Side) -> int:
        return self.queries if side == "queries" else self.candidates

    def _entities(self, side: Side, rows: np.ndarray) -> np.ndarray:
        """Number of the thing that each row describes, [n].

        Things are ranked at random: first those in both tables, then those among the candidates only, then the rest.
        """
        ranks = Permutation(self._rows(side), self.seed, 1 if side == "queries" else 2).forward(rows)
        if side == "queries":
            ranks = np.where(ranks < self._matches, ranks, ranks - self._matches + self.candidates)
        return Permutation(self.candidates + self.queries - self._matches, self.seed, 3).forward(ranks)

    def _families(self, entities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Family of each entity, its place there, the family's size, a number in [0, 1) common to a block; [n] each."""
        blocks, slots = entities // _BLOCK, entities % _BLOCK
        drawn = _FAMILY_SIZES[(uniform(blocks, self.seed, 102) * len(_FAMILY_SIZES)).astype(np.int64)]
        sizes = np.where(uniform(blocks, self.seed, 101) < self.near_duplicates, drawn, 1)
        return entities - slots % sizes, slots % sizes, sizes, uniform(blocks, self.seed, 103)

    def _chunk(self, side: Side, start: int, stop: int, schema: pa.Schema) -> pa.RecordBatch:
        rows = np.arange(start, stop)
        values = [self._row(side, *origin)[0] for origin in self._origins(side, rows)]
        columns = [pa.array(column, pa.string()) for column in zip(*values, strict=True)]
        return pa.record_batch([pa.array(rows), *columns], schema=schema)

    def _origins(self, side: Side, rows: np.ndarray) -> Iterator[tuple[str, int, int, int, int]]:
        """Domain, entity, family, place in the family and family size of each row."""
        entities = self._entities(side, rows)
        families, places, sizes, chance = self._families(entities)
        if self.domain == "mixed":
            bounds = np.cumsum(list(_SHARES.values()))[:-1]
            domains = np.array(list(_SHARES))[np.searchsorted(bounds, chance, side="right")].tolist()
        else:
            domains = [self.domain] * len(rows)
        return zip(domains, entities.tolist(), families.tolist(), places.tolist(), sizes.tolist(), strict=True)

    def _row(
        self, side: Side, domain: str, entity: int, family: int, place: int, size: int
    ) -> tuple[list[str | None], list[str]]:
        """The values of one record and the kinds of damage done to them."""
        module, query = _DOMAINS[domain], side == "queries"
        thing = module.entity(self.seed, place, size, Random((self.seed << 64) | (family << 2)).random)
        draw = Random((self.seed << 64) | (entity << 2) | (2 if query else 1)).random
        # Most records of a table are in order and a few are a mess, hence the exponential distribution.
        strength = min(1.0, self.damage * (1.0 if query else _CANDIDATE_DAMAGE) * -log1p(-draw()))
        done: list[str] = []
        values: list[str | None] = module.row(thing, query, strength, draw, done)
        done += damage(values, _columns(domain, side), strength, self.missing, draw)
        if self.domain != "mixed":
            return values, done
        joined = []
        for group in _MIXED[domain, side]:
            parts = [value for column in group if (value := values[column])]
            joined.append((" " if group == (0, 1) else ", ").join(parts) or None)
        return joined, done


def _columns(domain: str, side: Side) -> Columns:
    columns: Columns = _DOMAINS[domain].QUERIES if side == "queries" else _DOMAINS[domain].CANDIDATES
    return columns
