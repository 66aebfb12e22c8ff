"""Use candidates that were recorded with the dataset."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv

from distiller.artifacts import CandidateSet
from distiller.blocker.base import Blocker
from distiller.config import DistillerError, component
from distiller.records import Records, rows_of

FILE = "candidates.csv.gz"
COLUMNS = {"left_id": pa.int64(), "right_id": pa.int64(), "position": pa.int16(), "score": pa.float32()}


@component
class Recorded(Blocker):
    """The candidates of `candidates.csv.gz` in the order in which teachers were shown them.

    similarity: the recorded score, clipped to [0, 1].
    """

    ANY_TABLES = False

    def reads(self, folder: Path | None) -> list[Path]:
        """The file of candidates.

        Raises:
            DistillerError: the dataset has none.
        """
        if folder is None or not (folder / FILE).is_file():
            where = f"{folder / FILE} is missing" if folder else "it comes without recorded parts"
            raise DistillerError(f"blocker=recorded: the dataset has no candidates, {where}; choose blocker=tfidf")
        return [folder / FILE]

    def block(self, records: Records, threads: int) -> CandidateSet:
        """The recorded candidates.

        Raises:
            DistillerError: the dataset has no such file, it cannot be read, or it names records that are not there.
        """
        (file,) = self.reads(records.folder)
        try:
            table = pv.read_csv(
                file, convert_options=pv.ConvertOptions(include_columns=list(COLUMNS), column_types=COLUMNS)
            )
        except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, EOFError) as error:
            raise DistillerError(
                f"blocker=recorded: {file} cannot be read: {str(error).splitlines()[0]}; "
                f"it needs the columns {', '.join(COLUMNS)}"
            ) from error
        empty = [name for name in COLUMNS if table[name].null_count]
        if empty or not table.num_rows:
            raise DistillerError(f"blocker=recorded: {file} has empty cells in {empty or 'all columns'}; restore it")
        query_ids, candidate_ids = table["left_id"].to_numpy(), table["right_id"].to_numpy()
        if table.group_by(["left_id", "right_id"]).aggregate([]).num_rows < table.num_rows:
            raise DistillerError(f"blocker=recorded: {file} names some pair twice; restore it")
        rows_of(records.query_ids, query_ids, f"queries of {records.name}, although {FILE} names them")
        rows_of(records.candidate_ids, candidate_ids, f"candidates of {records.name}, although {FILE} names them")
        return CandidateSet(
            pa.table(
                {
                    "query_id": query_ids,
                    "candidate_id": candidate_ids,
                    "similarity": np.clip(table["score"].to_numpy(), 0, 1),
                    "position": table["position"].to_numpy(),
                }
            )
        )
