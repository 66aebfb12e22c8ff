"""Use the pairs that the dataset itself gives to be judged."""

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import CandidateSet
from distiller.blocker.base import Blocker
from distiller.blocker.grams import tfidf
from distiller.blocker.tfidf import Tfidf
from distiller.config import DistillerError, component
from distiller.records import Records, rows_of

ROWS_AT_ONCE = 50_000  # pairs whose vectors are multiplied at a time


@component
class Given(Blocker):
    """The dataset's own pairs, such as those of a set of labelled pairs; nothing is added and nothing left out.

    similarity: cosine of character 3-4-gram TF-IDF vectors over all attribute values, in [0, 1], as blocker=tfidf has it.
    """

    ANY_TABLES = False

    def block(self, records: Records, threads: int) -> CandidateSet:
        """The given pairs, the most similar candidate of a query first, equals by id.

        Raises:
            DistillerError: the dataset gives no pairs.
        """
        if records.pairs is None:
            raise DistillerError(
                f"blocker=given: {records.name} gives no pairs to be judged; choose blocker=tfidf or a set of pairs, "
                "such as dataset=beer-structured"
            )
        query_ids, candidate_ids = (records.pairs[name].to_numpy() for name in ("query_id", "candidate_id"))
        texts = Tfidf(chunk=ROWS_AT_ONCE).texts(records)
        a, b = tfidf(*texts, (3, 4), threads)
        a = a[rows_of(records.query_ids, query_ids, f"queries of {records.name}, although its pairs name them")]
        b = b[
            rows_of(records.candidate_ids, candidate_ids, f"candidates of {records.name}, although its pairs name them")
        ]
        parts = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(query_ids), ROWS_AT_ONCE)]
        cosine = np.concatenate([np.asarray(a[part].multiply(b[part]).sum(1)).ravel() for part in parts])
        similarity = np.clip(cosine, 0, 1).astype(np.float32)
        order = np.lexsort((candidate_ids, -similarity, query_ids))
        _, offsets = ragged.offsets_of(query_ids[order])
        position = np.arange(len(order)) - offsets[:-1][ragged.owner(offsets)] + 1
        return CandidateSet(
            pa.table(
                {
                    "query_id": query_ids[order],
                    "candidate_id": candidate_ids[order],
                    "similarity": similarity[order],
                    "position": position.astype(np.int16),
                }
            )
        )
