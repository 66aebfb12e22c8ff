"""Score a part of the queries that is set aside before anything is selected."""

import hashlib
from typing import Annotated

import numpy as np
from pydantic import Field

from distiller.config import DistillerError, component
from distiller.protocol.base import Protocol
from distiller.records import Records


@component
class Fixed(Protocol):
    """Test queries are those whose hashed id falls below `test_share`: the same for every selector, budget and seed.

    Which side a query is on depends on its id and the salt alone, so it stays there when records come or go. The share
    holds on average: of n queries, within about sqrt(test_share * (1 - test_share) / n).
    """

    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    salt: str = "distiller"

    def pool(self, query_ids: np.ndarray, records: Records | None = None) -> np.ndarray:
        """The queries that are not set aside.

        Raises:
            DistillerError: none is left.
        """
        rest = query_ids[~self._aside(query_ids)]
        if not len(rest):
            raise DistillerError(self._fault(len(query_ids), "to label", "lower"))
        return rest

    def test(self, query_ids: np.ndarray, selected: np.ndarray, records: Records | None = None) -> np.ndarray:
        """The queries set aside.

        Raises:
            DistillerError: there is none.
        """
        aside = query_ids[self._aside(query_ids)]
        if not len(aside):
            raise DistillerError(self._fault(len(query_ids), "to score", "raise"))
        return aside

    def _fault(self, n: int, purpose: str, way: str) -> str:
        share = f"protocol.test_share={self.test_share}"
        return f"{share} of {n} queries leaves none {purpose}; {way} it or change protocol.salt"

    def _aside(self, query_ids: np.ndarray) -> np.ndarray:
        key = np.uint64(int.from_bytes(hashlib.sha256(self.salt.encode()).digest()[:8], "big"))
        hashed = mixed(mixed(query_ids.astype(np.int64).view(np.uint64)) ^ key)
        return hashed < np.uint64(int(self.test_share * 2.0**64))


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Each uint64 as another one, one to one, whose bits all depend on all bits of it.

    Source: the finalizer of SplitMix64, Steele, Lea, Flood 2014.
    """
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
