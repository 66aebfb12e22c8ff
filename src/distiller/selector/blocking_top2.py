"""Select the queries whose two best candidates are, together, the most and the least similar."""

import numpy as np

from distiller import ragged
from distiller.config import component
from distiller.selector.blocking_max import BlockingMax


@component
class BlockingTop2(BlockingMax):
    """Like `BlockingMax`, but by the mean of the two largest similarities; of the only one where there is one.

    Source: DistillER, section on data selection (strategy `blocking_top2`).
    """

    def score(self, similarity: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        best = ragged.top_two(similarity, offsets, fill=0.0)
        return best.sum(axis=1) / np.minimum(np.diff(offsets), 2)
