"""At every single change on disk: a kill, a torn write, a full disk, a broken or a locked one; nothing is lost or damaged."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Tally
from drilled import Stage, Try

#: What writes -> what reads what is there without writing, and tells what was promised to be kept.
READERS = {
    "artifact": None,
    "artifact over a damaged one": None,
    "checkpoint": None,
    "replies": "kept_replies",
    "imported": None,
    "exported": None,
    "pause": "kept_pause",
    "jobs": "job_left",
    "student": "loaded",
}
#: Seldom enough to be tried at every so many changes only.
STEP = {"kill": 1, "torn": 2, "full": 2, "broken": 3, "locked": 5}


def strays(folder: Path) -> list[Path]:
    """What is half written."""
    return [p for p in folder.rglob("*") if ".part" in p.name or p.name.endswith("-journal")]


def undisturbed(stage: Stage, scene: str, folder: Path) -> Try:
    folder.mkdir()
    scene, _, over = scene.partition(" ")
    if over:
        played(stage(scene, folder))
        (table,) = folder.glob("store/Selection/*/table.parquet")
        table.write_bytes(table.read_bytes()[:-7])
    before = folder.with_name("before")
    shutil.copytree(folder, before)
    made = played(stage(scene, folder))
    assert made.count, "the scene writes"
    assert made.result == played(stage(scene, folder)).result, "a repetition gives the same"
    assert not strays(folder)
    return made


def played(ended: Try) -> Try:
    """The try, after it is clear that nothing was wrong with it."""
    assert ended.code == 0, ended.fault or ended.said or ended
    return ended


def promised(scene: str, kept: list[Any], found: Try) -> None:
    """What a reader must find after the scene had told that so much was kept."""
    if scene == "replies":
        for i in kept:
            assert found.result[i].startswith(f"[{i}]"), "a reply that was paid for is lost"
    elif scene == "pause" and kept:
        assert found.result is not None
        assert found.result[0][0] >= kept[-1]
    elif scene == "student" and kept:
        assert (found.code == 0 and found.result[0] >= kept[-1]) or "holds no student" in str(found.said)
    assert found.fault is None, found.fault


@pytest.mark.parametrize("scene", READERS)
@pytest.mark.parametrize("action", STEP)
def test_disturbed_at_every_change(stage: Stage, tally: Tally, tmp_path: Path, scene: str, action: str) -> None:
    whole = undisturbed(stage, scene, tmp_path / "undisturbed")
    folder, reader = tmp_path / "disturbed", READERS[scene]
    for at in range(1, whole.count + 1, STEP[action]):
        shutil.copytree(tmp_path / "before", folder)
        tried = stage(scene.partition(" ")[0], folder, action=action, at=at)
        place = f"{action} at change {at} of {whole.count}: {json.dumps([tried.code, tried.said])}"
        assert tried.fault is None, f"{place}\n{tried.fault}"
        assert tried.code is not None, f"{place}: it waits for ever"
        if tried.code == 0:
            assert tried.result == whole.result, place
        elif tried.code == 1:
            assert tried.said, place
            assert "\n" not in tried.said, place
            assert action == "locked" or not strays(folder), place
        else:
            assert tried.code == -9, place
            assert action in ("kill", "torn"), place
        if reader is not None:
            promised(scene, tried.kept, stage(reader, folder))
        again = stage(scene.partition(" ")[0], folder)
        assert again.code == 0, f"{place}; then: {again.said or again.fault or again}"
        assert again.result == whole.result, place
        assert not strays(folder), place
        tally(
            {0: "unharmed", 1: "said in one sentence", -9: "killed"}[tried.code] + " and as undisturbed when repeated"
        )
        shutil.rmtree(folder)
