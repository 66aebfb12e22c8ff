"""One dataset ready to be matched: its records, its candidate set, and similarity features when somebody asks."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from distiller import features
from distiller.artifacts import Artifact, CandidateSet
from distiller.budget import Ledger
from distiller.records import Records, rows_of
from distiller.store import Store


@dataclass
class FeatureSet(Artifact):
    """Similarity features of every pair of a candidate set, in its order: one float32 column per feature."""

    SCHEMA = pa.schema([])
    VERSION = features.VERSION

    def __post_init__(self) -> None:
        self.check()

    def write(self, folder: Path) -> None:
        pq.write_table(self.table, folder / "table.parquet", compression="lz4", use_dictionary=False)

    @property
    def names(self) -> list[str]:
        """Names of the features, [n_features]."""
        return self.table.column_names

    @cached_property
    def matrix(self) -> np.ndarray:
        """float32 [n_pairs, n_features]; NaN where a value is not known."""
        values = np.empty((self.table.num_rows, len(self.names)), dtype=np.float32)
        for i, column in enumerate(self.table.columns):
            values[:, i] = column.to_numpy()
        return values


@dataclass(frozen=True)
class Task:
    """What components see of a dataset: records without gold, and what blocking kept of them.

    ledger: what the whole run, all its datasets, has spent on teachers.
    """

    records: Records
    candidates: CandidateSet
    store: Store
    threads: int = 2
    ledger: Ledger = field(default_factory=Ledger.without_limit)

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.records.name

    @property
    def key(self) -> str:
        """Names records and candidates together in the store's keys."""
        return f"{self.records.key}:{self.candidates.key}"

    @property
    def features_key(self) -> str:
        """Like `key`, for what is made from the features: another version of these gives another key."""
        return f"{self.key}:features-{features.VERSION}"

    @cached_property
    def features(self) -> FeatureSet:
        """Similarity features of all pairs, computed once and kept in the store."""

        def make() -> FeatureSet:
            names, matrix = features.similarity_features(
                self.records.queries,
                self.records.candidates,
                rows_of(self.records.query_ids, self.candidates.table["query_id"].to_numpy(), "queries"),
                rows_of(self.records.candidate_ids, self.candidates.candidate_ids, "candidates"),
                workers=self.threads,
            )
            return FeatureSet(pa.table({name: matrix[:, i] for i, name in enumerate(names)}))

        return self.store.produce(FeatureSet, [], [self.records.key, self.candidates.key], make)
