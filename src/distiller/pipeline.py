"""One run, top to bottom: dataset -> block -> select -> elicit -> distil -> predict -> disambiguate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from distiller import metrics
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint, Selection
from distiller.budget import Forecast, Ledger, total_forecast
from distiller.config import Component, DistillerError, declares, nested, uses_gold
from distiller.dataset.base import Dataset
from distiller.disambiguation.base import Disambiguation
from distiller.disambiguation.claims import conditioned
from distiller.experiment import Experiment
from distiller.records import Records
from distiller.store import file_sum
from distiller.student.base import Student
from distiller.task import Task
from distiller.teacher.base import Teacher
from distiller.tracking import Tracker
from distiller.trainer import Trainer


@dataclass
class Line:
    """What one dataset has become; the later artifacts are None where a run stops before them.

    teacher: the teacher's answers as they came. labels: what the student learns from, the answers after repair.
    teacher_matches, student_matches: the answers after disambiguation.
    """

    records: Records
    task: Task
    blocking: dict[str, Any]
    forecast: Forecast | None = None
    selection: Selection | None = None
    teacher: AnswerSet | None = None
    labels: AnswerSet | None = None
    teacher_matches: AnswerSet | None = None
    checkpoint: Checkpoint | None = None
    student: AnswerSet | None = None
    student_matches: AnswerSet | None = None


def run(experiment: Experiment, tracker: Tracker) -> list[Line]:
    """One line per dataset, as far as `until` says; what the store holds is read instead of made.

    Raises:
        DistillerError: what the user can mend, before anything is computed where it can be known by then.
    """
    if not experiment.reaches("block"):
        return []
    check_ready(experiment)
    loaded = [load(experiment, tracker, name, dataset) for name, dataset in experiment.dataset.parts().items()]
    for records in loaded:
        for name, part in (
            ("blocker", experiment.blocker),
            ("selector", experiment.selector),
            ("teacher", experiment.teacher),
            ("student", experiment.student),
            ("escalation", experiment.escalation),
        ):
            if uses_gold(part) and records.matches is None:
                raise DistillerError(
                    f"{name}={type(part).__name__} reads gold matches, and {records.name} has none; choose another"
                )
            part.reads(records.folder)
    ledger = Ledger(experiment.budget)
    lines = [block(experiment, tracker, records, ledger) for records in loaded]
    for line in lines:
        features(experiment, tracker, line.task)
        if experiment.reaches("select"):
            line.selection = select(experiment, tracker, line)
    if experiment.until == "forecast":
        forecast(experiment, tracker, lines)
    for line in lines:
        if experiment.reaches("elicit") and line.selection is not None:
            line.teacher = elicit(experiment, tracker, line, line.selection)
            line.labels = repair(experiment.repair, line.task, line.teacher)
            line.teacher_matches = disambiguate(experiment.disambiguation, line.task, line.teacher)
    if experiment.reaches("distil"):
        checkpoint = distil(experiment, tracker, lines)
        for line in lines:
            line.checkpoint = checkpoint
            if experiment.reaches("predict"):
                line.student = escalate(experiment, tracker, line, predict(experiment, tracker, line.task, checkpoint))
                with tracker.stage("disambiguate", line.task.name) as stage:
                    line.student_matches = disambiguate(experiment.disambiguation, line.task, line.student)
                    stage.done(
                        f"{_claims(line.student_matches)} of {_claims(line.student)} matches kept", line.student_matches
                    )
    return lines


def check_ready(experiment: Experiment) -> None:
    """Ask every teacher that the run will need whether it can be asked at all, and every student whether it can be trained.

    Raises:
        DistillerError: a library, a model, a server or a key is missing.
    """
    needed: dict[str, list[Component]] = {
        "select": [experiment.selector],
        "elicit": [experiment.teacher],
        "distil": [experiment.trainer, experiment.student],
        "predict": [experiment.escalation],
    }
    for stage, parts in needed.items():
        for each in (found for part in parts for found in nested(part)) if experiment.reaches(stage) else ():
            if isinstance(each, Teacher | Student):
                each.ready(experiment.store)
            elif isinstance(each, Trainer):
                each.ready()


def load(experiment: Experiment, tracker: Tracker, name: str, dataset: Dataset) -> Records:
    """The records of one dataset."""
    with tracker.stage("load", name) as stage:
        records = dataset.load()
        known = "no gold matches" if records.matches is None else f"{records.matches.num_rows:,} gold matches"
        stage.done(f"{len(records.query_ids):,} queries, {len(records.candidate_ids):,} candidates, {known}")
    return records


def block(experiment: Experiment, tracker: Tracker, records: Records, ledger: Ledger) -> Line:
    """The candidate set of one dataset, and the line that starts with it."""
    with tracker.stage("block", records.name) as stage:
        task = task_of(experiment, records, ledger)
        facts = metrics.blocking(task.candidates, records.matches)
        recall = f", recall {facts['recall']:.3f}" if "recall" in facts else ""
        stage.done(f"{facts['pairs']:,} pairs for {facts['queries']:,} queries{recall}", task.candidates)
    if not facts["pairs"]:
        raise DistillerError(
            f"blocking kept no pair of {records.name}; raise blocker.k or choose other blocker.attributes"
        )
    return Line(records, task, facts)


def task_of(experiment: Experiment, records: Records, ledger: Ledger) -> Task:
    """Records and the candidates that the experiment's blocker keeps of them, as components see them."""
    blocker, store = experiment.blocker, experiment.store
    shown = records if uses_gold(blocker) else records.without_gold()
    inputs = [records.key, *_sums(blocker, records)]
    candidates = store.produce(CandidateSet, [blocker], inputs, lambda: blocker.block(shown, experiment.threads))
    return Task(records.without_gold(), candidates, store, experiment.threads, ledger)


def features(experiment: Experiment, tracker: Tracker, task: Task) -> None:
    """Similarity features of one dataset, if a component that this run reaches uses them."""
    parts = {"select": experiment.selector, "elicit": experiment.teacher, "distil": experiment.student}
    if any(declares(part, "USES_FEATURES") for stage, part in parts.items() if experiment.reaches(stage)):
        with tracker.stage("features", task.name) as stage:
            stage.done(f"{len(task.features.names)} similarities of each pair", task.features)


def select(experiment: Experiment, tracker: Tracker, line: Line) -> Selection:
    """Which queries the teacher labels, which are scored, which are left alone."""
    selector, protocol, task, store = experiment.selector, experiment.protocol, line.task, experiment.store
    everyone = line.records.query_ids

    def make() -> Selection:
        pool = protocol.pool(task.candidates.query_ids, task.records)
        ranking = selector.select(task, pool, _gold(selector, line.records))
        part = np.full(len(everyone), "unused", dtype=object)
        part[np.isin(everyone, protocol.test(everyone, ranking.selected, task.records))] = "test"
        part[np.isin(everyone, ranking.selected)] = "train"
        scores = np.full(len(everyone), np.nan, dtype=np.float32)
        if ranking.scores is not None:
            scores[np.searchsorted(everyone, pool)] = ranking.scores
        return Selection(pa.table({"query_id": everyone, "part": part, "score": pa.array(scores, from_pandas=True)}))

    with tracker.stage("select", task.name) as stage:
        inputs = [_key(task, selector), *_sums(selector, line.records)]
        selection = store.produce(Selection, [selector, protocol], inputs, make)
        stage.done(
            f"{len(selection.ids('train')):,} queries for the teacher, {len(selection.ids('test')):,} to score",
            selection,
        )
    return selection


def forecast(experiment: Experiment, tracker: Tracker, lines: list[Line]) -> None:
    """Say what asking the teacher will take, per dataset and in all; nothing is asked."""
    made = []
    for line in lines:
        assert line.selection is not None
        with tracker.stage("forecast", line.task.name) as stage:
            line.forecast = experiment.teacher.forecast(line.task, line.selection.ids("train"))
            stage.done(str(line.forecast) if line.forecast else f"{experiment.teacher.label()} costs nothing")
        made += [line.forecast] if line.forecast else []
    total = total_forecast(made)
    if total is not None and len(lines) > 1:
        with tracker.stage("forecast", "all") as stage:
            stage.done(str(total))


def elicit(experiment: Experiment, tracker: Tracker, line: Line, selection: Selection) -> AnswerSet:
    """The teacher's answers to the selected queries."""
    teacher, task = experiment.teacher, line.task
    with tracker.stage("elicit", task.name) as stage:
        answers = teacher.answers(task, selection.ids("train"), line.records.matches)
        failed = int((answers.choice < 0).sum())
        unread = f", {failed} unread" if failed else ""
        stopped = answers.facts.get("stopped")
        short = f", then budget.{stopped} was used up" if stopped else ""
        stage.done(
            f"{len(answers.choice):,} answers of {teacher.label()}, {_claims(answers):,} of them a match{unread}{short}",
            answers,
        )
    return answers


def distil(experiment: Experiment, tracker: Tracker, lines: list[Line]) -> Checkpoint:
    """One student, trained on the answers to all datasets together."""
    student, algorithm, trainer = experiment.student, experiment.algorithm, experiment.trainer
    taught = [(line.task, line.labels) for line in lines if line.labels is not None]
    check_unseen(lines)
    name = lines[0].task.name if len(lines) == 1 else "all"
    with tracker.stage("distil", name) as stage:
        checkpoint = algorithm.taught(student, taught, trainer, experiment.threads)
        stage.done(f"{student.label()} learnt from {checkpoint.facts['queries']:,} queries", checkpoint)
    return checkpoint


def check_unseen(lines: list[Line]) -> None:
    """Make sure that no query which is to be scored is learnt from.

    Raises:
        DistillerError: the teacher's answers hold a test query; it names the dataset and the first of them.
    """
    for line in lines:
        if line.selection is not None and line.labels is not None:
            learnt = line.labels.query_ids[line.labels.choice >= 0]
            if len(shown := np.intersect1d(learnt, line.selection.ids("test"))):
                raise DistillerError(
                    f"the student would learn from {len(shown)} of the queries of {line.task.name} that it is scored on, the "
                    f"first is {shown[0]}; choose a teacher that answers only what it is asked, or a protocol that keeps test "
                    "queries apart"
                )


def predict(experiment: Experiment, tracker: Tracker, task: Task, checkpoint: Checkpoint) -> AnswerSet:
    """The student's answers to all queries that have candidates."""
    student = experiment.student
    with tracker.stage("predict", task.name) as stage:
        answers = experiment.store.produce(
            AnswerSet,
            [student],
            [checkpoint.key, _key(task, student), *_sums(student, task.records)],
            lambda: student.answer(checkpoint, task, task.candidates.query_ids, experiment.trainer, experiment.threads),
        )
        rate = len(answers.choice) / max(answers.seconds, 1e-9)
        stage.done(
            f"{len(answers.choice):,} answers, {_claims(answers):,} of them a match, {rate:,.0f} queries/s", answers
        )
    return answers


def escalate(experiment: Experiment, tracker: Tracker, line: Line, answers: AnswerSet) -> AnswerSet:
    """The student's answers, those of a teacher in place of some of them where the run escalates."""
    escalation, task = experiment.escalation, line.task
    if not escalation.ASKS or line.selection is None:
        return answers
    labelled = line.selection.ids("train")
    with tracker.stage("escalate", task.name) as stage:
        models = [found for each in nested(escalation) for found in each.fingerprints()]
        inputs = [_key(task, escalation), answers.key, line.selection.key, *_sums(escalation, line.records), *models]
        made = experiment.store.produce(
            AnswerSet, [escalation], inputs, lambda: escalation.escalate(task, answers, labelled)
        )
        if made.reused:  # what is asked now enters the ledger by itself
            task.ledger.spend(made.facts)
        facts = made.facts
        kept = "guaranteed" if facts["met"] else "NOT guaranteed within the budget"
        stage.done(
            f"{facts['asked']:,} of {facts['open_queries']:,} asked of {facts['teacher']}; {kept}: at most "
            f"{facts['level']:.3g} answered alone and otherwise",
            made,
        )
    return made


def repair(resolver: Disambiguation, task: Task, answers: AnswerSet) -> AnswerSet:
    """What a student learns from: the teacher's answers with conflicts settled, their distributions made to agree."""
    return conditioned(disambiguate(resolver, task, answers)) if resolver.FORM else answers


def disambiguate(resolver: Disambiguation, task: Task, answers: AnswerSet) -> AnswerSet:
    """The answers with conflicts between queries settled."""
    return task.store.produce(AnswerSet, [resolver], [task.key, answers.key], lambda: resolver.resolve(task, answers))


def _key(task: Task, part: Component) -> str:
    return task.features_key if declares(part, "USES_FEATURES") else task.key


def _gold(part: Component, records: Records) -> pa.Table | None:
    return records.matches if uses_gold(part) else None


def _sums(part: Component, records: Records) -> list[str]:
    """Hashes of the recorded files that a component reads for this dataset."""
    return [file_sum(path) for path in part.reads(records.folder)]


def _claims(answers: AnswerSet) -> int:
    return int((answers.choice > 0).sum())
