"""What every choice of `conf/` is held to; a new choice is found by its place and needs no entry anywhere.

Contracts are functions of a built component and a small real task. `composed` builds any choice the way a run does.
"""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from distiller import ragged
from distiller.artifacts import AnswerSet, CandidateSet, Checkpoint
from distiller.config import Component, DistillerError, build, uses_gold
from distiller.experiment import Experiment
from distiller.records import Records
from distiller.store import Store
from distiller.task import Task

CONF = Path(__file__).parents[1] / "conf"
_SCRATCH = tempfile.TemporaryDirectory(prefix="conformance-")  # removed at exit

_TABLE = Path(_SCRATCH.name) / "table.csv"
_TABLE.write_text("id,name\na,acme drill 500\nb,acme saw 70\n", encoding="utf-8")

#: What a choice cannot be composed without: values of its `???` fields, and parts it needs at least some of.
NEEDED = {
    "trainer=ddp": ["student=minilm"],
    "trainer=fsdp": ["student=llama3-1b"],
    "dataset=tables": [f"dataset.queries={_TABLE}", f"dataset.candidates={_TABLE}"],
    "dataset=duplicates": [f"dataset.queries={_TABLE}"],
    "teacher=recorded": ["teacher.name=qwen2.5-32b"],
    "teacher=openai": ["teacher.model=loopback"],
    "teacher=trained": ["teacher.source.name=qwen2.5-32b", "teacher.student.rounds=20", "teacher.student.members=1"],
    "algorithm=dpo": ["student=llama3-1b"],
    "algorithm=grpo": ["student=llama3-1b"],
    "selector=disagreement": [
        "+teacher@selector.sources.one=zeroer",
        "+teacher@selector.sources.two=zeroer",
        "selector.sources.two.iterations=1",
    ],
}
#: Groups whose choices are parts of a teacher: where they stand, and a teacher that has such a part.
INNER = {group: f"{group}@teacher.{group}" for group in ("engine", "elicitation")}
#: Folders whose files are no components: whole sweeps, and presets of Hydra's own parts.
PRESETS = {"experiment", "hydra"}
TINY = ["dataset.queries=80", "dataset.candidates=100", "dataset.near_duplicates=0.3"]


def choices(group: str | None = None) -> list[tuple[str, str]]:
    """(group, choice) of every file below `conf/` that describes a component, or of one group."""
    files = sorted(
        path for path in CONF.glob(f"{group or '*'}/**/*.yaml") if path.parts[len(CONF.parts)] not in PRESETS
    )
    return [(path.parent.relative_to(CONF).as_posix(), path.stem) for path in files]


def listed(group: str, choice: str) -> dict[str, Any]:
    """The file of a choice as it is written: its keys, and the fields that its defaults list fills with other choices."""
    written = yaml.safe_load((CONF / group / f"{choice}.yaml").read_text(encoding="utf-8"))
    chosen = [key for each in written.pop("defaults", []) if isinstance(each, dict) for key in each]
    return written | {key.partition("@")[2]: None for key in chosen if not key.startswith("override ")}


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """The configuration of a run, with what the choices among the overrides cannot do without."""
    words = ["logger=none"]
    chosen = {word.partition("=")[0] for word in overrides}
    for word in overrides:
        words += [word, *(each for each in NEEDED.get(word, []) if each.partition("=")[0] not in chosen)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", words)


@functools.cache
def built(*overrides: str) -> Experiment:
    """The experiment that these overrides describe."""
    experiment = build(composed(*overrides))
    assert isinstance(experiment, Experiment)
    return experiment


def word(group: str, choice: str) -> tuple[str, ...]:
    """What to write on the command line for a choice."""
    return ("teacher=qwen2.5-14b", f"{INNER[group]}={choice}") if group in INNER else (f"{group}={choice}",)


def part(group: str, choice: str, *overrides: str) -> Any:
    """The component that a choice describes."""
    experiment = built(*word(group, choice), *overrides)
    return getattr(experiment.teacher if group in INNER else experiment, group)


def unset(config: DictConfig, group: str) -> list[str]:
    """Keys of one group that still have no value."""
    return sorted(str(key) for key in OmegaConf.missing_keys(config) if str(key).startswith(group))


def first_of(group: str, kind: str) -> str:
    """The first of the choices of a group that are of a class, by its name."""
    return next(choice for _, choice in choices(group) if type(part(group, choice)).__name__ == kind)


def init_fields(cls: type) -> list[str]:
    """Names of the fields a component is built from."""
    return sorted(f.name for f in dataclasses.fields(cls) if f.init)


# ---- small real tasks


@dataclasses.dataclass(frozen=True)
class Bench:
    """A dataset with its candidates, ready for any component."""

    records: Records
    task: Task

    def gold(self, part: Component) -> pa.Table | None:
        """The matches, for those that declare to read them."""
        return self.records.matches if uses_gold(part) else None


@functools.cache
def bench(*overrides: str) -> Bench:
    """A small task; its features are kept for the whole test process."""
    experiment = built(*overrides, *([] if overrides else TINY))
    (dataset,) = experiment.dataset.parts().values()
    records = dataset.load()
    store = Store(root=Path(_SCRATCH.name) / "store")
    candidates = experiment.blocker.block(records.without_gold(), 2)
    keyed = store.produce(CandidateSet, [experiment.blocker], [records.key], lambda: candidates)
    return Bench(records, Task(records.without_gold(), keyed, store, 2))


def with_split(query_ids: np.ndarray, random: np.random.Generator) -> Records:
    """Records of these queries, cut into parts at random, as a dataset with a split of its own has them."""
    table = pa.table({"id": query_ids, "name": [f"record {i}" for i in query_ids]})
    parts = pa.array(random.choice(["train", "valid", "test"], len(query_ids), p=[0.6, 0.1, 0.3]).tolist())
    return Records("split", table, table, parts=parts)


def replays(part: Component) -> bool:
    """Whether a component works only on a dataset that comes with recorded parts."""
    try:
        part.reads(None)
    except DistillerError:
        return True
    return False


def bench_for(part: Component) -> Bench:
    """The benchmark dataset for what replays recordings, a set of pairs for what needs one, else the synthetic one."""
    if type(part).__name__ == "Given":
        return bench("dataset=beer-structured")
    return bench("dataset=abt-buy") if replays(part) else bench()


def shuffled(records: Records, seed: int) -> Records:
    """The same records, read from tables whose rows stood in another order."""
    from distiller.records import checked

    random = np.random.default_rng(seed)
    tables = [t.take(random.permutation(t.num_rows)) for t in (records.queries, records.candidates)]
    return checked(records.name, *tables, records.matches, folder=records.folder, pairs=records.pairs)


# ---- contracts


def hold_records(records: Records, name: str) -> None:
    """Ids ascend and are unique, values are text or null and never blank, matches point into the tables."""
    assert records.name == name
    for table in (records.queries, records.candidates):
        ids = table["id"].to_numpy()
        assert ids.dtype == np.int64
        assert (np.diff(ids) > 0).all()
        assert table.num_columns > 1
        for column in table.drop_columns(["id"]).columns:
            assert column.type == pa.string()
            assert not pc.any(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py()
    if records.matches is not None:
        assert np.isin(records.matches["query_id"], records.query_ids).all()
        assert np.isin(records.matches["candidate_id"], records.candidate_ids).all()
        assert records.without_gold().matches is None


def hold_candidates(candidates: CandidateSet, records: Records) -> None:
    """Pairs of records of the two tables, none twice; similarities in [0, 1], positions 1..k."""
    CandidateSet(candidates.table)
    assert len(candidates.similarity)
    assert np.isin(candidates.query_ids, records.query_ids).all()
    assert np.isin(candidates.candidate_ids, records.candidate_ids).all()
    assert candidates.table.group_by(["query_id", "candidate_id"]).aggregate([]).num_rows == candidates.table.num_rows
    assert np.isfinite(candidates.similarity).all()


def hold_selection(selected: np.ndarray, scores: np.ndarray | None, pool: np.ndarray) -> None:
    """Ascending distinct ids of the pool, and a score for every query of the pool or for none."""
    assert len(selected)
    assert (np.diff(selected) > 0).all()
    assert np.isin(selected, pool).all()
    if scores is not None:
        assert np.asarray(scores).shape == pool.shape
        assert np.isfinite(scores).all()


def hold_answers(answers: AnswerSet, asked: np.ndarray, candidates: CandidateSet) -> None:
    """One answer to every query asked, about the very candidates of the task; distributions are distributions."""
    AnswerSet(answers.table)
    assert answers.query_ids.tolist() == asked.tolist()
    rows, offsets = candidates.of(asked)
    assert answers.offsets.tolist() == offsets.tolist()
    shown = candidates.candidate_ids[rows]
    for own, listed in zip(_cut(answers.option_ids, offsets), _cut(shown, offsets), strict=True):
        assert sorted(own) == sorted(listed)
    assert (answers.choice <= np.diff(offsets)).all()
    begins = ragged.option_offsets(offsets)
    for probability in _cut(answers.distribution, begins):
        assert min(probability) >= 0
        assert abs(sum(probability) - 1) < 1e-4


def hold_choices_most_probable(answers: AnswerSet) -> None:
    """Every readable answer of a source with distributions chose an option that none exceeds."""
    begins = ragged.option_offsets(answers.offsets)
    for choice, probability, soft in zip(answers.choice, _cut(answers.distribution, begins), answers.soft, strict=True):
        assert choice < 0 or not soft or probability[choice] == max(probability)


def hold_one_to_one(answers: AnswerSet) -> None:
    """No candidate is chosen by two queries."""
    chosen = answers.chosen_ids[answers.choice > 0]
    assert len(chosen)
    assert len(np.unique(chosen)) == len(chosen)


def hold_checkpoint(folder: Path, facts: dict[str, Any]) -> None:
    """Files that hold numbers and text but no code, and facts that fit into a manifest."""
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert files
    assert {p.suffix for p in files} <= {".safetensors", ".json", ".txt", ".npz", ".csv", ".model", ".jinja"}
    for path in files:
        assert not path.read_bytes().startswith((b"\x80\x04", b"\x80\x05", b"\x80\x02")), f"{path.name} is a pickle"
    assert json.loads(json.dumps(facts))["queries"] > 0


def same_answers(one: AnswerSet, other: AnswerSet) -> bool:
    """Whether two answer sets agree in everything but the seconds."""
    return one.table.drop_columns(["seconds"]).equals(other.table.drop_columns(["seconds"]))


def trained(experiment: Experiment, lessons: list[tuple[Task, AnswerSet]], folder: Path) -> Checkpoint:
    """A student trained into a new folder."""
    folder.mkdir()
    facts = experiment.algorithm.distil(experiment.student, lessons, experiment.trainer, 2, folder)
    hold_checkpoint(folder, facts)
    return Checkpoint(folder, facts=facts)


def _cut(values: np.ndarray, offsets: np.ndarray) -> Iterator[list[Any]]:
    flat = values.tolist()
    return (flat[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
