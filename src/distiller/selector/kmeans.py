"""Select from two clusters of queries found by k-means."""

import numpy as np
from threadpoolctl import threadpool_limits

from distiller.config import component
from distiller.selector.clusters import Clustered

START = 42  # random state of the starting centres in the reference; only the draws follow the seed


@component
class KMeans(Clustered):
    """Clusters by 2-means with 10 starts. Source: DistillER, strategy `clustering_kmeans`."""

    def clusters(self, name: str, counts: np.ndarray) -> np.ndarray:
        from sklearn.cluster import KMeans as TwoMeans

        with threadpool_limits(1):  # sums in another order could move a query that lies between both centres
            return TwoMeans(2, n_init=10, random_state=START).fit_predict(counts)
