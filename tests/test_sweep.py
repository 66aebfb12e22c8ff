"""A sweep as a user meets it: paid for once, resumed by the same command, unharmed by a job that fails, listed before it runs."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import QUIET, Commands, Outcome, card, kept, scores, succeeded, tabled
from conformance import CONF
from hydra import compose, initialize_config_dir
from loopback_server import Loopback
from omegaconf import DictConfig, OmegaConf

from distiller.config import build
from distiller.sweep.names import job_name, sweep_name

FAST = ["student.rounds=10", "student.members=1", "student.folds=2"]
TINY = ["dataset.queries=60", "dataset.candidates=80", *FAST, QUIET]
TWO = ["selector=uncertainty,random", *TINY]


def sweep(command: Commands, folder: Path, *words: str) -> Outcome:
    """The sweep of these words, below `folder`."""
    return command("-m", *words, folder=folder)


def jobs(folder: Path) -> list[Path]:
    """Folders of the jobs of the only sweep below a folder, in the order of their numbers."""
    (found,) = (folder / "outputs" / "sweeps").iterdir()
    return sorted(path for path in found.iterdir() if path.is_dir())


def written(folder: Path) -> dict[str, int]:
    """Every file below a folder with the moment it was written."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


# ---- again


def test_the_same_command_again_computes_nothing_and_says_so(command: Commands, tmp_path: Path) -> None:
    first = succeeded(sweep(command, tmp_path, *TWO))
    assert "2 jobs: 2 done" in first.out
    before, store = written(tmp_path / "outputs/sweeps"), kept(tmp_path / "outputs/store")
    again = succeeded(sweep(command, tmp_path, *TWO))
    assert "2 jobs: 2 kept; nothing was computed" in again.out
    assert len(jobs(tmp_path)) == 2, "the same folder, not another"
    for name, moment in written(tmp_path / "outputs/sweeps").items():
        if (
            Path(name).name in ("scorecard.json", "scorecard.csv", "matches.csv", "config.yaml")
            and ".hydra" not in name
        ):
            assert moment == before[name], f"{name} was written again"
    assert kept(tmp_path / "outputs/store") == store
    for line in [line for line in again.out.splitlines() if " kept " in line]:
        value = float(line.split()[-2])
        assert any(abs(card(p)["mean"]["student"]["one_to_one"]["pair_f1"] - value) < 6e-5 for p in jobs(tmp_path))


def test_only_what_is_missing_is_done_again(command: Commands, tmp_path: Path) -> None:
    succeeded(sweep(command, tmp_path, *TWO))
    first, second = jobs(tmp_path)
    (second / "scorecard.json").unlink()
    said = succeeded(sweep(command, tmp_path, *TWO)).out
    assert "2 jobs: 1 done, 1 kept" in said
    assert (second / "scorecard.json").is_file()
    assert json.loads((first / "job.json").read_text())["state"] == "kept"


def test_a_table_that_changed_makes_its_jobs_run_again(command: Commands, tables: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(tables, own)
    words = ["selector=uncertainty,random", *tabled(own), *FAST, QUIET]
    succeeded(sweep(command, tmp_path, *words))
    assert "2 kept" in succeeded(sweep(command, tmp_path, *words)).out
    lines = (own / "a.csv").read_text(encoding="utf-8").splitlines()
    (own / "a.csv").write_text("\n".join(lines[:-10]) + "\n", encoding="utf-8")
    assert "2 jobs: 2 done" in succeeded(sweep(command, tmp_path, *words)).out
    assert card(jobs(tmp_path)[0])["datasets"]["tables"]["records"]["queries"] == len(lines) - 11


# ---- failures


def test_a_job_that_fails_tells_why_in_its_folder_and_stops_no_other(command: Commands, tmp_path: Path) -> None:
    words = ["selector.budget=0.2,7.5,0.5", *TINY]
    outcome = sweep(command, tmp_path, *words)
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "3 jobs: 2 done, 1 failed" in outcome.out
    good, bad, other = jobs(tmp_path)
    told = json.loads((bad / "failure.json").read_text(encoding="utf-8"))
    assert told["error"].startswith("selector.budget: must be a fraction in (0, 1]")
    assert told["kind"] == "ConfigurationError"
    assert "selector.budget=7.5" in told["overrides"]
    assert told["traceback"] is None
    assert not (bad / "scorecard.json").exists()
    for folder in (good, other):
        assert (folder / "scorecard.json").is_file()
        assert not (folder / "failure.json").exists()
    assert "got 7.5" in outcome.out.replace("\n", " ")


def test_a_failed_job_is_tried_again_and_leaves_no_trace_once_it_succeeds(
    command: Commands, tables: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(tables / "b.csv", own)
    words = ["seed=1,2", *tabled(own), *FAST, QUIET]
    assert sweep(command, tmp_path, *words).code == 1
    assert all((folder / "failure.json").is_file() for folder in jobs(tmp_path))
    shutil.copy(tables / "a.csv", own)
    assert "2 jobs: 2 done" in succeeded(sweep(command, tmp_path, *words)).out
    assert not list((tmp_path / "outputs").rglob("failure.json"))


# ---- the listing


def test_a_dry_sweep_lists_its_jobs_and_writes_nothing(command: Commands, tmp_path: Path) -> None:
    said = succeeded(sweep(command, tmp_path, *TWO, "sweep.dry=true")).out
    assert "2 jobs: 2 open; nothing was done" in said
    assert "block features select elicit distil predict" in " ".join(said.split())
    assert not list(tmp_path.rglob("*")), "not even a folder"
    succeeded(sweep(command, tmp_path, *TWO))
    before = written(tmp_path)
    more = succeeded(sweep(command, tmp_path, *TWO, "sweep.dry=true")).out
    assert "2 jobs: 2 finished; nothing was done" in more
    other = succeeded(sweep(command, tmp_path, "selector=uncertainty,kmeans", *TINY, "sweep.dry=true")).out
    assert "2 jobs: 2 open" in other
    assert "scorecard" in other, "all stages of the first are in the store, its scorecard is not"
    assert written(tmp_path) == before


def test_a_dry_sweep_forecasts_seconds_from_what_such_stages_took(command: Commands, tmp_path: Path) -> None:
    succeeded(sweep(command, tmp_path, *TWO))
    said = succeeded(sweep(command, tmp_path, "selector=random", "seed=7,8", *TINY, "sweep.dry=true")).out
    (total,) = [line for line in said.splitlines() if line.startswith("work to do")]
    spent: dict[str, list[float]] = {}
    for path in (tmp_path / "outputs/store").glob("Checkpoint/*/manifest.json"):
        spent.setdefault("distil", []).append(json.loads(path.read_text())["seconds"])
    forecast = float(total.split()[-2].replace(",", ""))
    assert forecast >= round(2 * min(spent["distil"])) - 1
    assert forecast <= 2 * sum(spent["distil"]) + 60


def test_a_dry_sweep_tells_what_a_language_model_would_cost_and_asks_it_nothing(
    command: Commands, tmp_path: Path
) -> None:
    with Loopback() as server:
        words = ["seed=1,2", "teacher=openai", "teacher.model=loopback", f"teacher.engine.url={server.url}", *TINY]
        words += ["teacher.prices.input=1", "teacher.prices.output=2"]
        early = succeeded(sweep(command, tmp_path, *words, "sweep.dry=true")).out
        assert "run the sweep with until=forecast first" in early
        succeeded(sweep(command, tmp_path, *words, "until=select", "sweep.name=before"))
        said = " ".join(succeeded(sweep(command, tmp_path, *words, "sweep.dry=true")).out.split())
        assert not server.log(), "asked although nothing was to be done"
    assert re.search(r"teachers, if no question is shared: (\d+) of \1 prompts to ask", said)
    assert "USD" in said


def test_what_is_for_sweeps_alone_is_refused_in_a_single_run(command: Commands, tmp_path: Path) -> None:
    for word in ("sweep.dry=true", "sweep.name=mine"):
        outcome = command(word, *TINY, folder=tmp_path)
        assert outcome.code == 1
        assert "add -m" in outcome.err


# ---- names


def test_a_sweep_is_named_by_its_words_alone_and_not_by_where_and_how_fast() -> None:
    words = ["selector=a,b", "seed=1,2"]
    name = sweep_name(None, words, [])
    assert name == sweep_name(None, [*words, "threads=1", "store.root=x", "logger=none", "sweep.dry=true"], [])
    assert name == sweep_name(None, words, ["hydra/launcher=ray", "hydra.launcher.num_cpus=2"])
    assert len({name, sweep_name(None, words[:1], []), sweep_name(None, words, ["hydra.sweeper.params.x=1"])}) == 3
    assert sweep_name(None, ["experiment=smoke"], []) == "smoke"
    assert sweep_name(None, ["experiment=smoke", "seed=3"], []).startswith("smoke-")
    assert sweep_name("mine", words, []) == "mine"


def test_the_name_of_a_job_is_one_folder_however_long_its_words() -> None:
    assert job_name(3, ["selector=random", "seed=1", "logger=none", "store.root=/a/b"]) == "003-selector=random,seed=1"
    long = [job_name(3, [f"dataset.queries=/data/{letter * 300}.csv"]) for letter in "ab"]
    assert long[0] != long[1]
    assert all(len(name) < 120 and "/" not in name for name in long)
    assert job_name(12, []) == "012"


# ---- whole sweeps in one word


def experiments() -> list[str]:
    return sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def composed(*words: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(words), return_hydra_config=True)


def values(swept: Any) -> list[str]:
    """The values of one swept parameter, as the sweeper would write them."""
    text = str(swept)
    if text.startswith("range("):
        begin, end = (int(each) for each in text[6:-1].split(","))
        return [str(n) for n in range(begin, end)]
    return text.split(",")


@pytest.mark.parametrize("name", experiments())
def test_every_value_of_an_experiment_can_be_built(name: str) -> None:
    config = composed(f"experiment={name}", "logger=none")
    assert config.hydra.mode.name == "MULTIRUN", "one word is enough"
    params = {key: values(value) for key, value in config.hydra.sweeper.params.items()}
    first = {key: options[0] for key, options in params.items()}
    for key, options in params.items():
        for option in options[:1] if key == "seed" else options:
            chosen = [f"{k}={v}" for k, v in {**first, key: option}.items()]
            config = composed(f"experiment={name}", "logger=none", *chosen)
            task = OmegaConf.masked_copy(config, [k for k in config if k != "hydra"])
            assert build(task).until == "score"


def test_the_first_question_is_asked_of_every_selector_over_five_seeds_on_a_part_fixed_before() -> None:
    config = composed("experiment=q1-selection")
    params = config.hydra.sweeper.params
    everything = {path.stem for path in (CONF / "selector").glob("*.yaml")}
    # A recorded selection has no budget and no fixed test part; two-views is disagreement with its sources.
    assert set(values(params.selector)) == everything - {"recorded", "disagreement"}
    assert len(values(params.seed)) >= 5
    assert {"0.01", "0.2"} <= set(values(params["selector.budget"]))
    assert config.protocol._target_.endswith("fixed.Fixed")


def test_smoke_is_a_sweep_in_one_word_and_runs_here(command: Commands, tmp_path: Path) -> None:
    said = succeeded(command("experiment=smoke", folder=tmp_path))
    assert "4 jobs: 4 done" in said.out
    assert {p.name for p in (tmp_path / "outputs/sweeps").iterdir()} == {"smoke"}
    assert len({json.dumps(scores(card(folder))) for folder in jobs(tmp_path)}) == 4
