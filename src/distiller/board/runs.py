"""The runs below some folders, read from their scorecards and outcomes, and the recipes they follow."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from distiller.board.significance import Counts, Row
from distiller.config import DistillerError

SCORECARD, OUTCOMES, FAILURE = "scorecard.json", "outcomes.parquet", "failure.json"
#: What decides the answers of each source, in the order in which labels name them.
PARTS = {
    "student": [
        "student",
        "algorithm",
        "teacher",
        "escalation",
        "selector",
        "protocol",
        "blocker",
        "repair",
        "trainer",
        "dataset",
        "disambiguation",
    ],
    "teacher": ["teacher", "selector", "protocol", "blocker", "dataset", "disambiguation"],
}
METRICS = {
    "selection_accuracy": "selection accuracy (the paper's F1 of language models)",
    "pair_f1": "pair F1 (the paper's F1 of encoders)",
    "match_f1": "match F1",
    "end_to_end_f1": "end-to-end F1",
}
#: Forms of answers, as they come and after disambiguation; where a run has several, the last is its final one.
FORMS = ("plain", "one_to_one", "many_to_many")
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Run:
    """One finished run: its folder as told to the reader, its scorecard, its outcomes by (dataset, source, form)."""

    folder: str
    card: dict[str, Any]
    outcomes: dict[tuple[str, str, str], Columns]

    @property
    def published(self) -> bool:
        """Whether its figures were copied from a publication, without answers to single queries."""
        return "published" in self.card


def read(roots: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """All finished runs below the folders, in the order of their paths, and what was left out with the reason.

    Raises:
        DistillerError: one of the folders is missing.
    """
    runs: list[Run] = []
    left_out: list[str] = []
    for root in roots:
        if not root.is_dir():
            raise DistillerError(f"{root} is no folder; name a folder of runs, such as outputs")
        for folder in sorted(_folders(root)):
            name = folder.relative_to(root).as_posix()
            shown = root.name if name == "." else f"{root.name}/{name}" if root.name else name
            found = _run(folder, shown)
            if isinstance(found, Run):
                runs.append(found)
            elif found:
                left_out.append(f"{shown}: {found}")
    return runs, left_out


def _folders(root: Path) -> set[Path]:
    found: set[Path] = set()
    open_folders = [root]
    while open_folders:
        folder = open_folders.pop()
        for each in folder.iterdir():
            if each.is_dir() and each.name not in ("store", "wandb", ".hydra", ".git"):
                open_folders.append(each)
            elif each.name in (SCORECARD, FAILURE, "config.yaml"):
                found.add(folder)
    return found


def _run(folder: Path, shown: str) -> "Run | str":
    """The run of a folder, or why it is none."""
    if not (folder / SCORECARD).is_file():
        if not (folder / FAILURE).is_file():
            return "not finished, it has no scorecard.json" if (folder / "config.yaml").is_file() else ""
        try:
            told = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
            reason = next((told[k] for k in ("error", "message", "reason") if k in told), "see failure.json")
        except (ValueError, OSError, TypeError) as error:
            reason = f"failure.json cannot be read: {error}"
        return f"failed: {' '.join(str(reason).split())}"
    try:
        card = json.loads((folder / SCORECARD).read_text(encoding="utf-8"))
        missing = {"datasets", "mean", "recipe", "seed"} - card.keys()
        if missing:
            return f"its scorecard.json has no {', '.join(sorted(missing))}; it is of another version, run it again"
        table = pq.read_table(folder / OUTCOMES) if (folder / OUTCOMES).is_file() else None
    except (ValueError, OSError) as error:
        return f"cannot be read: {error}"
    outcomes: dict[tuple[str, str, str], Columns] = {}
    if table is not None:
        columns = {name: table[name].to_numpy() for name in table.column_names}
        whose = np.array(
            [f"{d}\n{s}\n{f}" for d, s, f in zip(*(columns[n] for n in ("dataset", "source", "form")), strict=True)]
        )
        starts = np.flatnonzero(np.r_[True, whose[1:] != whose[:-1]]) if len(whose) else np.zeros(0, int)
        for begin, end in zip(starts, np.r_[starts[1:], len(whose)], strict=True):
            dataset, source, form = str(whose[begin]).split("\n")
            outcomes[dataset, source, form] = {name: values[begin:end] for name, values in columns.items()}
    return Run(shown, card, outcomes)


def counts(columns: Columns, metric: str, matches: float) -> Counts | None:
    """What the queries add to a metric; None where it is not defined: accuracy of claims of several candidates.

    matches: all gold matches of the scored side, also of queries without candidates.
    """
    ids = columns["query_id"]
    if metric == "selection_accuracy":
        return (
            None if (columns["choice"] == -2).any() else Counts(ids, columns["right"].astype(float), np.ones(len(ids)))
        )
    wanted = columns["gold_candidates"] if metric == "pair_f1" else columns["gold"]
    beyond = float(matches) - float(columns["gold"].sum()) if metric == "end_to_end_f1" else 0.0
    return Counts(ids, 2.0 * columns["hits"], columns["claimed"].astype(float) + wanted, beyond)


def without_seed(value: Any, seed: int) -> Any:
    """A recipe without the fields that are the run's seed."""
    if isinstance(value, dict):
        return {k: without_seed(v, seed) for k, v in value.items() if not (k == "seed" and v == seed)}
    return [without_seed(v, seed) for v in value] if isinstance(value, list) else value


@dataclass
class Entry:
    """One recipe as far as it concerns the answers of one source in one form, with its runs by seed.

    scored: dataset -> (version of its records, the queries scored and their truth), "by seed" where every seed scores others.
    """

    source: str
    form: str
    recipe: dict[str, Any]
    scored: dict[str, tuple[str, str]]
    runs: dict[int, Run] = field(default_factory=dict)

    @property
    def first(self) -> Run:
        """The run of the smallest seed."""
        return self.runs[min(self.runs)]

    @property
    def published(self) -> bool:
        """Whether it has figures only."""
        return self.first.published

    @property
    def uses_gold(self) -> list[str]:
        """Which of its parts read gold matches."""
        return list(self.first.card.get("uses_gold", []))

    def score(self, metric: str, dataset: str, seed: int) -> float | None:
        """The scorecard's figure."""
        value = self.runs[seed].card["datasets"][dataset][self.source][self.form].get(metric)
        return None if value is None else float(value)

    def row(self, metric: str, datasets: Iterable[str]) -> Row | None:
        """What significance is computed from; None if there are no outcomes or the metric is not defined for them."""
        row: Row = {}
        for seed, run in self.runs.items():
            row[seed] = {}
            for name in datasets:
                columns = run.outcomes.get((name, self.source, self.form))
                if columns is None:
                    return None
                matches = run.card["datasets"][name][self.source][self.form].get("matches", 0)
                found = counts(columns, metric, matches)
                if found is None:
                    return None
                row[seed][name] = found
        return row

    def seconds(self, datasets: Iterable[str]) -> float | None:
        """Mean over seeds of the seconds of all stages up to the answers, over these datasets; None if not known."""
        until = {"features", "block", "select", "elicit"} | (
            {"distil", "predict", "escalate"} if self.source == "student" else set()
        )
        cards = [[run.card["datasets"][name].get("seconds", {}) for name in datasets] for run in self.runs.values()]
        if not any(any(each) for each in cards):
            return None
        return float(np.mean([sum(v for each in own for k, v in each.items() if k in until) for own in cards]))

    def spent(self, what: str, datasets: Iterable[str]) -> float | None:
        """Mean over seeds of what asking the teacher took over these datasets: "tokens" or "cost"; None if not known."""
        names = ("tokens_in", "tokens_out") if what == "tokens" else (what,)
        kinds = ("spent", "spent_answering") if self.source == "student" else ("spent",)
        spent = [
            [run.card["datasets"][name].get(kind) for name in datasets for kind in kinds] for run in self.runs.values()
        ]
        if not any(each for own in spent for each in own):
            return None
        return float(np.mean([sum(float(each.get(n, 0)) for each in own if each for n in names) for own in spent]))

    def gold_share(self, datasets: Iterable[str]) -> float:
        """Share of the queries whose gold matches the teacher or the student was given, mean over seeds; 0 without."""
        if not {"teacher", "student"} & set(self.uses_gold):
            return 0.0
        shares = []
        for run in self.runs.values():
            parts = [run.card["datasets"][name].get("selection", {}) for name in datasets]
            whole = sum(sum(part.values()) for part in parts)
            shares.append(sum(part.get("train", 0) for part in parts) / whole if whole else 0.0)
        return float(np.mean(shares))


def entries(runs: list[Run], forms: str = "final") -> tuple[list[Entry], list[str]]:
    """One entry per recipe, source and versions of datasets, and remarks on runs that were left out or disagree.

    forms: `final` takes a run's answers after disambiguation where it has any, else its plain ones; or one of `FORMS`, `all`.
    """
    grouped: dict[str, list[tuple[Entry, Run]]] = defaultdict(list)
    remarks: list[str] = []
    for run in runs:
        if not any(each.get(source) for each in run.card["datasets"].values() for source in PARTS):
            remarks.append(f"{run.folder}: nothing is scored in it")
        for source, names in PARTS.items():
            for form in _forms(run, source, forms):
                fault = _fault(run, source, form)
                if fault:
                    remarks.append(f"{run.folder}: {fault}")
                    continue
                recipe = {n: without_seed(run.card["recipe"].get(n), run.card["seed"]) for n in names}
                if isinstance(recipe["dataset"], dict):  # another seed of a dataset is another version of its records
                    recipe["dataset"].pop("seed", None)
                if form == "plain":
                    recipe["disambiguation"] = None
                entry = Entry(source, form, recipe | {"name": run.card.get("name")}, _scored(run, source, form))
                versions = {name: version for name, (version, _) in entry.scored.items()}
                grouped[json.dumps([source, form, entry.recipe, versions], sort_keys=True)].append((entry, run))
    found = []
    for members in grouped.values():
        entry = members[0][0]
        for _, run in members:
            seed = run.card["seed"]
            if seed in entry.runs:
                same, commits = (
                    _results(entry.runs[seed], entry) == _results(run, entry),
                    _commits(entry.runs[seed], run),
                )
                if (
                    not same or commits or entry.source == "student"
                ):  # one teacher is scored again in the run of every student
                    remarks.append(
                        f"{entry.runs[seed].folder}: same recipe, seed and data as {run.folder}, which is counted; their "
                        f"{entry.source} scores {'agree' if same else 'DIFFER'}{commits}"
                    )
            entry.runs[seed] = run
        signatures = {json.dumps(_scored(run, entry.source, entry.form), sort_keys=True) for run in entry.runs.values()}
        if len(signatures) > 1:
            entry.scored = {name: (version, "by seed") for name, (version, _) in entry.scored.items()}
        found.append(entry)
    return found, list(dict.fromkeys(remarks))


def _forms(run: Run, source: str, forms: str) -> list[str]:
    cards = [each.get(source, {}) for each in run.card["datasets"].values()]
    there = [form for form in FORMS if cards and all(form in card for card in cards)]
    if forms == "final":
        return there[-1:]
    return [form for form in there if forms in (form, "all")]


def _fault(run: Run, source: str, form: str) -> str | None:
    """Why a run's scores of a source cannot be used, if so."""
    if run.published:
        return None
    for name, dataset in run.card["datasets"].items():
        columns = run.outcomes.get((name, source, form))
        if columns is None:
            return "has scores but no outcomes.parquet that holds them; run it again, the store has what it made"
        card = dataset[source][form]
        for metric in METRICS:
            own = counts(columns, metric, card.get("matches", 0))
            if own is not None and metric in card and abs(own.score - card[metric]) > 1e-9:
                return f"its outcomes give {metric} {own.score:.6f} on {name}, its scorecard says {card[metric]:.6f}"
    return None


def _scored(run: Run, source: str, form: str) -> dict[str, tuple[str, str]]:
    scored = {}
    for name, dataset in run.card["datasets"].items():
        columns = run.outcomes.get((name, source, form))
        queries = dataset.get("scored", "") if columns is None else signature(columns)
        scored[name] = (dataset.get("keys", {}).get("records", ""), queries)
    return scored


def signature(columns: Columns) -> str:
    """Names the queries scored, how many candidates each has, and how many of them are gold."""
    whole = np.column_stack([columns[c].astype(np.int64) for c in ("query_id", "gold_candidates", "gold", "options")])
    return hashlib.sha256(np.ascontiguousarray(whole).tobytes()).hexdigest()[:16]


def _results(run: Run, entry: Entry) -> list[Any]:
    return [each[entry.source][entry.form] for each in run.card["datasets"].values()]


def _commits(one: Run, two: Run) -> str:
    commits = [str(run.card.get("commit"))[:9] for run in (one, two)]
    return "" if commits[0] == commits[1] else f"; they are of commits {commits[0]} and {commits[1]}"
