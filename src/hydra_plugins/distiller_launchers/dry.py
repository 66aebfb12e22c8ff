"""A launcher that lists jobs instead of launching them; `sweep.dry=true` puts it in the place of any other."""

import logging
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class DryLauncher(Launcher):
    """Composes every job of a sweep and prints what it would find and do. Sweepers that learn from results see NaN."""

    def __init__(self) -> None:
        self._config: DictConfig | None = None
        self._context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._config, self._context = config, hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        # Hydra imports this module at every start, so what is heavy waits until jobs are listed.
        from hydra.core.hydra_config import HydraConfig

        from distiller.config import ConfigurationError, build
        from distiller.sweep.job import sentence
        from distiller.sweep.plan import Plan, Planner, show

        assert self._config is not None
        assert self._context is not None
        setup_globals()
        logging.getLogger().setLevel(logging.WARNING)  # as in a job: no line for every request to a server
        planner, planned = Planner(), []
        for number, words in enumerate(job_overrides, initial_job_idx):
            config = self._context.config_loader.load_sweep_config(self._config, list(words))
            with open_dict(config):
                config.hydra.job.num = number
                config.hydra.job.id = str(number)
            HydraConfig.instance().set_config(config)
            folder = Path(config.hydra.sweep.dir, config.hydra.sweep.subdir)
            with open_dict(config):
                task = config.copy()
                task.pop("hydra")
            try:
                plan = planner.plan(build(task), folder)
            except ConfigurationError as error:
                plan = Plan("refused", reason=sentence(error))
            planned.append((list(words), plan, folder))
        show(planned)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=float("nan")) for _ in job_overrides]
