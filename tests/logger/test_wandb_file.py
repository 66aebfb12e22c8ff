"""What a sweep leaves for Weights & Biases, read back from the offline files by a reader of our own."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from command import SMALL, Commands, card, rows, succeeded
from wandb.proto.wandb_internal_pb2 import Record

from distiller.logger.secrets import without_secrets

KEYS = {"WANDB_API_KEY": "0123456789abcdef" * 2 + "01234567", "OPENAI_API_KEY": "sk-no-real-key-0815"}
BLOCK, FULL, LAST = 32_768, 1, 4


def records(path: Path) -> Iterator[Record]:
    """The records of an offline file: protobuf, cut into the pieces of a LevelDB log (checksum, length, kind, data)."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, whole = 7, b""
    while place + 7 <= len(data):
        if (left := BLOCK - place % BLOCK) < 7:
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (FULL, LAST):
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


class Kept(NamedTuple):
    """One run as its offline file has it; `run_folder` is ours, `files` the folder of the files it names."""

    run_folder: Path
    group: str
    config: dict[str, Any]
    summary: dict[str, Any]
    steps: list[dict[str, Any]]
    files: Path


def kept(run_folder: Path) -> Kept:
    (path,) = run_folder.glob("wandb/offline-run-*/run-*.wandb")
    group, config, summary, steps = "", {}, {}, []
    for record in records(path):
        updates = [*record.run.config.update, *record.config.update]
        config |= {u.key or "/".join(u.nested_key): json.loads(u.value_json) for u in updates}
        summary |= {u.key or "/".join(u.nested_key): json.loads(u.value_json) for u in record.summary.update}
        if record.HasField("history"):
            steps.append({i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
        group = record.run.run_group or group
    return Kept(run_folder, group, config, summary, steps, path.parent / "files")


@pytest.fixture(scope="module")
def sweep(command: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two jobs with keys in its environment, one of which the configuration quotes."""
    folder = tmp_path_factory.mktemp("wandb")
    secret = "data.url=https://nobody:a-password@example.org/${oc.env:OPENAI_API_KEY}"
    words = ["-m", "dataset.seed=1,2", *SMALL, "logger=wandb", "logger.project=trial", secret]
    places = [f"store.root={folder}/store", f"hydra.sweep.dir={folder}/trials"]
    succeeded(command(*words, *places, folder=folder, **KEYS))
    return folder


@pytest.fixture(scope="module")
def runs(sweep: Path) -> list[Kept]:
    return [kept(path.parent) for path in sorted((sweep / "trials").glob("*/scorecard.json"))]


def test_runs_of_one_sweep_are_one_group(runs: list[Kept]) -> None:
    assert [run.group for run in runs] == ["trials", "trials"]


def test_the_file_holds_the_whole_configuration(runs: list[Kept]) -> None:
    for run in runs:
        told = yaml.safe_load((run.run_folder / "config.yaml").read_text(encoding="utf-8"))
        assert {name: run.config.get(name) for name in told} == told
    assert [run.config["dataset"]["seed"] for run in runs] == [1, 2]


def test_the_numbers_are_those_of_the_scorecard(runs: list[Kept]) -> None:
    for run in runs:
        scores = card(run.run_folder)
        own = scores["datasets"]["synthetic"]
        assert run.summary["f1/synthetic"] == run.summary["f1/mean"] == own["student"]["one_to_one"]["pair_f1"]
        assert run.summary["student/plain/match_f1/mean"] == scores["mean"]["student"]["plain"]["match_f1"]
        for stage, seconds in own["seconds"].items():
            assert run.summary[f"seconds/{stage}"] == pytest.approx(seconds)
            assert run.summary[f"seconds/{stage}/synthetic"] == pytest.approx(seconds)
    assert runs[0].summary["f1/mean"] != runs[1].summary["f1/mean"]


def test_the_keys_of_the_store_are_in_the_configuration_of_the_run(runs: list[Kept], sweep: Path) -> None:
    for run in runs:
        keys = run.config["keys"]["synthetic"]
        assert keys == card(run.run_folder)["datasets"]["synthetic"]["keys"]
        assert (sweep / "store" / "Checkpoint" / keys["checkpoint"] / "manifest.json").is_file()


def test_the_table_of_errors_holds_the_wrong_answers_with_their_texts(runs: list[Kept]) -> None:
    for run in runs:
        path = run.files / run.summary["errors/synthetic/path"]
        table = json.loads(path.read_text(encoding="utf-8"))
        scores = card(run.run_folder)["datasets"]["synthetic"]["student"]["one_to_one"]
        assert len(table["data"]) == scores["queries"] - round(scores["selection_accuracy"] * scores["queries"])
        found = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        matched = {r["query_id"]: r for r in rows(run.run_folder / "matches.csv")}
        for each in found:
            assert each["query"]
            assert each["chosen candidate"] != each["right candidate"] or each["student said"] != "a candidate"
            claimed = each["student said"] == "a candidate"
            assert claimed == (str(each["query_id"]) in matched) == bool(each["chosen candidate"])
            if claimed:
                assert each["probability"] == pytest.approx(
                    float(matched[str(each["query_id"])]["probability"]), abs=1e-5
                )


def test_calibration_and_training_are_plots_with_their_points(runs: list[Kept]) -> None:
    for run in runs:
        plots = {name.removeprefix("_wandb/visualize/") for name in run.config if name.startswith("_wandb/visualize/")}
        assert plots == {"calibration", "training/held-out answers"}
        path = run.files / run.summary["calibration_table/path"]
        table = json.loads(path.read_text(encoding="utf-8"))
        counted = sum(row[table["columns"].index("answers")] for row in table["data"])
        assert counted == card(run.run_folder)["datasets"]["synthetic"]["student"]["plain"]["queries"]
        losses = [step["loss/held-out answers"] for step in run.steps if "loss/held-out answers" in step]
        assert len(losses) == 20
        assert losses[-1] < losses[0]


def test_keys_reach_neither_the_file_nor_the_configuration_nor_the_logs(runs: list[Kept], sweep: Path) -> None:
    assert runs[0].config["data"]["url"] == "https://***@example.org/***"
    secret = [key.encode() for key in (*KEYS.values(), "a-password")]
    written = [path for path in (sweep / "trials").rglob("*") if path.is_file()]
    assert len([path for path in written if path.name.startswith("debug")]) >= 2
    typed = {
        "overrides.yaml",
        "hydra.yaml",
        "multirun.yaml",
        ".hydra/config.yaml",
        "job.json",
    }  # words as they were typed
    for path in written:
        found = [key for key in secret if key in path.read_bytes()]
        assert not found or (found == [b"a-password"] and any(str(path).endswith(name) for name in typed)), path


def test_secrets_are_hidden_wherever_they_stand_and_nothing_else_is() -> None:
    names = {"MY_API_KEY": "abcdefghij", "HF_TOKEN": "abcdefghij-longer", "SHORT_KEY": "abc", "KEYBOARD": "a-b-c-d-e"}
    value = {"a": ["x abcdefghij-longer y", 3, None], "abcdefghij": {"u": "http://me:pw@h:1/p@q"}, "b": "abc a-b-c-d-e"}
    hidden = {"a": ["x *** y", 3, None], "***": {"u": "http://***@h:1/p@q"}, "b": "abc a-b-c-d-e"}
    assert without_secrets(value, names) == hidden
