"""Shared by all tests: where the benchmark data lies, repeatable properties, no network for the loggers."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("DISTILLER_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

DATA = Path(os.environ["DISTILLER_DATA"])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_data: reads benchmark datasets from the folder DISTILLER_DATA")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if (DATA / "abt-buy").is_dir():
        return
    absent = pytest.mark.skip(reason=f"no benchmark data in {DATA}; set DISTILLER_DATA to the folder that holds abt-buy")
    for item in items:
        if "needs_data" in item.keywords:
            item.add_marker(absent)
