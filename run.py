"""Run one experiment, or with -m a sweep of them: python run.py [dataset=... teacher=... student=...]."""

from pathlib import Path

import hydra
from omegaconf import DictConfig

from distiller.cli import experiment, readable


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    """Return the mean score that a sweeper optimises."""
    return experiment(config)


if __name__ == "__main__":
    readable(main, Path(__file__).parent / "conf")
