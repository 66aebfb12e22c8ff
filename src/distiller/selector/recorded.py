"""Use a selection that was recorded with the dataset."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv

from distiller.config import DistillerError, component, nearest
from distiller.selector.base import Ranking, Selector
from distiller.task import Task

COLUMNS = {"query_id": pa.int64(), "part": pa.string()}


@component
class Recorded(Selector):
    """The queries of part `train` in the file `splits/<name>.csv`; it decides how many, so there is no budget."""

    name: str = "blocking_max"

    def reads(self, folder: Path | None) -> list[Path]:
        """The file of the split.

        Raises:
            DistillerError: the dataset has no such split.
        """
        if folder is None:
            raise DistillerError(
                "selector=recorded needs a dataset that comes with recorded splits, such as dataset=abt-buy; "
                "choose another dataset or another selector"
            )
        file = folder / "splits" / f"{self.name}.csv"
        if not file.is_file():
            known = sorted(other.stem for other in file.parent.glob("*.csv"))
            raise DistillerError(
                f"{folder.name} has no recorded split of selector.name={self.name}{nearest(self.name, known)}"
            )
        return [file]

    def select(self, task: Task, pool: np.ndarray, gold: pa.Table | None = None) -> Ranking:
        """The recorded training queries.

        Raises:
            DistillerError: the dataset has no such split, it cannot be read, or queries of it are not in the pool.
        """
        selected = self._train(task)
        outside = np.setdiff1d(selected, pool)
        if len(outside):
            raise DistillerError(
                f"{len(outside)} of the {len(selected)} training queries of the split {self.name} of {task.name} have "
                f"no candidates or are set aside for the test, the first is {outside[0]}; "
                "set blocker=recorded and protocol=paper"
            )
        return Ranking(selected)

    def _train(self, task: Task) -> np.ndarray:
        (file,) = self.reads(task.records.folder)
        try:
            table = pv.read_csv(
                file, convert_options=pv.ConvertOptions(include_columns=list(COLUMNS), column_types=COLUMNS)
            )
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
            raise DistillerError(
                f"the split {file} cannot be read: {str(error).splitlines()[0]}; "
                f"it needs the columns {', '.join(COLUMNS)}"
            ) from error
        if lost := table["query_id"].null_count:
            raise DistillerError(f"the split {file} has {lost} lines without a query_id; restore it")
        odd = sorted(set(table["part"].to_pylist()) - {"train", "test", "unused"}, key=str)
        selected = np.unique(table["query_id"].to_numpy()[table["part"].to_numpy(zero_copy_only=False) == "train"])
        if odd or not len(selected):
            found = f"parts {odd}" if odd else "no query of part train"
            raise DistillerError(f"the split {file} has {found}; parts are train, test and unused")
        return selected
