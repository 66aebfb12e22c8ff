"""What every blocker gives: for each query the few candidates worth comparing."""

from typing import ClassVar

from distiller.artifacts import CandidateSet
from distiller.config import Component
from distiller.records import Records


class Blocker(Component):
    """Reduces all pairs of two tables to a candidate set."""

    #: Whether it can block tables that it has never seen, or only reads what a dataset brings with it.
    ANY_TABLES: ClassVar[bool] = True

    def block(self, records: Records, threads: int) -> CandidateSet:
        """Candidates of each query, best first; a query for which nothing was found has no row.

        `records` come without gold unless USES_GOLD. `threads` changes speed only.
        """
        raise NotImplementedError
