"""The command line as a user meets it: what it prints and what it writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from command import QUIET, SMALL, Commands, card, here, kept, rows, run_alone, scores, succeeded, tabled
from omegaconf import OmegaConf

STAGES = ["load", "block", "features", "select", "elicit", "distil", "predict", "disambiguate"]


# ---- the embedded default


def test_the_embedded_default_prints_one_table_and_writes_everything(tmp_path: Path) -> None:
    first = succeeded(run_alone(*SMALL, QUIET, *here(tmp_path), folder=tmp_path))
    for stage in STAGES:
        assert stage in first.err, "progress, a line per stage"
    for word in ("synthetic", "teacher plain", "student plain", "student 1-1", "accuracy", "pair F1", "seconds"):
        assert word in first.out
    assert f"written to {tmp_path}/run" in first.out
    written = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"scorecard.json", "scorecard.csv", "matches.csv", "config.yaml"} <= written
    assert not [name for name in written if name.endswith(".part")]

    got = card(tmp_path / "run")
    assert list(got["datasets"]) == ["synthetic"]
    own = got["datasets"]["synthetic"]
    assert list(own["seconds"]) == STAGES
    assert all(seconds >= 0 for seconds in own["seconds"].values())
    for who in ("teacher", "student"):
        for form in ("plain", "one_to_one"):
            for metric in ("selection_accuracy", "pair_f1", "match_f1", "end_to_end_f1"):
                assert 0 < own[who][form][metric] <= 1
            assert got["mean"][who][form] == own[who][form], "the mean of one dataset is its scores"
    assert own["selection"] == {"train": 12, "test": 108, "unused": 0}
    assert got["uses_gold"] == []
    assert got["seed"] == 1924
    assert got["versions"].keys() >= {"python", "numpy", "lightgbm"}
    assert got["peak_memory_mb"] > 50

    listed = {
        (r["dataset"], r["source"], r["form"], r["metric"]): r["value"] for r in rows(tmp_path / "run/scorecard.csv")
    }
    for who in ("teacher", "student"):
        for form, each in own[who].items():
            for metric, value in each.items():
                assert float(listed["synthetic", who, form, metric]) == float(value)
    found = rows(tmp_path / "run/matches.csv")
    assert len({r["candidate_id"] for r in found}) == len({r["query_id"] for r in found}) == len(found) > 0
    assert all(0 < float(r["probability"]) <= 1 for r in found)
    settings = (tmp_path / "run/config.yaml").read_text(encoding="utf-8")
    assert "${" not in settings
    assert OmegaConf.create(settings).dataset.queries == 120

    before = kept(tmp_path / "store")
    again = succeeded(run_alone(*SMALL, QUIET, f"hydra.run.dir={tmp_path}/again", here(tmp_path)[1], folder=tmp_path))
    assert kept(tmp_path / "store") == before, "nothing is computed again"
    assert again.err.count("(kept)") == len(STAGES) - 1
    assert scores(card(tmp_path / "again")) == scores(got)
    assert (tmp_path / "again/matches.csv").read_bytes() == (tmp_path / "run/matches.csv").read_bytes()
    for stage in STAGES[1:]:
        assert card(tmp_path / "again")["datasets"]["synthetic"]["seconds"][stage] == own["seconds"][stage]


def test_a_run_writes_below_outputs_of_the_folder_it_is_started_in(command: Commands, tmp_path: Path) -> None:
    succeeded(command(*SMALL, QUIET, "until=block", folder=tmp_path))
    assert {p.name for p in tmp_path.iterdir()} == {"outputs"}
    assert {p.name for p in (tmp_path / "outputs").iterdir()} == {"store", "runs"}


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["--cfg", "job", "--resolve", "selector=kmeans"]])
def test_hydras_own_questions_are_answered_and_nothing_is_written(
    command: Commands, tmp_path: Path, words: list[str]
) -> None:
    outcome = succeeded(command(*words, folder=tmp_path))
    assert "selector" in outcome.out
    assert not list(tmp_path.iterdir())


UNTIL = {
    "config": set(),
    "block": {"CandidateSet"},
    "select": {"CandidateSet", "Selection"},
    "elicit": {"CandidateSet", "Selection", "FeatureSet", "AnswerSet"},
    "distil": {"CandidateSet", "Selection", "FeatureSet", "AnswerSet", "Checkpoint"},
    "predict": {"CandidateSet", "Selection", "FeatureSet", "AnswerSet", "Checkpoint"},
    "score": {"CandidateSet", "Selection", "FeatureSet", "AnswerSet", "Checkpoint"},
}


def test_a_run_goes_exactly_as_far_as_it_is_told_and_the_next_goes_on_from_there(
    command: Commands, tmp_path: Path
) -> None:
    before: dict[str, tuple[int, int]] = {}
    for stage, kinds in UNTIL.items():
        words = [*SMALL, QUIET, f"until={stage}", f"hydra.run.dir={tmp_path}/{stage}", f"store.root={tmp_path}/store"]
        succeeded(command(*words, folder=tmp_path))
        after = kept(tmp_path / "store")
        assert {name.split("/")[0] for name in after} == kinds, stage
        assert before.items() <= after.items(), stage
        before = after
        if stage != "config":
            own = card(tmp_path / stage)["datasets"]["synthetic"]
            assert ("teacher" in own, "student" in own) == (stage in list(UNTIL)[3:], stage in ("predict", "score")), (
                stage
            )
    assert not (tmp_path / "config" / "scorecard.json").exists()


# ---- sweeps and loggers


def test_a_sweep_blocks_once_per_dataset_and_a_repeated_one_computes_nothing(command: Commands, tmp_path: Path) -> None:
    def sweep(name: str) -> dict[str, Any]:
        words = ["-m", "selector=uncertainty,random", "dataset.seed=1,2", *SMALL, QUIET, f"store.root={tmp_path}/store"]
        succeeded(command(*words, f"hydra.sweep.dir={tmp_path}/{name}", folder=tmp_path))
        jobs = sorted(p for p in (tmp_path / name).iterdir() if p.is_dir())
        assert [p.name[:3] for p in jobs] == ["000", "001", "002", "003"]
        return {p.name: scores(card(p)) for p in jobs}

    first, before = sweep("one"), kept(tmp_path / "store")
    kinds = [name.split("/")[0] for name in before]
    assert kinds.count("CandidateSet") == kinds.count("FeatureSet") == 2
    assert kinds.count("Selection") == kinds.count("Checkpoint") == 4
    assert len({json.dumps(each) for each in first.values()}) == 4
    assert sweep("two") == first
    assert kept(tmp_path / "store") == before


def test_in_a_sweep_a_job_that_fails_stops_no_other(command: Commands, tables: Path, tmp_path: Path) -> None:
    words = ["-m", "teacher=gold,zeroer", *tabled(tables), "student.rounds=5", QUIET, f"store.root={tmp_path}/store"]
    outcome = command(*words, f"hydra.sweep.dir={tmp_path}/sweep", folder=tmp_path)
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "teacher=Gold reads gold matches" in outcome.err
    (scored,) = (tmp_path / "sweep").glob("*/scorecard.json")
    assert scored.parent.name.startswith("001-teacher=zeroer")


@pytest.mark.parametrize(
    ("logger", "pattern"),
    [("wandb", "wandb/offline-run-*/run-*.wandb"), ("csv", "numbers.csv"), ("none", "scorecard.json")],
)
def test_a_logger_keeps_the_numbers_of_a_run(command: Commands, tmp_path: Path, logger: str, pattern: str) -> None:
    succeeded(command(*SMALL, f"logger={logger}", *here(tmp_path), folder=tmp_path))
    (file,) = (tmp_path / "run").glob(pattern)
    assert file.stat().st_size
    assert {p.name for p in tmp_path.iterdir()} == {"run", "store"}
    if logger == "csv":
        numbers = {r["name"]: float(r["value"]) for r in rows(file)}
        mean = card(tmp_path / "run")["mean"]
        assert numbers["f1/mean"] == mean["student"]["one_to_one"]["pair_f1"]
        assert {f"seconds/{stage}/synthetic" for stage in STAGES} <= numbers.keys()
    assert bool(list((tmp_path / "run").glob("wandb"))) == (logger == "wandb")


# ---- anybody's own tables


def test_own_tables_without_matches_give_matches_under_their_own_ids(
    command: Commands, tables: Path, tmp_path: Path
) -> None:
    outcome = succeeded(command(*tabled(tables), "student.rounds=20", QUIET, *here(tmp_path), folder=tmp_path))
    assert "not scored: no gold" in outcome.out
    own = card(tmp_path / "run")["datasets"]["tables"]
    assert "teacher" not in own
    assert "student" not in own
    found = rows(tmp_path / "run/matches.csv")
    assert len(found) > 20
    for side, column in (("a.csv", "query_id"), ("b.csv", "candidate_id")):
        assert {r[column] for r in found} <= {r["key"] for r in rows(tables / side)}


def test_the_scores_are_those_of_the_matches_that_are_written(command: Commands, tables: Path, tmp_path: Path) -> None:
    words = tabled(tables, matches=f"{tables}/gold.csv", name="mine")
    succeeded(
        command(
            *words, "student.rounds=20", "protocol=fixed", "selector.budget=20", QUIET, *here(tmp_path), folder=tmp_path
        )
    )
    gold = {(r["query"], r["candidate"]) for r in rows(tables / "gold.csv")}
    found = {(r["query_id"], r["candidate_id"]) for r in rows(tmp_path / "run/matches.csv") if r["part"] == "test"}
    own = card(tmp_path / "run")["datasets"]["mine"]
    reported = own["student"]["one_to_one"]
    assert reported["claimed_pairs"] == len(found)
    assert reported["pair_precision"] == pytest.approx(len(found & gold) / len(found))
    assert reported["end_to_end_recall"] == pytest.approx(len(found & gold) / reported["matches"])
    precision, recall = reported["pair_precision"], reported["end_to_end_recall"]
    assert reported["end_to_end_f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert own["blocking"]["recall"] == pytest.approx(1.0, abs=0.2)


def test_repair_settles_what_the_student_learns_from_and_leaves_the_teachers_own_scores(
    command: Commands, tmp_path: Path
) -> None:
    cards = {}
    for repair in ("none", "unique-mapping"):
        words = [*SMALL, "selector.budget=80", f"disambiguation@repair={repair}", "until=distil", QUIET]
        place = [f"hydra.run.dir={tmp_path}/{repair}", f"store.root={tmp_path}/store"]
        succeeded(command(*words, *place, folder=tmp_path))
        cards[repair] = card(tmp_path / repair)["datasets"]["synthetic"]
    one, other = cards.values()
    assert one["teacher"] == other["teacher"]
    assert one["teacher"]["plain"] != one["teacher"]["one_to_one"], "there was a conflict to settle"
    assert one["keys"]["teacher"] == other["keys"]["teacher"]
    assert one["keys"]["checkpoint"] != other["keys"]["checkpoint"]
