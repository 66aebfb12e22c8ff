"""Jobs of a sweep as tasks of Ray, on this machine or on a cluster.

The plugin hydra-ray-launcher asks for a cloudpickle older than 3, which joblib no longer works with; this launcher needs
Ray alone.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


class RayLauncher(Launcher):
    """Runs every job as a Ray task.

    address: of a running cluster; null starts Ray on this machine and ends it with the sweep.
    num_cpus: processor cores of this machine that Ray may use; null is all. For address=null only.
    cpus_per_job, gpus_per_job: what each job claims, so how many run at a time.
    environment: variables of the jobs' processes.
    """

    def __init__(
        self,
        address: str | None,
        num_cpus: int | None,
        cpus_per_job: float,
        gpus_per_job: float,
        environment: dict[str, str],
    ) -> None:
        self._address, self._num_cpus = address, num_cpus
        self._claim = {"num_cpus": cpus_per_job, "num_gpus": gpus_per_job}
        self._environment = {str(name): str(value) for name, value in environment.items()}
        self._config: DictConfig | None = None
        self._context: HydraContext | None = None
        self._task: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._config, self._context, self._task = config, hydra_context, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from distiller.config import DistillerError

        try:
            ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise DistillerError("hydra/launcher=ray needs Ray: pip install 'distiller-er[ray-launcher]'") from error
        assert self._config is not None
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        Path(self._config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        started = not ray.is_initialized()
        if started:
            local = {"num_cpus": self._num_cpus, "include_dashboard": False} if self._address is None else {}
            try:
                ray.init(address=self._address, logging_level="warning", runtime_env=self._place(), **local)
            except ConnectionError as error:
                raise DistillerError(
                    f"hydra.launcher.address={self._address}: there is no Ray cluster; start one with `ray start --head`, "
                    "or set hydra.launcher.address=null"
                ) from error
        try:
            task = ray.remote(**self._claim)(_job)
            shared = ray.put((self._context, self._config, self._task, Singleton.get_state()))
            waiting = [
                task.remote(shared, number, list(words)) for number, words in enumerate(job_overrides, initial_job_idx)
            ]
            return [_result(ray, each, words) for each, words in zip(waiting, job_overrides, strict=True)]
        finally:
            if started:
                ray.shutdown()

    def _place(self) -> dict[str, Any]:
        return {"env_vars": self._environment}


def _result(ray: Any, waiting: Any, words: Sequence[str]) -> JobReturn:
    """What a job returned; a job whose process died has failed."""
    try:
        returned: JobReturn = ray.get(waiting)
        return returned
    except ray.exceptions.RayError as error:
        return JobReturn(overrides=list(words), status=JobStatus.FAILED, _return_value=error)


def _job(shared: Any, number: int, words: list[str]) -> JobReturn:
    context, config, task, state = shared
    Singleton.set_state(state)
    setup_globals()
    composed = context.config_loader.load_sweep_config(config, words)
    with open_dict(composed):
        composed.hydra.job.num, composed.hydra.job.id = number, str(number)
    return run_job(
        hydra_context=context,
        task_function=task,
        config=composed,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
