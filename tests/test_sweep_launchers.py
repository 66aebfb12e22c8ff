"""Whoever launches the jobs, and however many sweeps use one store: the same scores, and no stage is done twice."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from command import QUIET, RUN, card, environment, kept, run_alone, scores, succeeded

SMALL = ["dataset.queries=60", "dataset.candidates=80", "student.rounds=10", "student.members=1", "student.folds=2"]
SIX = ["selector=uncertainty,random,coverage", "dataset.seed=1,2", *SMALL, QUIET, "threads=1"]
MANY = ["selector=uncertainty,random", "dataset.seed=1,2,3", "seed=1,2,3,4", *SMALL, QUIET]


def scored(sweep: Path) -> dict[str, object]:
    """Scores of every finished job of a sweep, by the name of its folder."""
    return {path.parent.name: scores(card(path.parent)) for path in sweep.glob("*/scorecard.json")}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Scores of the six jobs, one after another by Hydra's own launcher."""
    folder = tmp_path_factory.mktemp("basic")
    succeeded(run_alone("-m", *SIX, "sweep.name=six", folder=folder))
    return scored(folder / "outputs/sweeps/six")


@pytest.mark.parametrize(
    "launcher",
    [
        ["processes", "hydra.launcher.n_jobs=2"],
        ["slurm-rehearsal"],
        ["ray", "hydra.launcher.num_cpus=2"],
    ],
    ids=lambda words: words[0],
)
def test_a_launcher_gives_the_scores_that_one_job_after_another_gives(
    launcher: list[str], expected: dict[str, object], tmp_path: Path
) -> None:
    needed = {"processes": "hydra_plugins.hydra_joblib_launcher", "ray": "ray"}
    pytest.importorskip(needed.get(launcher[0], "submitit"))
    words = ["-m", *SIX, "sweep.name=six", f"hydra/launcher={launcher[0]}", *launcher[1:]]
    ran = run_alone(*words, folder=tmp_path, RAY_DEDUP_LOGS="0")
    assert ran.code == 0, ran.err
    assert "6 jobs: 6 done" in ran.out
    assert scored(tmp_path / "outputs/sweeps/six") == expected
    kinds = Counter(name.split("/")[0] for name in kept(tmp_path / "outputs/store"))
    assert (kinds["CandidateSet"], kinds["FeatureSet"], kinds["Selection"]) == (2, 2, 6)


COUNTING = '''
"""Parts that write a line whenever they work."""
import hashlib
import os
from distiller.config import component
from distiller.student.boosted import Boosted
from distiller.teacher.zeroer import ZeroER

def note(word):
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, (word + "\\n").encode())
    os.close(file)

@component
class NotingTeacher(ZeroER):
    """Notes what it is asked."""
    def annotate(self, task, query_ids, gold=None):
        note(f"elicit {task.key} {query_ids.tolist()}")
        return super().annotate(task, query_ids, gold)

@component
class NotingStudent(Boosted):
    """Notes what it learns from and what it answers."""
    def fit(self, lessons, trainer, threads, folder):
        told = [(lesson.task.key, hashlib.sha256(lesson.target.tobytes()).hexdigest()) for lesson in lessons]
        note(f"distil {self.seed} {told}")
        return super().fit(lessons, trainer, threads, folder)
    def answer(self, checkpoint, task, query_ids, trainer, threads):
        note(f"predict {checkpoint.key} {task.key}")
        return super().answer(checkpoint, task, query_ids, trainer, threads)
'''


def test_two_sweeps_at_the_same_time_on_one_store_do_no_stage_twice(tmp_path: Path) -> None:
    (tmp_path / "noting.py").write_text(COUNTING, encoding="utf-8")
    words = ["-m", "selector=uncertainty,random", "dataset.seed=1,2", "seed=1,2", *SMALL, QUIET, "threads=1"]
    words += ["teacher._target_=noting.NotingTeacher", "student._target_=noting.NotingStudent"]
    notes = tmp_path / "notes"
    changes = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]), "NOTES": str(notes)}
    running = [
        subprocess.Popen(
            [sys.executable, str(RUN), *words, f"store.root={tmp_path}/store", f"sweep.name={name}"],
            cwd=tmp_path,
            env=environment(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    counts = Counter(notes.read_text(encoding="utf-8").splitlines())
    assert {line.split()[0] for line in counts} == {"elicit", "distil", "predict"}
    assert set(counts.values()) == {1}, "a stage was done twice"
    one, two = (scored(tmp_path / "outputs/sweeps" / name) for name in ("one", "two"))
    assert len(one) == 8
    assert one == two


def test_a_sweep_of_24_jobs_killed_twice_ends_as_one_that_nobody_disturbed(tmp_path: Path) -> None:
    words = ["-m", *MANY, "sweep.name=many"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    succeeded(run_alone(*words, folder=whole))
    expected = scored(whole / "outputs/sweeps/many")
    assert len(expected) == 24

    finished, before = 0, {}
    for least in (4, 13):
        process = subprocess.Popen(
            [sys.executable, str(RUN), *words],
            cwd=cut,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + 200
        while len(scored_names(cut)) < least:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.05 * least / 4)  # somewhere in the middle of the next job
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert finished < len(scored_names(cut)) < 24
        finished = len(scored_names(cut))
        assert before.items() <= kept(cut / "outputs/store").items(), "what was made is not made again"
        before = kept(cut / "outputs/store")

    last = succeeded(run_alone(*words, folder=cut))
    # The job that was killed between its scorecard and its record is gone through again; all its stages are kept.
    assert any(f"{24 - n} done, {n} kept" in last.out for n in (finished - 1, finished))
    assert scored(cut / "outputs/sweeps/many") == expected
    after = kept(cut / "outputs/store")
    assert before.items() <= after.items(), "what was made is not made again"
    assert set(after) == set(kept(whole / "outputs/store")), "each stage is there, and none besides"
    assert "24 kept; nothing was computed" in succeeded(run_alone(*words, folder=cut)).out


def scored_names(folder: Path) -> list[str]:
    return [path.parent.name for path in (folder / "outputs/sweeps/many").glob("*/scorecard.json")]


HIDDEN = """
import runpy, sys
import hydra_plugins
hydra_plugins.__path__ = [p for p in hydra_plugins.__path__ if "site-packages" not in p]
if "ray" in sys.argv[3]:
    sys.modules["ray"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("launcher", "extra"),
    [
        ("processes", "joblib"),
        ("slurm", "submitit"),
        ("slurm-rehearsal", "submitit"),
        ("joblib", "joblib"),
        ("submitit_slurm", "submitit"),
        ("ray", "ray-launcher"),
    ],
)
def test_a_launcher_that_is_not_installed_is_named_with_what_installs_it(
    launcher: str, extra: str, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HIDDEN, str(RUN), "-m", f"hydra/launcher={launcher}", "seed=1,2", *SMALL, QUIET],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert f"pip install 'distiller-er[{extra}]'" in ran.stderr
