"""Sets of labelled record pairs with the customary split into train, valid and test."""

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from distiller.config import DistillerError, component, nearest, runtime
from distiller.dataset.base import Dataset
from distiller.dataset.benchmark import Name
from distiller.dataset.delimited import read_delimited
from distiller.records import Records, checked

FOLDER = "pairs"
PARTS = ("train", "valid", "test")
QUERY, CANDIDATE = "left_", "right_"


@component
class PairSet(Dataset):
    """The pairs of `root/pairs/<name>/{train,valid,test}.csv.gz`: `pair_id`, `label` (0, 1), `left_...` and `right_...`.

    Every pair is a query of its own with one candidate, so its options are "none" and the candidate. That is the task as
    the field states it: the split is over pairs, not records; a record occurs in many pairs, in several parts and with
    several matches, and each pair is judged alone. Queries with candidate lists would put pairs of different parts into
    one question, and one-to-one matching would use what the task does not promise. As each pair has rows of its own in
    both tables, nothing that compares a pair with its rivals sees the other pairs of a record, and disambiguation finds
    no conflict. Binary F1 over the test pairs is then `pair_f1` of the answers to the test queries.

    A pair's id is its number in the order train, valid, test, in both tables; its name is `<part>-<pair_id>`. The labels
    are gold matches, kept apart like all gold.

    size: which of several training sets, for sets that have `train_<size>` and `valid_<size>`; null for the others.

    Source: Mudgal et al. 2018 (SIGMOD), the sets and splits; Primpeli, Peeters, Bizer 2019 (WWW), the WDC sets.
    """

    name: Name
    size: Literal["small", "medium", "large", "xlarge"] | None = None
    root: Path | None = runtime(None)

    def dataset_name(self) -> str:
        """The name under which scores are reported."""
        return self.name if self.size is None else f"{self.name}-{self.size}"

    def load(self) -> Records:
        """One query and one candidate per pair, the matches, the pairs, and the part of each query.

        Raises:
            DistillerError: the set is nowhere, has no such size, or a file of it is missing or broken.
        """
        folder = self.folder()
        tables = {part: self._part(folder, part) for part in PARTS}
        whole = pa.concat_tables(tables.values())
        parts = pa.array(np.repeat(PARTS, [table.num_rows for table in tables.values()]).tolist(), pa.string())
        ids = pa.array(np.arange(whole.num_rows, dtype=np.int64))
        matching = ids.filter(pc.equal(whole["label"], "1").combine_chunks())
        names = pc.binary_join_element_wise(parts, whole["pair_id"].combine_chunks(), "-")
        return checked(
            self.dataset_name(),
            _side(whole, QUERY, ids, folder),
            _side(whole, CANDIDATE, ids, folder),
            pa.table({"query_id": matching, "candidate_id": matching}),
            query_names=names,
            candidate_names=names,
            folder=folder,
            pairs=pa.table({"query_id": ids, "candidate_id": ids}),
            parts=parts,
        )

    def folder(self) -> Path:
        """Where the set lies.

        Raises:
            DistillerError: nowhere; pair sets are not downloaded.
        """
        if self.root is None:
            raise DistillerError(
                f"{self.name} is a set of pairs, which is not downloaded; set data.root= to a folder that holds "
                f"{FOLDER}/{self.name}"
            )
        everything = self.root.expanduser() / FOLDER
        folder = everything / self.name
        if not folder.is_dir():
            known = sorted(p.name for p in everything.iterdir() if p.is_dir()) if everything.is_dir() else []
            raise DistillerError(f"data.root={self.root} has no folder {FOLDER}/{self.name}{nearest(self.name, known)}")
        return folder

    def _part(self, folder: Path, part: str) -> pa.Table:
        stem = part if self.size is None or part == "test" else f"{part}_{self.size}"
        path = folder / f"{stem}.csv.gz"
        if not path.is_file():
            known = sorted(p.name for p in folder.glob("*.csv.gz"))
            raise DistillerError(
                f"{folder} has no {path.name}{nearest(path.name, known)}; choose another dataset.size or restore the file"
            )
        table = read_delimited(path, ",")
        lost = [name for name in ("pair_id", "label") if name not in table.column_names or table[name].null_count]
        if lost:
            raise DistillerError(f"{path} has no value of {' and '.join(lost)} in some row; restore the file")
        odd = sorted(set(table["label"].unique().to_pylist()) - {"0", "1"})
        if odd:
            raise DistillerError(f"{path} has the labels {', '.join(odd)}; a pair is labelled 0 or 1, restore the file")
        return table


def _side(table: pa.Table, prefix: str, ids: pa.Array, folder: Path) -> pa.Table:
    """One record of every pair."""
    own = {name.removeprefix(prefix): table[name] for name in table.column_names if name.startswith(prefix)}
    if not own:
        raise DistillerError(f"the files of {folder} have no column that begins with {prefix}; restore them")
    return pa.table({"id": ids, **own})
