"""Score every query that was not labelled."""

import numpy as np

from distiller.config import component
from distiller.protocol.base import Protocol
from distiller.records import Records


@component
class Paper(Protocol):
    """The reference's protocol: all queries with candidates may be labelled, all that were not are scored.

    Each selector is then scored on other queries (fault Q8 of the reference); to compare selectors use `fixed`.
    """

    def pool(self, query_ids: np.ndarray, records: Records | None = None) -> np.ndarray:
        return query_ids

    def test(self, query_ids: np.ndarray, selected: np.ndarray, records: Records | None = None) -> np.ndarray:
        return np.setdiff1d(query_ids, selected)
