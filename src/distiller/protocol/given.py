"""Score the test part of the dataset's own split."""

import numpy as np

from distiller.config import DistillerError, component
from distiller.protocol.base import Protocol
from distiller.records import Records, rows_of


@component
class Given(Protocol):
    """The dataset's own split: queries of its part train may be labelled, those of its part test are scored.

    validation: whether the part valid may be labelled, too. Students choose rounds and epochs on teacher answers that they
    have not learnt from, so they need no validation part; matchers that need one choose their epoch by its gold labels.
    """

    validation: bool = False

    def pool(self, query_ids: np.ndarray, records: Records | None = None) -> np.ndarray:
        """The queries of the training part.

        Raises:
            DistillerError: the dataset has no split.
        """
        return self._of(query_ids, records, ("train", "valid") if self.validation else ("train",))

    def test(self, query_ids: np.ndarray, selected: np.ndarray, records: Records | None = None) -> np.ndarray:
        """The queries of the test part.

        Raises:
            DistillerError: the dataset has no split.
        """
        return self._of(query_ids, records, ("test",))

    def _of(self, query_ids: np.ndarray, records: Records | None, parts: tuple[str, ...]) -> np.ndarray:
        if records is None or records.parts is None:
            name = "" if records is None else f" and {records.name} has none"
            raise DistillerError(
                f"protocol=given needs a dataset with a split of its own{name}; choose protocol=paper or fixed"
            )
        own = records.parts.to_numpy(zero_copy_only=False)[rows_of(records.query_ids, query_ids, "queries")]
        found = query_ids[np.isin(own, parts)]
        if not len(found):
            raise DistillerError(f"{records.name} has no query of the part {' or '.join(parts)} that has candidates")
        return found
