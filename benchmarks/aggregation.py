"""Ways of making one label of several teachers' answers, against the plain majority, on the same recorded answers.

    DISTILLER_DATA=<folder> python benchmarks/aggregation.py [--resamples 2000] [--seed 1924]

Three language-model teachers, all 2,181 training queries of the `blocking_max` split of the eight datasets, replies read by
our parser. Each way is shown alone and followed by label repair, the one-to-one constraint over the answers to these
queries. Scores are unweighted means over the datasets, in percent: selection accuracy, pair F1, match F1. Differences are
against the majority (ties to the first member), with a 95 % interval by a paired bootstrap: queries are drawn anew within
each dataset, the same for both, and the mean over datasets is computed each time. No way sees a gold match.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recorded_students import DATASETS, data_folder
from teachers import SINGLE, read_anew, task_of

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.disambiguation.unique_mapping import UniqueMapping
from distiller.metrics import Truth
from distiller.task import Task
from distiller.teacher.vote import Vote

METRICS = ("selection_accuracy", "pair_f1", "match_f1")
#: By accuracy as published, so that "first" in a tie is the best teacher.
MEMBERS = ("qwen2.5-32b", "llama3.1-70b", "llama3.1-8b")
BASE = "majority"


@dataclass(frozen=True)
class Counts:
    """What each query adds to the scores, each [n_queries].

    correct: its choice is right, "none" included. right: it chose a match. claimed: it chose a candidate. inside: number of
    its matches among the candidates. reachable: number of all its matches.
    """

    correct: np.ndarray
    right: np.ndarray
    claimed: np.ndarray
    inside: np.ndarray
    reachable: np.ndarray

    @classmethod
    def of(cls, answers: AnswerSet, truth: Truth) -> "Counts":
        """Counts of answers to exactly the evaluated queries."""
        _, offsets = truth.rows()
        inside = ragged.segment_sum(truth.gold_pairs(), offsets)
        gold = set(map(tuple, truth.matches.tolist()))
        claims = zip(answers.query_ids.tolist(), answers.chosen_ids.tolist(), strict=True)
        right = np.array([claim in gold for claim in claims], float)
        correct = np.where(answers.choice == 0, inside == 0, right > 0).astype(float)
        reachable = np.bincount(
            np.searchsorted(truth.evaluated, truth.matches[:, 0]), minlength=len(truth.evaluated)
        ).astype(float)
        return cls(correct, right, (answers.choice > 0).astype(float), inside, reachable)

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """The three metrics under how often each query is counted, weights [n_resamples, n_queries]: [n_resamples, 3]."""
        n, correct = weights.sum(axis=1), weights @ self.correct
        right, claimed = weights @ self.right, weights @ self.claimed
        f1 = (2 * right / np.maximum(claimed + weights @ wanted, 1) for wanted in (self.inside, self.reachable))
        return np.column_stack([correct / n, *f1])


def ways() -> dict[str, Vote]:
    """The ways of voting."""
    members = {name: read_anew(name) for name in MEMBERS}
    return {
        BASE: Vote(members=members),
        "majority, ties to none": Vote(members=members, ties="smallest"),
        "majority, ties abstain": Vote(members=members, ties="abstain"),
        "weighted": Vote(members=members, method="weighted"),
        "dawid-skene": Vote(members=members, method="dawid-skene"),
    }


def labels(root: Path, name: str) -> dict[str, AnswerSet]:
    """Labels of one dataset by way, the single teachers' among them, each also after repair."""
    task, _, train = task_of(root, name)
    plain = {each: read_anew(each).answers(task, train) for each in SINGLE}
    plain |= {way: vote.answers(task, train) for way, vote in ways().items()}
    return plain | {f"{way} + one-to-one": _repaired(task, answers) for way, answers in plain.items()}


def _repaired(task: Task, answers: AnswerSet) -> AnswerSet:
    return UniqueMapping().resolve(task, answers)


def counts(root: Path) -> dict[str, list[Counts]]:
    """What each query adds to the scores, by way, one entry per dataset."""
    found: dict[str, list[Counts]] = {}
    for name in DATASETS:
        task, gold, train = task_of(root, name)
        truth = Truth.of(task.candidates, gold, train)
        for way, answers in labels(root, name).items():
            found.setdefault(way, []).append(Counts.of(answers, truth))
    return found


def observed(parts: list[Counts]) -> np.ndarray:
    """The three metrics by dataset, [n_datasets, 3]."""
    return np.concatenate([part.scores(np.ones((1, len(part.correct)))) for part in parts])


def resampled(by_way: dict[str, list[Counts]], resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Means over the datasets of the three metrics in each resample, by way, [n_resamples, 3]; paired across the ways."""
    random = np.random.default_rng(seed)
    means = {way: np.zeros((resamples, len(METRICS))) for way in by_way}
    for i in range(len(DATASETS)):
        n = len(by_way[BASE][i].correct)
        weights = random.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)
        for way, parts in by_way.items():
            means[way] += parts[i].scores(weights) / len(DATASETS)
    return means


def main() -> None:
    """Print means and differences with intervals, then every dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1924)
    options = parser.parse_args()
    by_way = counts(data_folder())
    means = resampled(by_way, options.resamples, options.seed)
    base = observed(by_way[BASE]).mean(axis=0)
    print(f"{'':38}" + "".join(f"{m.replace('_', ' '):>34}" for m in METRICS))
    print(f"{'labels':38}" + f"{'mean   difference [95 % interval]':>34}" * len(METRICS))
    for way, parts in by_way.items():
        line = f"{way:38}"
        own = observed(parts).mean(axis=0)
        gaps = np.percentile(means[way] - means[BASE], [2.5, 97.5], axis=0)
        for i in range(len(METRICS)):
            gap = f"{100 * (own[i] - base[i]):+6.2f} [{100 * gaps[0, i]:+.2f}, {100 * gaps[1, i]:+.2f}]"
            line += f"{100 * own[i]:9.2f}{gap if way != BASE else '':>25}"
        print(line)
    for i, metric in enumerate(METRICS):
        print(f"\n{metric.replace('_', ' '):38}" + "".join(f"{name[:9]:>10}" for name in DATASETS))
        for way, parts in by_way.items():
            print(f"{way:38}" + "".join(f"{100 * value:10.2f}" for value in observed(parts)[:, i]))


if __name__ == "__main__":
    main()
