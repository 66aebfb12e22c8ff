"""Drills: the library that disturbs, the stage on which scenes are played, and a table of what was tried."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drilled import Stage

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Plays scenes, see `drilled.Stage`."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler `cc`, which builds the library that disturbs writing")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "faults.c", "-ldl"], check=True)
    opened = Stage(library)
    yield opened
    opened.close()


Tally = Callable[[str], None]


@pytest.fixture
def tally(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts how tries ended, for the table at the end: `tally("as undisturbed")`."""
    counts: Counter[str] = Counter()

    def count(outcome: str) -> None:
        counts[outcome] += 1

    yield count
    name = request.node.name.removeprefix("test_").replace("_", " ")
    record_property("drill", [name, dict(counts)])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of drills: fault, tries, outcomes."""
    told = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == "drill"
    ]
    if not told:
        return
    terminalreporter.section("drills: fault, tries, outcomes")
    for name, counts in told:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        terminalreporter.write_line(f"{name:<78} {sum(counts.values()):>5}  {outcomes}")
    total = sum(sum(counts.values()) for _, counts in told)
    terminalreporter.write_line(f"{'all':<78} {total:>5}")
