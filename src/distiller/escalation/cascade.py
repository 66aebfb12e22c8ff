"""The student answers what it is sure of; the rest goes to a teacher, within a budget and up to a guarantee."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from distiller import ragged
from distiller.artifacts import AnswerSet
from distiller.budget import BudgetSpent, total_spent
from distiller.config import DistillerError, component, part, uses_gold
from distiller.escalation.base import Escalation
from distiller.escalation.guarantee import Guarantee, learn_then_test, thresholds, upper_bound
from distiller.ragged import first_maximum, option_offsets
from distiller.source import Source
from distiller.student import listwise
from distiller.student.base import Lesson
from distiller.task import Task

LEAST = 20  # teacher answers without which nothing can be said about the student
REFIT = 0.05  # significance at which the student's own calibration is given up
SMALLEST = 1e-12


@component
class Cascade(Escalation):
    """Asks the teacher about a random sample, then about the queries the student is least sure of.

    Queries the student has learnt from are left out throughout. A sample of the others, drawn at random, is asked of the
    teacher. Half of its answers calibrate the student's probabilities (scale and readiness to abstain) if a
    likelihood-ratio test finds them wrong, for example because it was taught by somebody weaker. The other half tests
    thresholds from the most cautious on; the queries below the last one that passed are asked, least sure first.

    The guarantee: with probability at least `confidence` over the draw of the sample, at most a share `level` of all
    queries is answered by the student alone and otherwise than the teacher would answer. It is about agreement with the
    teacher, not about truth: where the student is the better of the two, a strict level makes it worse. A readable answer
    of the teacher replaces the student's; an unread one counts as disagreement in the test and leaves the student's.

    teacher: who is asked; it may be another one than the student's teacher. level: see above, in (0, 1).
    share: most queries asked, the sample included, as a share of those not learnt from. Where this is too few for the
      level, the guarantee is not met, `met` says so and `bound` what holds instead, with the same confidence.
    sample: queries drawn at random, at most half of what `share` allows. seed: of the draw.

    Source: Learn then Test, Angelopoulos et al. 2021, with binomial p-values and fixed-sequence testing.
    """

    teacher: Source = part()
    level: Annotated[float, Field(gt=0, lt=1)] = 0.1
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    share: Annotated[float, Field(gt=0, le=1)] = 0.3
    sample: Annotated[int, Field(ge=2 * LEAST)] = 200
    seed: int = 1924

    @model_validator(mode="after")
    def _without_gold(self) -> "Cascade":
        if uses_gold(self.teacher):
            raise ValueError(f"a cascade cannot ask {self.teacher.label()}, which reads gold matches")
        return self

    def reads(self, folder: Path | None) -> list[Path]:
        return self.teacher.reads(folder)

    def escalate(self, task: Task, answers: AnswerSet, labelled: np.ndarray) -> AnswerSet:
        """The answers after escalation.

        Raises:
            DistillerError: the student gives no probabilities, too few queries may be asked, or the budget leaves too
                few teacher answers to calibrate on.
        """
        if not answers.soft.all():
            raise DistillerError(
                "escalation=cascade needs a student with probabilities, and some answers have none; choose another student"
            )
        open_ids = np.setdiff1d(answers.query_ids, labelled)
        most = int(self.share * len(open_ids) + 1e-9)
        drawn = self.drawn(open_ids, min(self.sample, most // 2))
        if len(drawn) < 2 * LEAST:
            raise DistillerError(
                f"escalation.share={self.share} of {len(open_ids)} queries of {task.name} allows a sample of {len(drawn)}, "
                f"and {2 * LEAST} are needed; raise escalation.share or set escalation=none"
            )
        sample = self.teacher.answers(task, np.sort(drawn))
        known = drawn[np.isin(drawn, sample.query_ids)]
        if len(known) < 2 * LEAST:
            raise DistillerError(
                f"{self.teacher.label()} answered {len(known)} queries of the sample of {task.name}, and {2 * LEAST} are "
                "needed; raise the budget or set escalation=none"
            )
        fitting, testing = np.sort(known[::2]), np.sort(known[1::2])
        student, calibration = recalibrated(task, answers, sample.of(fitting))
        sureness = np.isin(student.query_ids, open_ids)
        sure = top_probability(student)
        order = thresholds(sure[sureness])
        tested = np.searchsorted(student.query_ids, testing)
        disagrees = student.chosen_ids[tested] != _claimed(sample.of(testing))
        found = learn_then_test(order, sure[tested], disagrees, self.level, self.confidence)
        wanted = least_sure(student, open_ids, found.threshold)
        asked = wanted[~np.isin(wanted, drawn)][: most - len(drawn)]
        given, stopped = [sample], sample.facts.get("stopped")
        if len(asked):
            try:
                given.append(self.teacher.answers(task, np.sort(asked)))
                stopped = stopped or given[-1].facts.get("stopped")
            except BudgetSpent as error:  # what was asked so far stands
                stopped = error.limit
        made = _replaced(student, given)
        kept = np.setdiff1d(wanted, np.concatenate([part.query_ids for part in given]))
        boldest = float(sure[np.isin(student.query_ids, kept)].min(initial=found.threshold))
        made.facts = self._facts(given, found, boldest, sure[tested], disagrees, len(open_ids)) | calibration
        made.facts |= {"stopped": stopped, "incomplete": bool(stopped or any(g.facts.get("incomplete") for g in given))}
        return made

    def drawn(self, query_ids: np.ndarray, n: int) -> np.ndarray:
        """n of the queries at random, in the order drawn; a smaller n draws the first of them."""
        hashed = [hashlib.sha256(f"{self.seed}:escalation:{query}".encode()).digest() for query in query_ids.tolist()]
        return query_ids[sorted(range(len(hashed)), key=hashed.__getitem__)[:n]]

    def _facts(
        self,
        given: list[AnswerSet],
        found: Guarantee,
        boldest: float,
        sure: np.ndarray,
        disagrees: np.ndarray,
        n_open: int,
    ) -> dict[str, Any]:
        """What was asked, and what is guaranteed of the threshold that the student's boldest lone answer stands for."""
        errors = int((disagrees & (sure >= boldest)).sum())
        asked = sum(len(part.query_ids) for part in given)
        met = bool(boldest >= found.threshold)
        return {
            **total_spent([part.facts for part in given]),
            "teacher": self.teacher.label(),
            "asked": asked,
            "sample": len(given[0].query_ids),
            "open_queries": n_open,
            "share_asked": asked / n_open,
            "threshold": boldest if np.isfinite(boldest) else None,
            "level": self.level,
            "confidence": self.confidence,
            "met": met,
            "bound": self.level if met else upper_bound(errors, len(sure), self.confidence),
        }


def top_probability(answers: AnswerSet) -> np.ndarray:
    """How sure each answer is: the probability of its choice, [n_queries]."""
    return answers.distribution[option_offsets(answers.offsets)[:-1] + np.maximum(answers.choice, 0)]


def least_sure(answers: AnswerSet, query_ids: np.ndarray, threshold: float) -> np.ndarray:
    """The queries of these whose answers are less sure than the threshold, the least sure first, equals by id."""
    own = answers.of(query_ids)
    sure = top_probability(own)
    order = np.lexsort((own.query_ids, sure))
    return own.query_ids[order[sure[order] < threshold]]


def recalibrated(task: Task, answers: AnswerSet, teacher: AnswerSet) -> tuple[AnswerSet, dict[str, Any]]:
    """The student's answers with probabilities that fit the teacher's answers, and what was changed.

    Logits against "none" are scaled and shifted where that makes the teacher's readable answers more likely than
    chance allows: twice the gain in log-likelihood against the chi-squared distribution with two degrees of freedom.
    """
    from scipy.stats import chi2

    begins = option_offsets(answers.offsets)
    none = np.log(np.maximum(answers.distribution[begins[:-1]], SMALLEST))
    pairs = np.log(np.maximum(ragged.without_none(answers.distribution, answers.offsets), SMALLEST))
    logits = pairs - none[ragged.owner(answers.offsets)]
    readable = teacher.of(teacher.query_ids[teacher.choice >= 0])
    own = answers.of(readable.query_ids)
    rows, offsets = ragged.rows_within(answers.offsets, np.searchsorted(answers.query_ids, own.query_ids))
    lesson = Lesson.of(task, readable, soft=False)
    target = _in_order_of(own, task, lesson)
    fitted = listwise.Calibration.fit(logits[rows], target, offsets)
    losses = [
        listwise.cross_entropy(change(logits[rows]), target, offsets).sum()
        for change in (listwise.Calibration(), fitted)
    ]
    p_value = float(chi2.sf(2 * max(losses[0] - losses[1], 0.0), 2))
    facts = {"recalibrated": p_value < REFIT, "recalibration_p_value": p_value}
    if p_value >= REFIT:
        return answers, facts
    distribution = listwise.probabilities(fitted(logits), answers.offsets)
    choice = first_maximum(distribution, begins) - begins[:-1]
    source = answers.table["source"][0].as_py()
    made = AnswerSet.make(source, answers.query_ids, answers.option_ids, answers.offsets, choice, distribution)
    return made, facts | {"scale": fitted.scale, "shift": fitted.shift}


def _in_order_of(own: AnswerSet, task: Task, lesson: Lesson) -> np.ndarray:
    """The lesson's target, [n_pairs + n_queries], with the options in the order of these answers."""
    rows, offsets = task.candidates.of(lesson.query_ids)
    whose = ragged.owner(offsets)
    given = np.lexsort((task.candidates.candidate_ids[rows], whose))
    wanted = np.lexsort((own.option_ids, whose))
    pairs = np.empty(len(rows))
    pairs[wanted] = ragged.without_none(lesson.target, offsets)[given]
    return ragged.with_none(pairs, lesson.target[option_offsets(offsets)[:-1]], offsets)


def _claimed(answers: AnswerSet) -> np.ndarray:
    """Candidate each answer chose, -1 for "none", -2 for a reply that could not be read, which agrees with nothing."""
    return np.where(answers.choice < 0, -2, answers.chosen_ids)


def _replaced(student: AnswerSet, given: list[AnswerSet]) -> AnswerSet:
    """The student's answers, those the teacher readably gave in their place."""
    told = pa.concat_tables([answers.of(answers.query_ids[answers.choice >= 0]).table for answers in given])
    rest = student.of(np.setdiff1d(student.query_ids, told["query_id"].to_numpy()))
    return AnswerSet(pa.concat_tables([rest.table, told]))
