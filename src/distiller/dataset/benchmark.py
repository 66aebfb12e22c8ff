"""The benchmark datasets: two tables, gold matches, and what was recorded about them."""

import logging
from pathlib import Path
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from distiller.config import DistillerError, component, runtime
from distiller.dataset.base import Dataset
from distiller.dataset.delimited import read_delimited
from distiller.records import Records, checked

log = logging.getLogger(__name__)
Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
QUERIES, CANDIDATES, MATCHES = "left.csv.gz", "right.csv.gz", "matches.csv"


@component
class Benchmark(Dataset):
    """A dataset in a folder of its own below `root`, else below `cache`, else from the authors' repository.

    The folder holds `left.csv.gz` (queries) and `right.csv.gz` (candidates), each with a column `id` of whole numbers,
    and `matches.csv` with the columns `left_id` and `right_id`; beside them lie candidates, splits and recorded
    answers. Every attribute is text, an empty one is null.
    """

    name: Name
    root: Path | None = runtime(None)
    cache: Path | None = runtime(None)
    url: str | None = runtime(None)

    def dataset_name(self) -> str:
        """The name under which scores are reported."""
        return self.name

    def load(self) -> Records:
        """Both tables, the gold matches and the folder of recorded parts; downloaded first where need be.

        Raises:
            DistillerError: the dataset is nowhere and cannot be downloaded, or a file of it is missing or broken.
        """
        folder = self.folder()
        queries, candidates = (_with_ids(folder / file, ["id"]) for file in (QUERIES, CANDIDATES))
        matches = _with_ids(folder / MATCHES, ["left_id", "right_id"]).select(["left_id", "right_id"])
        matches = matches.rename_columns(["query_id", "candidate_id"])
        return checked(self.name, queries, candidates, matches, folder=folder)

    def folder(self) -> Path:
        """Where the dataset lies, after it was downloaded where need be."""
        if self.root is not None:
            folder = self.root.expanduser() / self.name
            if folder.is_dir():
                return folder
            level = logging.INFO if folder.parent.is_dir() else logging.WARNING
            log.log(level, "data.root=%s has no folder %s; looking elsewhere", self.root, self.name)
        from distiller.dataset.download import obtain

        return obtain(self.name, self.cache, self.url)


def _with_ids(path: Path, ids: list[str]) -> pa.Table:
    """A table of a benchmark, the columns `ids` as whole numbers, all others as text."""
    table = read_delimited(path, ",")
    for name in ids:
        if name not in table.column_names:
            raise DistillerError(f"{path} has no column {name!r}; get the dataset again")
        try:
            numbers = table[name].cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise DistillerError(
                f"{path}: ids in column {name!r} must be whole numbers: {error}; get the dataset again"
            ) from error
        table = table.set_column(table.column_names.index(name), name, numbers)
    return table
