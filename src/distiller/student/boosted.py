"""A student of boosted trees over similarity features: trained in seconds on a processor, answers in microseconds."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from distiller import ragged
from distiller.artifacts import AnswerSet, Checkpoint
from distiller.config import DistillerError, component
from distiller.student import listwise
from distiller.student.base import DirectStudent, Lesson, pooled
from distiller.student.calibrated import calibrated_answers, settings_for, write_settings
from distiller.student.contributions import by_kind, explaining
from distiller.student.intercepts import calibration_for, intercepts
from distiller.task import Task
from distiller.trainer import Trainer

MODEL = "trees-{}.txt"
LEAVES_OF_FEW = 20  # with few pairs, a leaf may hold as few as one in so many of them


@component
class Boosted(DirectStudent):
    """Gradient-boosted trees (LightGBM) whose objective is the list-wise softmax over {none, 1..k}.

    The number of rounds, the sureness and the readiness to abstain are chosen by cross-validation over `folds` of the
    queries, on the teacher's answers to the fold a model has not seen. Then `members` models with different seeds learn
    from all answers; the student answers with the mean of their logits.

    min_leaf: least pairs in a leaf; with fewer than 20 times as many pairs to learn from, a twentieth of these.
    intercepts: with several datasets, abstain more or less readily on each where held-out teacher answers bear it out.
    rationales: explain every answer by what its features add, in words.
    """

    VERSION = 2
    USES_FEATURES = True

    rounds: Annotated[int, Field(ge=1)] = 500
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.03
    leaves: Annotated[int, Field(ge=2)] = 15
    min_leaf: Annotated[int, Field(ge=1)] = 20
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.15
    row_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    l2: Annotated[float, Field(ge=0)] = 5.0
    folds: Annotated[int, Field(ge=2)] = 5
    members: Annotated[int, Field(ge=1)] = 10
    intercepts: bool = True
    seed: int = 1924
    rationales: bool = False

    def fit(self, lessons: list[Lesson], trainer: Trainer, threads: int, folder: Path) -> dict[str, Any]:
        names, matrix, offsets, target = pooled(lessons)
        most = min(self.rounds, trainer.max_steps or self.rounds)
        n_folds = min(self.folds, len(offsets) - 1)
        if n_folds < 2:
            raise DistillerError("student=boosted needs answers to at least two queries; raise selector.budget")
        fold = listwise.folds(target, offsets, n_folds, self.seed)
        held_out = np.zeros((most, len(matrix)))
        for k in range(n_folds):
            booster = self.trees(matrix, offsets, target, np.flatnonzero(fold != k), most, threads, self.seed + k)
            rows, _ = ragged.rows_within(offsets, np.flatnonzero(fold == k))
            held_out[:, rows] = staged(booster, matrix[rows], most)
        curve = [float(listwise.cross_entropy(logits, target, offsets).mean()) for logits in held_out]
        rounds = int(np.argmin(curve)) + 1
        everything = np.arange(len(fold))
        for member in range(self.members):
            seed = self.seed + self.folds + member
            booster = self.trees(matrix, offsets, target, everything, rounds, threads, seed)
            (folder / MODEL.format(member)).write_text(booster.model_to_string(), encoding="utf-8")
        calibration = listwise.Calibration.fit(held_out[rounds - 1], target, offsets)
        corrected = calibration(held_out[rounds - 1])
        shifts, corrected = intercepts(lessons, corrected, fold) if self.intercepts else ({}, corrected)
        settings = {"features": names, "members": self.members, "scale": calibration.scale, "shift": calibration.shift}
        write_settings(folder, {**settings, "intercepts": shifts})
        return {
            "rounds": rounds,
            "scale": calibration.scale,
            "shift": calibration.shift,
            "intercepts": shifts,
            "cv_loss": float(listwise.cross_entropy(corrected, target, offsets).mean()),
            "cv_agreement": listwise.agreement(corrected, target, offsets),
            "curve": [(r + 1, None, curve[r]) for r in range(0, most, max(1, most // 50))],
        }

    def trees(
        self,
        matrix: np.ndarray,
        offsets: np.ndarray,
        target: np.ndarray,
        queries: np.ndarray,
        rounds: int,
        threads: int,
        seed: int,
        weight: np.ndarray | None = None,
    ) -> Any:
        """Trees from the answers to these queries; weight: how much each of them counts, [n_queries], 1 unless told."""
        lightgbm = _lightgbm()
        rows, inner = ragged.rows_within(offsets, queries)
        options, _ = ragged.rows_within(ragged.option_offsets(offsets), queries)
        wanted = target[options]
        counts = np.ones(1) if weight is None else weight[queries][ragged.owner(inner)]

        def objective(logits: np.ndarray, _: Any) -> tuple[np.ndarray, np.ndarray]:
            gradient, hessian = listwise.derivatives(logits, wanted, inner)
            return gradient * counts, hessian * counts

        settings = {
            "objective": objective,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": max(1, min(self.min_leaf, len(rows) // LEAVES_OF_FEW)),
            "min_sum_hessian_in_leaf": 1e-3,
            "feature_pre_filter": False,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "num_threads": threads,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        try:
            return lightgbm.train(settings, lightgbm.Dataset(matrix[rows], free_raw_data=True), num_boost_round=rounds)
        except lightgbm.basic.LightGBMError as error:
            raise DistillerError(
                f"student=boosted cannot learn from {len(queries)} queries with {len(rows)} pairs ({error}); "
                "give the teacher more queries with selector.budget, or use student=comparator"
            ) from error

    def answer(
        self, checkpoint: Checkpoint, task: Task, query_ids: np.ndarray, trainer: Trainer, threads: int
    ) -> AnswerSet:
        lightgbm = _lightgbm()
        settings = settings_for(checkpoint, task)
        rows, _ = task.candidates.of(query_ids)
        matrix = task.features.matrix[rows]
        logits = np.zeros(len(rows))
        for member in range(settings["members"]):
            booster = lightgbm.Booster(model_file=checkpoint.folder / MODEL.format(member))
            logits += booster.predict(matrix, raw_score=True, num_threads=threads) / settings["members"]
        calibration = calibration_for(settings, task.name)
        answers = calibrated_answers(self.label(), task, query_ids, calibration(logits))
        return explaining(self, checkpoint, task, answers, trainer, threads) if self.rationales else answers

    def contributions(
        self, checkpoint: Checkpoint, task: Task, rows: np.ndarray, trainer: Trainer, threads: int
    ) -> np.ndarray:
        """What each kind of evidence adds to the logits of these rows of the candidate set, [n_rows, len(KINDS)], in nats.

        Shapley values of the features, exact for the mean of the trees (Lundberg et al. 2020), summed by kind; with the
        mean logit over the training pairs they add up to the pair's logit.
        """
        lightgbm = _lightgbm()
        settings = settings_for(checkpoint, task)
        matrix = task.features.matrix[rows]
        added = np.zeros((len(rows), len(settings["features"])))
        for member in range(settings["members"]):
            booster = lightgbm.Booster(model_file=checkpoint.folder / MODEL.format(member))
            given = booster.predict(matrix, pred_contrib=True, num_threads=threads)
            added += given[:, :-1] * (settings["scale"] / settings["members"])
        return by_kind(settings["features"], added)


def staged(booster: Any, matrix: np.ndarray, rounds: int) -> np.ndarray:
    """Logits after each round, [rounds, n_pairs]."""
    leaves = booster.predict(matrix, pred_leaf=True).reshape(len(matrix), -1)
    gains = np.zeros((rounds, len(matrix)))
    for tree in range(leaves.shape[1]):
        values = np.array([booster.get_leaf_output(tree, leaf) for leaf in range(leaves[:, tree].max() + 1)])
        gains[tree] = values[leaves[:, tree]]
    return np.cumsum(gains, axis=0)


def _lightgbm() -> Any:
    try:
        import lightgbm
    except OSError as error:
        raise DistillerError(
            f"student=boosted needs LightGBM, which needs the system library libgomp ({error}); "
            "install it (on Debian: apt-get install libgomp1) or use student=comparator"
        ) from error
    return lightgbm
