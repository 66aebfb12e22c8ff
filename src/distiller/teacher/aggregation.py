"""What several teachers say about the same queries, and how much each of them is to be believed, told without gold."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.config import DistillerError
from distiller.student.base import Lesson
from distiller.task import Task

#: Of the library's expectation-maximisation; on the recorded answers nothing moved by more than 0.0001 after 25.
ROUNDS = 50
TINY = 1e-30
#: A member that seems no better than a guess still counts where nobody else answers.
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Ballots:
    """The votes of several members about the same queries.

    offsets: where the candidates of each query begin, [n_queries + 1]. shares: what of its one vote a member gives to each
    option, "none" first in each query, [n_members, n_pairs + n_queries], all 0 where it gave no answer that could be read.
    choice: the option it chose, in the order of the task's candidate set, [n_members, n_queries], -1 where it gave none.
    """

    names: tuple[str, ...]
    offsets: np.ndarray
    shares: np.ndarray
    choice: np.ndarray

    @classmethod
    def of(cls, task: Task, query_ids: np.ndarray, answers: Mapping[str, AnswerSet]) -> "Ballots":
        """The votes of answers by member name; a member votes with its distribution where it gives one."""
        _, offsets = task.candidates.of(query_ids)
        begins = ragged.option_offsets(offsets)
        shares = np.zeros((len(answers), begins[-1]))
        choice = np.full((len(answers), len(query_ids)), -1)
        for i, given in enumerate(answers.values()):
            soft, hard = (Lesson.of(task, given, soft=soft) for soft in (True, False))
            place = np.searchsorted(query_ids, soft.query_ids)
            entries, own = ragged.rows_within(begins, place)
            shares[i, entries] = soft.target
            choice[i, place] = ragged.first_maximum(hard.target, own) - own[:-1]
        return cls(tuple(answers), offsets, shares, choice)

    @property
    def begins(self) -> np.ndarray:
        """Where the options of each query begin, [n_queries + 1]."""
        return ragged.option_offsets(self.offsets)


def log_odds(ballots: Ballots, accuracy: np.ndarray) -> np.ndarray:
    """Weight of a vote of each member about each query, [n_members, n_queries], positive.

    log(p k / (1 - p)) for a member that is right with probability p, else errs evenly among the k other options: with these
    weights the option with most votes is the most probable one.

    Source: Nitzan, Paroush 1982, for k = 1; Li, Yu 2014 (arXiv 1411.4086) for more.
    """
    k = np.maximum(np.diff(ballots.offsets), 1)
    p = accuracy[:, None]
    return np.maximum(np.log(p * k / (1 - p)), LEAST_WEIGHT)


def accuracies(ballots: Ballots) -> np.ndarray:
    """Estimated probability that each member's choice is right, [n_members], in (0, 1).

    Expectation-maximisation of the one-coin model: a member is right with a probability of its own and else errs evenly
    among the other options. One right and one wrong answer are counted in for each member, which keeps the estimate off 0
    and 1. It starts from equal weights, that is from the majority. One number per member cannot say that some abstain too
    rarely, and others too often, where `dawid_skene` can.

    Source: one-coin model of Dawid and Skene as in Zhang, Chen, Zhou, Jordan 2016 (JMLR 17).
    """
    begins = ballots.begins
    answered = ballots.shares.sum(axis=1)
    weights = np.ones_like(ballots.choice, dtype=float)
    estimate = np.full(len(ballots.names), 0.5)
    for _ in range(10 * ROUNDS):
        belief = ragged.softmax((ballots.shares * np.repeat(weights, np.diff(begins), axis=1)).sum(axis=0), begins)
        before, estimate = estimate, (ballots.shares @ belief + 1) / (answered + 2)
        if np.abs(estimate - before).max() < 1e-9:
            break
        weights = log_odds(ballots, estimate)
    return estimate


def dawid_skene(ballots: Ballots) -> np.ndarray:
    """Probabilities of all options, [n_pairs + n_queries], "none" first; all 0 for a query that nobody answered.

    The library's Dawid-Skene needs the same classes in every task, but option 3 of one query has nothing to do with option
    3 of another. What is common to all is the pair: a member says of each candidate of a query it answered whether it is
    the match (its choice) or not (all others, and all of them if it chose "none"). So a task is a (query, candidate) pair,
    its classes are match and no match, and what is estimated of a member is how often it sees a match and how often it takes
    another record for one; a member that too easily says "none" and one that too easily claims are told apart. Beliefs about
    the pairs of a query are then conditioned on what is known besides, that at most one of them matches: an option has the
    odds of its pair, "none" has 1, and they are normalised. A member counts with its choice alone.

    Raises:
        DistillerError: the library is not installed.

    Source: Dawid, Skene 1979, in crowd-kit; the pairs and the condition are ours.
    """
    query = ragged.owner(ballots.offsets)
    option = np.arange(len(query)) - ballots.offsets[:-1][query] + 1
    chosen = ballots.choice[:, query]
    member, pair = np.nonzero(chosen >= 0)
    match = (chosen[member, pair] == option[pair]).astype(int)
    belief = _beliefs(pair, member, match)
    odds = np.zeros(len(query))
    odds[belief[0]] = np.log(np.maximum(belief[1], TINY)) @ (-1.0, 1.0)
    begins = ballots.begins
    distribution = ragged.softmax(ragged.with_none(odds, 0.0, ballots.offsets), begins)
    answered = ballots.choice.max(axis=0) >= 0
    return np.where(answered[ragged.owner(begins)], distribution, 0.0)


def _beliefs(tasks: np.ndarray, workers: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct tasks, [n], and the probabilities of classes 0 and 1, [n, 2], given one label per worker and task."""
    try:
        import pandas as pd
        from crowdkit.aggregation.classification.dawid_skene import DawidSkene
    except ImportError as error:
        raise DistillerError(
            f"teacher.method=dawid-skene needs crowd-kit ({error}): pip install 'distiller-er[crowd]'"
        ) from error
    if not len(tasks):
        return np.zeros(0, dtype=np.int64), np.zeros((0, 2))
    # The library's stopping rule counts the prior once per label instead of once per task and can stop after two rounds.
    model = DawidSkene(n_iter=ROUNDS, tol=-np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # how the library calls pandas is not ours to mend
        belief = model.fit_predict_proba(pd.DataFrame({"task": tasks, "worker": workers, "label": labels}))
    return belief.index.to_numpy(), belief.reindex(columns=[0, 1], fill_value=0.0).to_numpy()


def estimates(ballots: Ballots, belief: np.ndarray) -> dict[str, dict[str, float]]:
    """What these probabilities of the options, [n_pairs + n_queries], say of each member, by name; rates in [0, 1].

    accuracy: how often its choice is right. finds: how often it chooses the match where there is one among the candidates.
    abstains: how often it chooses "none" where there is none. 0 where there is nothing to divide by.
    """
    begins, found = ballots.begins, {}
    none = belief[begins[:-1]]
    for name, choice in zip(ballots.names, ballots.choice, strict=True):
        read = np.flatnonzero(choice >= 0)
        right = belief[begins[read] + choice[read]]
        claimed, missing = choice[read] > 0, none[read].sum()
        parts = {
            "accuracy": (right.sum(), len(read)),
            "finds": (right[claimed].sum(), len(read) - missing),
            "abstains": (right[~claimed].sum(), missing),
        }
        found[name] = {rate: float(part / whole) if whole > 0 else 0.0 for rate, (part, whole) in parts.items()}
    return found


def agreeing(ballots: Ballots, choice: np.ndarray) -> Iterator[str | None]:
    """For each query the first member whose choice is `choice`, [n_queries], None where there is none."""
    for chosen, own in zip(choice, ballots.choice.T, strict=True):
        same = np.flatnonzero(own == chosen)
        yield ballots.names[same[0]] if len(same) and chosen >= 0 else None
