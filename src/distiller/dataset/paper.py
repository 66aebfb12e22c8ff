"""The eight datasets of the paper, worked through together with one pooled student."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from distiller.config import DistillerError, component, runtime
from distiller.dataset.base import Dataset
from distiller.dataset.benchmark import Benchmark, Name
from distiller.records import Records


def _once_each(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError(f"must name each dataset once, got {names}")
    return names


@component
class Paper(Dataset):
    """Several benchmark datasets; `root`, `cache` and `url` are theirs."""

    names: Annotated[list[Name], Field(min_length=1), AfterValidator(_once_each)]
    root: Path | None = runtime(None)
    cache: Path | None = runtime(None)
    url: str | None = runtime(None)

    def parts(self) -> dict[str, Dataset]:
        """The datasets by name, in the order listed."""
        return {name: Benchmark(name=name, root=self.root, cache=self.cache, url=self.url) for name in self.names}

    def dataset_name(self) -> str:
        """The name of the collection."""
        return "paper"

    def load(self) -> Records:
        """Never anything: the collection has no tables of its own.

        Raises:
            DistillerError: always.
        """
        raise DistillerError("dataset=paper is several datasets with no common tables; load each of its parts()")
