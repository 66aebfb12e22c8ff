"""Two users on one store, a clock that jumps, an entry in which any byte is another or any end is missing."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Tally
from drilled import Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_every_write import played, strays

from distiller.sweep.job import Job

NOBODY, OTHER = 65534, 65533
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play two users")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder in which every user may write."""
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@root_only
@pytest.mark.parametrize("scene", ["artifact", "checkpoint", "replies", "imported"])
def test_two_users_share_a_store_where_their_umask_lets_them(
    stage: Stage, shared: Path, scene: str, tally: Tally
) -> None:
    first = played(stage(scene, shared, user=NOBODY, umask=0))
    assert played(stage(scene, shared, user=OTHER, umask=0)).result == first.result
    tally("as undisturbed")


@root_only
@pytest.mark.parametrize("scene", ["artifact", "replies"])
def test_a_store_of_another_user_is_one_sentence_and_unharmed(
    stage: Stage, shared: Path, scene: str, tally: Tally
) -> None:
    first = played(stage(scene, shared, user=NOBODY, umask=0o077))
    tried = stage(scene, shared, user=OTHER)
    assert (tried.code, tried.fault) == (1, None)
    assert "choose another folder with store.root=" in str(tried.said)
    assert played(stage(scene, shared, user=NOBODY, umask=0o077)).result == first.result
    tally("said in one sentence")


@pytest.mark.parametrize("scene", ["artifact", "checkpoint", "replies", "imported", "pause", "jobs", "student"])
@pytest.mark.parametrize("days", [-10_000, 10_000])
def test_a_clock_that_jumps_changes_nothing(stage: Stage, tmp_path: Path, scene: str, days: int, tally: Tally) -> None:
    folders = [tmp_path / name / "x" for name in ("steady", "jumping")]
    for folder in folders:
        folder.mkdir(parents=True)
    steady = played(stage(scene, folders[0]))
    for clock in (days * 86_400, 0, -days * 86_400 // 2):
        assert played(stage(scene, folders[1], clock=clock)).result == steady.result
        tally("as undisturbed")
    assert not strays(tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("scene", ["artifact", "checkpoint", "student"])
def test_a_damaged_byte_or_a_lost_end_is_made_again_or_said(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory, scene: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damage") / "x"
    folder.mkdir()
    whole = played(stage(scene, folder))
    entries = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".lock" and p.stat().st_size]
    path = entries[data.draw(st.integers(0, 9)) % len(entries)]
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, 2**20)) % len(content)  # lengths differ by the digits of seconds
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    path.unlink()  # a new file, for students' files are linked
    path.write_bytes(content)
    if scene == "student":
        found = stage("loaded", folder)
        assert found.fault is None, found.fault
        assert found.code == 0 or found.said
    again = stage(scene, folder)
    assert (again.code, again.result) == (0, whole.result), again
    shutil.rmtree(folder.parent)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(json_values | st.dictionaries(st.sampled_from(["state", "overrides", "objective", "seconds"]), json_values))
def test_any_record_of_a_job_is_read_or_is_none(value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "job.json").write_text(json.dumps(value))
        found = Job.read(Path(folder))
        assert found is None or isinstance(value, dict)
