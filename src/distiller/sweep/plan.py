"""What a sweep would do: per job, which stages the store holds, and what the others will cost and take."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from distiller import pipeline
from distiller.budget import Forecast, Ledger, total_forecast
from distiller.config import DistillerError, component, declares, identity, nested
from distiller.experiment import Experiment
from distiller.logger.none import NoLogger
from distiller.store import MANIFEST, Store
from distiller.sweep.job import kept, records_of, sentence, signature
from distiller.teacher.base import Teacher
from distiller.tracking import Tracker


class Missing(Exception):
    """The store does not hold an artifact, and nothing may be made."""


@component
class ReadOnly(Store):
    """A store that finds what is there and makes nothing; what it read once it does not read again."""

    found: dict[Path, Any] = field(default_factory=dict)

    def _entry(
        self,
        kind: str,
        key: str,
        components: Sequence[Any],
        inputs: Sequence[str],
        write: Callable[[Path], dict[str, Any]],
        read: Callable[[Path], Any],
    ) -> Any:
        folder = self.root / kind / key
        if folder not in self.found:
            try:
                manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
                artifact = read(folder)
            except (OSError, ValueError) as error:
                raise Missing(kind) from error
            if manifest["facts"].get("incomplete"):
                raise Missing(kind)
            artifact.key, artifact.seconds, artifact.reused = key, manifest["seconds"], True
            artifact.facts = manifest["facts"]
            self.found[folder] = artifact
        return self.found[folder]


@dataclass(frozen=True)
class Plan:
    """What one job would find and do.

    state: finished (its scorecard is kept), open, or refused (with the reason). there: stages whose results are in the
    store for all datasets. to_do: the others. cost: what asking the teacher will take, None where it is not known before
    the queries are selected. seconds: of the stages to do, by what such stages took in this store; None if none did.
    """

    state: str
    there: tuple[str, ...] = ()
    to_do: tuple[str, ...] = ()
    asks: bool = False
    cost: Forecast | None = None
    seconds: float | None = None
    reason: str = ""


class Planner:
    """Plans the jobs of one sweep; what one job had it read is not read again for the next."""

    def __init__(self) -> None:
        self._stores: dict[Path, ReadOnly] = {}
        self._speeds: dict[Path, dict[tuple[str, str], float]] = {}

    def plan(self, experiment: Experiment, folder: Path) -> Plan:
        """What the job of this folder would do; nothing is computed, asked or written."""
        root = experiment.store.root
        try:
            if kept(folder, signature(experiment)) is not None:
                return Plan("finished", there=_reached(experiment))
            pipeline.check_ready(experiment)
            return self._open(replace(experiment, store=self._stores.setdefault(root, ReadOnly(root=root))))
        except DistillerError as error:
            return Plan("refused", reason=sentence(error))

    def _open(self, experiment: Experiment) -> Plan:
        # Only what a language model could be asked costs anything; the others say so without knowing the queries.
        asks = any(type(each).forecast is not Teacher.forecast for each in _teachers(experiment))
        tracker = Tracker(Path(), NoLogger().open(Path(), {}, None), Console(quiet=True))
        lines: list[pipeline.Line] = []
        costs: list[Forecast] = []
        try:
            ledger = Ledger(experiment.budget)
            for dataset in experiment.dataset.parts().values():
                line = pipeline.block(experiment, tracker, records_of(dataset), ledger)
                with suppress(Missing):  # what was selected without them is known all the same
                    pipeline.features(experiment, tracker, line.task)
                if experiment.reaches("select"):
                    line.selection = pipeline.select(experiment, tracker, line)
                lines.append(line)
            if asks and experiment.reaches("elicit"):
                costs = [cost for line in lines if (cost := _cost(experiment, line)) is not None]
            for line in lines if experiment.reaches("elicit") else ():
                assert line.selection is not None
                line.teacher = pipeline.elicit(experiment, tracker, line, line.selection)
                line.labels = pipeline.repair(experiment.repair, line.task, line.teacher)
            if experiment.reaches("distil"):
                checkpoint = pipeline.distil(experiment, tracker, lines)
                for line in lines if experiment.reaches("predict") else ():
                    pipeline.predict(experiment, tracker, line.task, checkpoint)
        except Missing:
            pass
        n = len(experiment.dataset.parts())
        stages = _reached(experiment)
        there = tuple(s for s in stages if s in tracker.seconds and (s == "distil" or len(tracker.seconds[s]) == n))
        to_do = tuple(stage for stage in stages if stage not in there)
        known = "select" in there or not to_do
        return Plan(
            "open", there, to_do, asks, total_forecast(costs) if known else None, self._seconds(experiment, to_do)
        )

    def _seconds(self, experiment: Experiment, stages: tuple[str, ...]) -> float | None:
        """Seconds of these stages by the median of what the same classes took in this store; None if one never ran."""
        speeds, n = self._measured(experiment.store.root), len(experiment.dataset.parts())
        parts = {
            "block": ("CandidateSet", experiment.blocker, n),
            "features": ("FeatureSet", None, n),
            "select": ("Selection", experiment.selector, n),
            "elicit": ("AnswerSet", experiment.teacher, n),
            "distil": ("Checkpoint", experiment.student, 1),
            "predict": ("AnswerSet", experiment.student, n),
        }
        total = 0.0
        for stage in stages:
            kind, part, times = parts[stage]
            found = speeds.get((kind, identity(part)["class"] if part is not None else ""))
            if found is None and kind in ("CandidateSet", "Selection"):
                found = speeds.get((kind, ""))  # another blocker or selector says enough
            if found is None:
                return None
            total += found * times
        return total

    def _measured(self, root: Path) -> dict[tuple[str, str], float]:
        """Median seconds of the store's entries, by kind and class of a component."""
        if root not in self._speeds:
            seconds: dict[tuple[str, str], list[float]] = {}
            for path in root.glob(f"*/*/{MANIFEST}"):
                told = json.loads(path.read_text(encoding="utf-8"))
                for name in {each["class"] for each in told["components"] if isinstance(each, dict)} | {""}:
                    seconds.setdefault((told["kind"], name), []).append(told["seconds"])
            self._speeds[root] = {key: median(values) for key, values in seconds.items()}
        return self._speeds[root]


def _reached(experiment: Experiment) -> tuple[str, ...]:
    """The stages of a run that leave something in the store, in their order."""
    stages = [stage for stage in ("block", "select", "elicit", "distil", "predict") if experiment.reaches(stage)]
    users = {"select": experiment.selector, "elicit": experiment.teacher, "distil": experiment.student}
    if any(declares(part, "USES_FEATURES") for stage, part in users.items() if experiment.reaches(stage)):
        stages.insert(1, "features")
    return tuple(stages)


def _teachers(experiment: Experiment) -> list[Teacher]:
    return [each for each in nested(experiment.teacher) if isinstance(each, Teacher)]


def _cost(experiment: Experiment, line: pipeline.Line) -> Forecast | None:
    assert line.selection is not None
    return experiment.teacher.forecast(line.task, line.selection.ids("train"))


def show(plans: list[tuple[list[str], Plan, Path]]) -> None:
    """Print one row per job (its overrides, plan and folder), and what all together will take."""
    from rich import box
    from rich.table import Table

    from distiller.sweep.summary import differing

    table = Table(header_style="bold", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for heading in ("job", "overrides", "state", "to do", "teacher"):
        table.add_column(heading, overflow="fold")
    table.add_column("seconds", justify="right")
    differ = differing([words for words, _, _ in plans])
    for words, plan, folder in plans:
        said = " ".join(word for word in words if word.partition("=")[0] in differ)
        seconds = "" if plan.state != "open" else "?" if plan.seconds is None else f"{plan.seconds:,.1f}"
        stages = " ".join(plan.to_do) or ("scorecard" if plan.state == "open" else "")
        table.add_row(folder.name.partition("-")[0], said, plan.state, stages, plan.reason or _told(plan), seconds)
    console = Console()
    console.print(table)
    opened = [plan for _, plan, _ in plans if plan.state == "open"]
    known = [plan.seconds for plan in opened if plan.seconds is not None]
    unknown = len(opened) - len(known)
    total = f"{sum(known):,.0f} s for {len(known)} of them" if unknown else f"{sum(known):,.0f} s"
    counts = {state: sum(plan.state == state for _, plan, _ in plans) for state in ("finished", "open", "refused")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    console.print(f"{len(plans)} jobs: {told}; nothing was done", highlight=False)
    if opened:
        console.print(f"work to do, one job after another, if no stage is shared: {total}", highlight=False)
    if cost := total_forecast([plan.cost for plan in opened if plan.cost is not None]):
        console.print(f"teachers, if no question is shared: {cost}", highlight=False, soft_wrap=True)
    if any(plan.asks and plan.cost is None and "elicit" in plan.to_do for plan in opened):
        console.print(
            "what a teacher costs is known once its queries are selected: run the sweep with until=forecast first",
            highlight=False,
        )


def _told(plan: Plan) -> str:
    if plan.state != "open" or "elicit" not in plan.to_do:
        return ""
    if not plan.asks:
        return "costs nothing"
    return str(plan.cost) if plan.cost is not None else "not known before its queries are selected"
