"""Scores of matching, each under a name of its own.

* selection accuracy: share of queries whose choice, "none" included, is right. The DistillER paper calls this F1.
* pair F1: precision and recall of the chosen pairs against the gold pairs among the candidates.
* match F1: the same precision, recall against all gold matches of the evaluated queries.
* end-to-end F1: the same precision, recall against all gold matches of the side that is scored, also of queries that
  blocking left without candidates.

Evaluated queries are those that have candidates. Where a ratio has nothing to divide by it is 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from distiller import ragged
from distiller.artifacts import AnswerSet, CandidateSet

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Truth:
    """Gold matches as a scorer needs them; the only place where answers meet gold.

    evaluated: ids of the queries scored that have candidates, ascending, [n_queries].
    candidates: the candidate set they were asked about.
    matches: all gold pairs of the scored side (query_id, candidate_id), [n_matches, 2], also of queries without candidates.
    """

    evaluated: np.ndarray
    candidates: CandidateSet
    matches: np.ndarray

    @classmethod
    def of(cls, candidates: CandidateSet, gold: pa.Table, scored: np.ndarray) -> "Truth":
        """The truth about the queries `scored` (ids, with candidates or without)."""
        pairs = np.column_stack([gold["query_id"].to_numpy(), gold["candidate_id"].to_numpy()])
        evaluated = candidates.query_ids[np.isin(candidates.query_ids, scored)]
        return cls(evaluated, candidates, pairs[np.isin(pairs[:, 0], scored)])

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows in the candidate set of the evaluated queries' pairs, and their offsets."""
        return self.candidates.of(self.evaluated)

    def gold_pairs(self) -> np.ndarray:
        """Whether each pair of an evaluated query is a match, [n_pairs]."""
        rows, offsets = self.rows()
        pairs = np.column_stack([self.evaluated[ragged.owner(offsets)], self.candidates.candidate_ids[rows]])
        return _among(pairs, self.matches)


def score_answers(answers: AnswerSet, truth: Truth) -> dict[str, Any]:
    """All metrics of answers to exactly the evaluated queries of `truth`; rates in [0, 1], counts as whole numbers.

    A reply that could not be read (parse failed) is wrong and claims no pair.
    """
    answers = answers.of(truth.evaluated)
    claims = answers.chosen_ids >= 0
    pairs = np.column_stack([answers.query_ids, answers.chosen_ids])[claims]
    abstained = answers.query_ids[answers.choice == 0]
    scores = score_pairs(pairs, abstained, truth)
    scores["parse_failures"] = int((answers.choice < 0).sum())
    # One answer per query makes the set F1 an accuracy; an unread reply is an answer that is wrong.
    correct = scores["selection_precision"] * (len(pairs) + len(abstained))
    scores["selection_accuracy"] = _ratio(correct, len(truth.evaluated))
    if (answers.soft & (answers.choice >= 0)).any():
        scores |= calibration(answers, truth)
    return scores


def score_pairs(pairs: np.ndarray, abstained: np.ndarray, truth: Truth) -> dict[str, Any]:
    """All metrics that need no probability, of any set of claimed pairs.

    pairs: (query id, candidate id), [n_claims, 2]; a query may claim several. abstained: ids of queries that chose "none".
    Pair-wise matchers, which answer each pair alone, are scored here too: their abstained queries claim no pair. Then
    "selection accuracy" is the F1 over the set of (query, candidate or "none") answers, which is the accuracy where
    every query has one answer.
    """
    gold_pairs = truth.gold_pairs()
    inside = int(gold_pairs.sum())
    _, offsets = truth.rows()
    has_match = ragged.segment_sum(gold_pairs, offsets) > 0
    right = int(_among(pairs, truth.matches).sum())
    none_is_right = truth.evaluated[~has_match]
    rightly_none = int(np.isin(abstained, none_is_right).sum())
    reachable = int(np.isin(truth.matches[:, 0], truth.evaluated).sum())
    claimed = len(pairs) + len(abstained)
    selection = _prf(right + rightly_none, claimed, inside + len(none_is_right))
    pair, match, end = (_prf(right, len(pairs), n) for n in (inside, reachable, len(truth.matches)))
    return {
        "queries": len(truth.evaluated),
        "matches": len(truth.matches),
        "matches_among_candidates": inside,
        "claimed_pairs": len(pairs),
        "selection_accuracy": selection[2],
        "selection_precision": selection[0],
        "selection_recall": selection[1],
        "pair_precision": pair[0],
        "pair_recall": pair[1],
        "pair_f1": pair[2],
        "match_recall": match[1],
        "match_f1": match[2],
        "end_to_end_recall": end[1],
        "end_to_end_f1": end[2],
        "abstention_accuracy": _ratio(rightly_none, len(none_is_right)),
    }


def calibration(answers: AnswerSet, truth: Truth) -> dict[str, float]:
    """How well probabilities of answers fit the truth; only answers that come with a distribution count.

    ece: expected calibration error of the chosen option in 15 bins of equal width, in [0, 1] (Naeini et al. 2015).
    brier: mean over queries of the squared error summed over all options, in [0, 2] (Brier 1950). Several matches of one
    query count as one option: whichever of them is chosen is right.
    """
    answers = AnswerSet(answers.table.filter(pa.array(answers.soft & (answers.choice >= 0))))
    pairs = np.column_stack([answers.query_ids[ragged.owner(answers.offsets)], answers.option_ids])
    is_match = _among(pairs, truth.matches).astype(float)
    none = ragged.segment_sum(is_match, answers.offsets) == 0
    target = ragged.with_none(is_match, none.astype(float), answers.offsets)
    begins = ragged.option_offsets(answers.offsets)
    on_right = ragged.segment_sum(answers.distribution * target, begins)
    on_wrong = ragged.segment_sum((answers.distribution * (1 - target)) ** 2, begins)
    brier = ((1 - on_right) ** 2 + on_wrong).mean()
    chosen = begins[:-1] + answers.choice
    confidence, correct = answers.distribution[chosen], target[chosen] > 0
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.abs(np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS))
    return {"ece": float(gaps.sum() / len(confidence)), "brier": float(brier)}


def blocking(candidates: CandidateSet, gold: pa.Table | None) -> dict[str, Any]:
    """Number of pairs and queries a blocker kept and, where gold is known, its recall and precision."""
    facts: dict[str, Any] = {"pairs": candidates.table.num_rows, "queries": len(candidates.query_ids)}
    if gold is not None:
        truth = Truth.of(candidates, gold, np.union1d(candidates.query_ids, gold["query_id"].to_numpy()))
        found = int(truth.gold_pairs().sum())
        facts |= {"recall": _ratio(found, gold.num_rows), "precision": _ratio(found, facts["pairs"])}
    return facts


def mean(scores: list[dict[str, Any]]) -> dict[str, float]:
    """Unweighted mean over datasets of every score they all have."""
    shared = set.intersection(*(set(s) for s in scores)) if scores else set()
    return {name: float(np.mean([s[name] for s in scores])) for name in scores[0] if name in shared} if scores else {}


def _among(pairs: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Whether each row of `pairs` is a row of `known`, both [n, 2], [n_pairs]."""
    if not len(pairs) or not len(known):
        return np.zeros(len(pairs), dtype=bool)
    both = np.ascontiguousarray(np.vstack([pairs, known]).astype(np.int64)).view([("q", np.int64), ("c", np.int64)])[
        :, 0
    ]
    _, codes = np.unique(both, return_inverse=True)
    return np.isin(codes[: len(pairs)], codes[len(pairs) :])


def _prf(right: int, claimed: int, wanted: int) -> tuple[float, float, float]:
    return _ratio(right, claimed), _ratio(right, wanted), _ratio(2 * right, claimed + wanted)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
