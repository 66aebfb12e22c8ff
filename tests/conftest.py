"""Shared by all tests: where the benchmark data lies, repeatable properties, no network for the loggers."""

import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("DISTILLER_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

import pytest
from command import Commands
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

DATA = Path(os.environ["DISTILLER_DATA"])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_data: reads benchmark datasets from the folder DISTILLER_DATA")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if (DATA / "abt-buy").is_dir():
        return
    absent = pytest.mark.skip(reason=f"no benchmark data in {DATA}; set DISTILLER_DATA to the folder of abt-buy")
    for item in items:
        if "needs_data" in item.keywords:
            item.add_marker(absent)


@pytest.fixture(scope="session")
def command() -> Iterator[Commands]:
    """Runs `python run.py ...`; see `command.py`."""
    commands = Commands()
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tables whose ids are text, `gold.csv`, and files that are broken in one way each."""
    folder = tmp_path_factory.mktemp("tables")
    from distiller.dataset.synthetic import Synthetic

    records = Synthetic(queries=90, candidates=110, seed=3).load()
    for name, table, letter in (("a.csv", records.queries, "Q"), ("b.csv", records.candidates, "C")):
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["key", *table.column_names[1:]])
            out.writerows([f"{letter}-{r['id']:03d}", *list(r.values())[1:]] for r in table.to_pylist())
    assert records.matches is not None
    gold = [
        "query,candidate",
        *(f"Q-{r['query_id']:03d},C-{r['candidate_id']:03d}" for r in records.matches.to_pylist()),
    ]
    (folder / "gold.csv").write_text("\n".join(gold) + "\n", encoding="utf-8")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("key,name\n")
    (folder / "twice.csv").write_text("key,name\nx,one\nx,two\ny,three\n")
    (folder / "latin.csv").write_bytes("key,name\nx,Müller\n".encode("latin-1"))
    (folder / "cut.csv.gz").write_bytes(gzip.compress(b"key,name\nx,one\n" * 50)[:-20])
    (folder / "cut.parquet").write_bytes(b"PAR1 and nothing else")
    (folder / "lone.csv").write_text("key\nx\ny\n")
    (folder / "unlike.csv").write_text("key,name\n" + "".join(f"z{i},{chr(0x4E00 + i) * 5}\n" for i in range(5)))
    (folder / "stray.csv").write_text("query,candidate\nQ-001,nobody\n")
    (folder / "bad.jsonl").write_text('{"key": "x", "name": "one"}\n{"key": \n')
    (folder / "table.xlsx").write_text("x")
    return folder
