"""What every protocol fixes: which queries may be labelled and which are scored."""

import numpy as np

from distiller.config import Component
from distiller.records import Records


class Protocol(Component):
    """Keeps what is learnt from apart from what is scored."""

    def pool(self, query_ids: np.ndarray, records: Records | None = None) -> np.ndarray:
        """The queries a selector may choose from, ascending, of those that have candidates.

        records: the dataset, without gold, for protocols that need more than ids.
        """
        raise NotImplementedError

    def test(self, query_ids: np.ndarray, selected: np.ndarray, records: Records | None = None) -> np.ndarray:
        """The queries that are scored, ascending, of all queries (those without candidates included)."""
        raise NotImplementedError
