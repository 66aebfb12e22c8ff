"""Two sources on the queries both answered: what one won and lost against the other."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Compared:
    """Queries by who is right; ids of one dataset, ascending.

    won: the first alone is right. lost: the second alone. agreed: on how many both chose the same, right or not.
    """

    both: np.ndarray
    won: np.ndarray
    lost: np.ndarray
    neither: np.ndarray
    agreed: int

    @property
    def queries(self) -> int:
        """How many queries both answered."""
        return len(self.both) + len(self.won) + len(self.lost) + len(self.neither)


def compared(first: pa.Table, second: pa.Table) -> Compared:
    """Outcomes (see `outcomes.SCHEMA`) of two sources about one dataset; queries that only one answered are left out."""
    ours, theirs = (table.sort_by("query_id") for table in (first, second))
    ids = np.intersect1d(ours["query_id"].to_numpy(), theirs["query_id"].to_numpy())
    rows = [np.searchsorted(table["query_id"].to_numpy(), ids) for table in (ours, theirs)]
    a, b = (table["right"].to_numpy(zero_copy_only=False)[row] for table, row in zip((ours, theirs), rows, strict=True))
    choices = [_choice(table)[row] for table, row in zip((ours, theirs), rows, strict=True)]
    return Compared(ids[a & b], ids[a & ~b], ids[~a & b], ids[~a & ~b], int((choices[0] == choices[1]).sum()))


def sign_test(won: int, lost: int) -> float:
    """Two-sided probability of a split at least as uneven if both were equally good, in (0, 1] (McNemar, exact)."""
    n, few = won + lost, min(won, lost)
    log_half = n * math.log(0.5)
    terms = (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + log_half for k in range(few + 1))
    return min(1.0, 2 * math.fsum(math.exp(term) for term in terms))


def _choice(table: pa.Table) -> np.ndarray:
    """The candidate chosen; -1 for "none", below it what is no single choice."""
    choice = table["choice"].to_numpy()
    return np.where(choice > 0, table["chosen_id"].to_numpy(), choice - 1)
