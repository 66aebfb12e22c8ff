"""What was made once is found again, what is found is whole, and a fault of the disk is one sentence."""

import dataclasses
import errno
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conformance import built, choices, listed, part
from hypothesis import given
from hypothesis import strategies as st

from distiller.artifacts import CandidateSet, Selection
from distiller.config import Component, DistillerError
from distiller.store import Store

SELECTOR, PROTOCOL = built().selector, built().protocol
PARTS = [1, 2, 3]


def selection(part: str = "test") -> Selection:
    return Selection(pa.table({"query_id": PARTS, "part": [part] * 3, "score": [0.5, None, 1.0]}))


class Counted:
    """Makes a selection and counts how often; `seconds` it pretends to work."""

    def __init__(self, part: str = "test", seconds: float = 0.0):
        self.part, self.seconds, self.times = part, seconds, 0

    def __call__(self) -> Selection:
        self.times += 1
        time.sleep(self.seconds)
        return selection(self.part)


def produce(store: Store, make: Callable[[], Selection], inputs: tuple[str, ...] = ("records",)) -> Selection:
    return store.produce(Selection, [SELECTOR, PROTOCOL], inputs, make)


def folders(root: Path, kind: str = "*") -> set[Path]:
    """Everything below a store that is not a lock."""
    return {p for p in root.glob(f"{kind}/*") if p.suffix != ".lock"}


def test_the_same_inputs_are_made_once_and_read_back_as_they_were(tmp_path: Path) -> None:
    make = Counted(seconds=0.05)
    made, read = produce(Store(root=tmp_path), make), produce(Store(root=tmp_path), make)
    assert make.times == 1
    assert (made.reused, read.reused) == (False, True)
    assert made.key == read.key
    assert read.table.equals(made.table)
    assert read.table.equals(selection().table)
    assert made.seconds == read.seconds >= 0.05
    assert (tmp_path / "Selection" / made.key / "table.parquet").is_file()


def test_other_inputs_components_kinds_and_versions_give_other_keys() -> None:
    keys = [
        Store.key("Selection", 1, [SELECTOR, PROTOCOL], ["a", "b"]),
        Store.key("AnswerSet", 1, [SELECTOR, PROTOCOL], ["a", "b"]),
        Store.key("Selection", 2, [SELECTOR, PROTOCOL], ["a", "b"]),
        Store.key("Selection", 1, [PROTOCOL, SELECTOR], ["a", "b"]),
        Store.key("Selection", 1, [SELECTOR], ["a", "b"]),
        Store.key("Selection", 1, [SELECTOR, PROTOCOL], ["b", "a"]),
        Store.key("Selection", 1, [SELECTOR, PROTOCOL], ["ab"]),
        Store.key("Selection", 1, [SELECTOR, PROTOCOL], ["a"]),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)


def with_field(component: Component, name: str, value: Any) -> Component:
    """A copy with another value in one field, past all checks."""
    other = copy(component)
    object.__setattr__(other, name, value)
    return other


CLASSES = {listed(group, choice)["_target_"]: (group, choice) for group, choice in choices()}


@pytest.mark.parametrize(("group", "choice"), CLASSES.values(), ids=CLASSES)
def test_every_field_decides_the_key_unless_it_only_changes_speed(group: str, choice: str) -> None:
    component = part(group, choice)
    before = Store.key("X", 1, [component], [])
    assert Store.key("X", 1, [copy(component)], []) == before
    for field in dataclasses.fields(component):
        for value in ("something else", None if getattr(component, field.name) is not None else 7):
            after = Store.key("X", 1, [with_field(component, field.name, value)], [])
            assert (after == before) == bool(field.metadata.get("runtime")), field.name
    newer = copy(component)
    newer.__dict__["VERSION"] = component.VERSION + 1
    assert Store.key("X", 1, [newer], []) != before


def test_fields_of_parts_within_parts_decide_the_key() -> None:
    one, two = (
        built("selector=uncertainty", "teacher@selector.source=zeroer", f"selector.source.iterations={n}")
        for n in (3, 4)
    )
    assert Store.key("X", 1, [one.selector], []) != Store.key("X", 1, [two.selector], [])


@given(st.lists(st.lists(st.text(max_size=3), max_size=3), min_size=2, max_size=6))
def test_keys_are_equal_exactly_when_their_inputs_are(inputs: list[list[str]]) -> None:
    keys = [Store.key("X", 1, [SELECTOR], each) for each in inputs]
    for one, key in zip(inputs, keys, strict=True):
        for other, another in zip(inputs, keys, strict=True):
            assert (one == other) == (key == another)


def test_the_work_of_a_nested_artifact_is_not_counted_twice(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    inner: list[Selection] = []

    def make() -> Selection:
        time.sleep(0.05)
        inner.append(produce(store, Counted(seconds=0.3), ("inner",)))
        return selection()

    outer = produce(store, make, ("outer",))
    assert inner[0].seconds >= 0.3
    assert 0.05 <= outer.seconds < 0.25
    assert produce(store, make, ("outer",)).seconds == outer.seconds


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "table cut": lambda folder: (folder / "table.parquet").write_bytes((folder / "table.parquet").read_bytes()[:-9]),
    "table of zeros": lambda folder: (folder / "table.parquet").write_bytes(
        bytes(len((folder / "table.parquet").read_bytes()))
    ),
    "table lost": lambda folder: (folder / "table.parquet").unlink(),
    "file added": lambda folder: (folder / "notes.txt").write_text("mine"),
    "manifest lost": lambda folder: (folder / "manifest.json").unlink(),
    "manifest cut": lambda folder: (folder / "manifest.json").write_text('{"files": {'),
    "manifest of another form": lambda folder: (folder / "manifest.json").write_text("[1, 2]"),
    "manifest without seconds": lambda folder: (folder / "manifest.json").write_text(
        json.dumps({k: v for k, v in json.loads((folder / "manifest.json").read_text()).items() if k != "seconds"})
    ),
    "manifest no text": lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    make, store = Counted(), Store(root=tmp_path)
    made = produce(store, make)
    DAMAGE[damage](tmp_path / "Selection" / made.key)
    again = produce(store, make)
    assert (make.times, again.reused) == (2, False)
    assert again.table.equals(made.table)
    assert produce(store, make).reused
    assert folders(tmp_path) == {tmp_path / "Selection" / made.key}


def test_what_raises_leaves_nothing_behind_and_its_fault_passes_through(tmp_path: Path) -> None:
    store = Store(root=tmp_path)

    def fail(folder: Path) -> dict[str, Any]:
        (folder / "weights.txt").write_text("half")
        raise KeyError("a fault of the component")

    with pytest.raises(KeyError, match="a fault of the component"):
        store.train([SELECTOR], ["x"], fail)
    assert not folders(tmp_path)
    done = store.train([SELECTOR], ["x"], lambda folder: {"n": (folder / "weights.txt").write_text("whole")})
    assert done.facts == {"n": 5}
    assert (done.folder / "weights.txt").read_text() == "whole"


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt() -> Selection:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce(Store(root=tmp_path), interrupt)
    assert not folders(tmp_path)


def test_the_leftovers_of_a_killed_process_are_removed_when_the_artifact_is_made_again(tmp_path: Path) -> None:
    key = Store.key("Selection", Selection.VERSION, [SELECTOR, PROTOCOL], ["records"])
    for process in (1, 99999):
        (tmp_path / "Selection" / f".{key}.{process}.part").mkdir(parents=True)
        (tmp_path / "Selection" / f".{key}.{process}.part" / "table.parquet").write_text("half")
    (tmp_path / "Selection" / f".{'0' * 64}.5.part").mkdir()
    produce(Store(root=tmp_path), Counted())
    left = {p.name for p in folders(tmp_path)} | {p.name for p in (tmp_path / "Selection").glob(".*.part")}
    assert left == {key, f".{'0' * 64}.5.part"}, "what another process may be at work on stays"


PROGRAM = """
import sys, time
from pathlib import Path
import pyarrow as pa
from distiller.artifacts import Selection
from distiller.store import Store

log, root = Path(sys.argv[1]), Path(sys.argv[2])

def make():
    with open(log, "a") as file:
        file.write("made\\n")
    time.sleep(0.4)
    return Selection(pa.table({"query_id": [1], "part": ["test"], "score": [None]}))

while not (log.parent / "go").exists():
    time.sleep(0.005)
got = Store(root=root).produce(Selection, [], ["same"], make)
print(got.key, got.reused, got.seconds, got.table.num_rows)
"""


def test_of_processes_at_the_same_key_one_makes_it_and_the_other_waits_for_it(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "log"), str(tmp_path / "store")]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    time.sleep(0.5)
    (tmp_path / "go").touch()
    said = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert (tmp_path / "log").read_text() == "made\n"
    assert sorted(reused for _, reused, _, _ in said) == ["False", "True"]
    assert len({(key, seconds, rows) for key, _, seconds, rows in said}) == 1


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for root in (tmp_path / "file", tmp_path / "file" / "deep" / "store"):
        with pytest.raises(DistillerError) as raised:
            produce(Store(root=root), Counted())
        assert f"store.root={root}: cannot write {root}" in str(raised.value)
        assert "choose another folder with store.root=" in str(raised.value)
        assert "\n" not in str(raised.value)


def candidate_set(n: int) -> CandidateSet:
    columns = {"query_id": range(n), "candidate_id": range(n), "similarity": [i / n for i in range(n)]}
    return CandidateSet(pa.table({**{k: list(v) for k, v in columns.items()}, "position": [1] * n}))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(root=tmp_path)
    made = candidate_set(5000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # as if the disk were full after 2,000 bytes
    try:
        with pytest.raises(DistillerError, match=f"store.root={tmp_path}: cannot write .*; free the disk"):
            store.produce(CandidateSet, [], ["x"], lambda: made)
        with pytest.raises(DistillerError, match="cannot write"):
            store.train([], ["x"], lambda folder: {"n": (folder / "w.txt").write_text("w" * 9000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not folders(tmp_path)
    assert store.produce(CandidateSet, [], ["x"], lambda: made).table.num_rows == 5000


@pytest.mark.parametrize(
    "fault",
    [
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/somewhere/model.txt"),
        PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere/answers.jsonl"),
        ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)),
        TimeoutError("no answer from the server"),
    ],
)
def test_faults_that_are_not_the_stores_pass_through_as_they_are(tmp_path: Path, fault: OSError) -> None:
    def make() -> Selection:
        raise fault

    with pytest.raises(type(fault)) as raised:
        produce(Store(root=tmp_path), make)
    assert raised.value is fault
    assert not folders(tmp_path)
