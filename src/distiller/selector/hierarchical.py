"""Select from two clusters of queries found by agglomerative clustering."""

import numpy as np

from distiller.config import DistillerError, component
from distiller.selector.clusters import Clustered

MOST_QUERIES = 30_000  # their distances take 3.6 GB


@component
class Hierarchical(Clustered):
    """Clusters by Ward's criterion on Euclidean distances. Source: DistillER, strategy `clustering_hierarchical`.

    Needs memory and time quadratic in the number of queries.
    """

    def clusters(self, name: str, counts: np.ndarray) -> np.ndarray:
        """Cluster of each query.

        Raises:
            DistillerError: there are more than `MOST_QUERIES`.
        """
        from scipy.cluster.hierarchy import cut_tree, ward

        if len(counts) > MOST_QUERIES:
            raise DistillerError(
                f"selector=hierarchical compares all pairs of queries, and {name} has {len(counts)} of them "
                f"(at most {MOST_QUERIES}); choose selector=kmeans"
            )
        return cut_tree(ward(counts), n_clusters=2)[:, 0]
