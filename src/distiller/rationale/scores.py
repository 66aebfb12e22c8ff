"""Score explanations: grounded, consistent with the answer, specific.

No score reads gold or asks a model, so explanations can be filtered by them before anything is learnt.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from distiller.artifacts import AnswerSet, Artifact
from distiller.config import DistillerError
from distiller.rationale.attributes import vocabulary
from distiller.rationale.citations import Contents, attribute_names, cites
from distiller.rationale.quoted import quotes
from distiller.rationale.verdict import contradiction
from distiller.task import Task

_RATES = ("grounded", "invented", "consistent", "specific")


@dataclass
class RationaleScores(Artifact):
    """How good the explanations of one answer set are: one row per answer, all scores in [0, 1].

    grounded: share of the values quoted that stand in the query record or in the chosen candidate (for "none": in the query
      record or any candidate shown); null where nothing is quoted.
    invented: share of the values quoted that stand in no record shown at all; null where nothing is quoted.
    consistent: 1 unless the explanation contradicts the answer; `contradiction` says how it does.
    specific: 1 if it names an attribute of the tables or quotes a value of the records that `grounded` looks at, else 0.
    n_quotes: number of values quoted. cites: attributes of the query record given as reasons.
    All are null where there is no explanation or the answer was not read.
    """

    SCHEMA = pa.schema(
        [
            ("query_id", pa.int64()),
            ("grounded", pa.float64()),
            ("invented", pa.float64()),
            ("consistent", pa.float64()),
            ("specific", pa.float64()),
            ("n_quotes", pa.int32()),
            ("contradiction", pa.string()),
            ("cites", pa.list_(pa.string())),
        ]
    )

    def check(self) -> None:
        for name in _RATES:
            values = self._column(name)
            if len(values) and (np.nanmin(values, initial=0) < 0 or np.nanmax(values, initial=0) > 1):
                raise DistillerError(f"the scores {name!r} of explanations must lie in [0, 1]")

    def rate(self, name: str) -> np.ndarray:
        """One of the scores, [n_answers]; NaN where it does not apply."""
        return self.table[name].to_numpy()


def score_rationales(task: Task, answers: AnswerSet) -> RationaleScores:
    """Scores of the explanations in the column `rationale` of `answers`, in their order."""
    names = vocabulary(attribute_names(task))
    queries = Contents(task.records.queries, answers.query_ids, "queries")
    candidates = Contents(task.records.candidates, answers.option_ids, "candidates")
    rows = []
    texts = answers.table["rationale"].to_pylist()
    for i, (query_id, text, choice) in enumerate(
        zip(answers.query_ids.tolist(), texts, answers.choice.tolist(), strict=True)
    ):
        row = {"query_id": query_id}
        rows.append(row)
        if not text or choice < 0:
            continue
        shown = answers.option_ids[answers.offsets[i] : answers.offsets[i + 1]].tolist()
        query = queries[query_id]
        about = [shown[choice - 1]] if choice else shown
        quoted, named = quotes(text, names.words), names.mentions(text)
        standing = [query.holds(q) or any(candidates[c].holds(q) for c in about) for q in quoted]
        against = contradiction(text, choice, len(shown))
        row |= {
            "consistent": float(against is None),
            "specific": float(any(standing) or bool(named)),
            "n_quotes": len(quoted),
            "contradiction": against,
            "cites": cites(text, choice, query, named, quoted),
        }
        if quoted:
            others = [q for q, stands in zip(quoted, standing, strict=True) if not stands]
            invented = [q for q in others if not any(candidates[c].holds(q) for c in shown)]
            row |= {"grounded": sum(standing) / len(quoted), "invented": len(invented) / len(quoted)}
    return RationaleScores(pa.Table.from_pylist(rows, RationaleScores.SCHEMA))


def summary(scores: RationaleScores, among: np.ndarray | None = None) -> dict[str, float]:
    """Means and counts for a scorecard, all names with the prefix `rationale_`.

    among: which answers count, [n_answers] bool; all where None. Means are over the answers a score applies to, 0 where
    there are none. Counts: `answers`, `explained` (read and explained), `quotes_nothing` (of these, those without a quote).
    """
    keep = np.ones(scores.table.num_rows, bool) if among is None else np.asarray(among, bool)
    told = {f"rationale_{name}": _mean(scores.rate(name)[keep]) for name in _RATES}
    n_quotes = scores.table["n_quotes"].fill_null(-1).to_numpy()[keep]
    return told | {
        "rationale_answers": float(keep.sum()),
        "rationale_explained": float((n_quotes >= 0).sum()),
        "rationale_quotes_nothing": float((n_quotes == 0).sum()),
    }


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0
