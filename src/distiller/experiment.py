"""The whole configuration of a run, as one typed object."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from distiller.algorithm.base import Algorithm
from distiller.blocker.base import Blocker
from distiller.budget import Budget
from distiller.config import Component, component, part, runtime
from distiller.dataset.base import Dataset
from distiller.disambiguation.base import Disambiguation
from distiller.escalation.base import Escalation
from distiller.logger.base import Logger
from distiller.protocol.base import Protocol
from distiller.selector.base import Selector
from distiller.store import Store
from distiller.student.base import Student
from distiller.teacher.base import Teacher
from distiller.trainer import Trainer

Stage = Literal["config", "block", "select", "forecast", "elicit", "distil", "predict", "score"]
STAGES: tuple[str, ...] = get_args(Stage)


@component
class Data(Component):
    """Where benchmark data lies (root), is kept once downloaded (cache), and is downloaded from (url)."""

    root: Path | None = runtime(None)
    cache: Path | None = runtime(None)
    url: str = runtime("")


@component
class Sweep(Component):
    """How the jobs of a sweep are kept. name: of its folder; dry: list its jobs instead of doing them."""

    name: str | None = runtime(None)
    dry: bool = runtime(False)


@component
class Experiment(Component):
    """One component per stage, and what concerns the run as a whole.

    repair: settles conflicts between the teacher's answers before a student learns from them; `none` leaves them.
    budget: what all teachers of the run may cost together.
    escalation: whom to ask where the student is not sure; `none` leaves its answers as they are.
    until: the last stage to run; `config` only checks the configuration, `forecast` says what the teacher will cost.
    objective: the mean score that a sweeper optimises, as a path into the scorecard's `mean`.
    threads: processor cores to use.
    """

    dataset: Dataset = part()
    blocker: Blocker = part()
    selector: Selector = part()
    protocol: Protocol = part()
    teacher: Teacher = part()
    repair: Disambiguation = part()
    budget: Budget = part()
    student: Student = part()
    algorithm: Algorithm = part()
    escalation: Escalation = part()
    disambiguation: Disambiguation = part()
    trainer: Trainer = part()
    logger: Logger = part()
    store: Store = part()
    data: Data = part()
    sweep: Sweep = part()
    seed: int = 1924
    threads: Annotated[int, Field(ge=1)] = runtime(2)
    until: Stage = "score"
    objective: str = "student.one_to_one.pair_f1"

    @model_validator(mode="after")
    def _algorithm_suits_student(self) -> "Experiment":
        reason = self.algorithm.suits(self.student) or self.algorithm.refuses(self.student, self.trainer)
        if reason:
            raise ValueError(reason)
        return self

    def reaches(self, stage: str) -> bool:
        """Whether the run goes as far as this stage."""
        return STAGES.index(stage) <= STAGES.index(self.until)
