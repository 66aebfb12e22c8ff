"""Names that a repeated sweep finds again: of its folder, and of the folders of its jobs."""

import hashlib
import re
from collections.abc import Sequence

from omegaconf import OmegaConf

from distiller.logger.secrets import without_secrets

#: Words that say where and how fast, not what; two commands that differ only in these are the same sweep.
ASIDE = ("experiment=", "logger", "data.", "store.", "sweep.", "threads=")
LONGEST = 90


def sweep_name(name: str | None, words: Sequence[str], hydra_words: Sequence[str]) -> str:
    """The name of a sweep's folder: `name`, else the experiment's and eight digits of a hash of the command's words.

    A command that says nothing but `experiment=` gives the experiment's name alone. Of Hydra's own words, `hydra_words`,
    those for the sweeper count, for they decide the jobs.
    """
    if name:
        return str(name)
    experiment = next((word.partition("=")[2] for word in words if word.startswith("experiment=")), "")
    more = [word for word in words if not _aside(word)]
    more += [word for word in hydra_words if word.startswith(("hydra.sweeper", "hydra/sweeper"))]
    told = hashlib.sha256("\n".join(more).encode()).hexdigest()[:8] if more or not experiment else ""
    return "-".join(_plain(part) for part in (experiment, told) if part)


def job_name(number: int, words: Sequence[str]) -> str:
    """The name of a job's folder: its number in the sweep and what was overridden, without characters of paths."""
    told = _plain(without_secrets(",".join(word.lstrip("+~") for word in words if not _aside(word))))
    return f"{int(number):03d}-{told}" if told else f"{int(number):03d}"


def _aside(word: str) -> bool:
    return word.lstrip("+~").startswith(ASIDE)


def _plain(text: str) -> str:
    """Short, and without what means something to a shell or a file system; what was cut off is told by a hash."""
    plain = re.sub(r"[^\w.,=@+-]+", "_", text).strip("_")
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[:LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def register() -> None:
    """Make `${sweep_name:...}` and `${job_name:...}` known to configurations.

    Hydra hands what cached resolvers gave for the sweep on to its jobs, as with `${now:}`: a job, whose own words are
    others, knows the name of its sweep.
    """
    OmegaConf.register_new_resolver("sweep_name", sweep_name, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("job_name", job_name, replace=True)
