"""Keys and passwords kept out of what is written down or sent."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HIDDEN = "***"
#: Variables whose values are secret. Short values are no keys, and hiding them would hide other things.
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
SHORTEST = 8
PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+@")
KEY_IN_ADDRESS = re.compile(
    r"(?<=[?&])((?:api[-_]?|access[-_]?)?(?:key|token)|secret|password)=[^&\s#\"']+", re.IGNORECASE
)


def without_secrets(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """The same plain JSON with secrets in its texts replaced by `***`, also in names.

    Secret is the value of every environment variable whose name says so (`..._API_KEY`, `..._TOKEN`), and who stands before
    the @ of an address or in its query as a key, token or password.
    """
    environment = os.environ if environment is None else environment
    secret = {v.strip() for k, v in environment.items() if SECRET.search(k) and len(v.strip()) >= SHORTEST}
    return _without(value, sorted(secret, key=len, reverse=True))


def _without(value: Any, secret: list[str]) -> Any:
    if isinstance(value, str):
        for each in secret:
            value = value.replace(each, HIDDEN)
        return KEY_IN_ADDRESS.sub(rf"\1={HIDDEN}", PASSWORD_IN_ADDRESS.sub(f"{HIDDEN}@", value))
    if isinstance(value, Mapping):
        return {_without(k, secret): _without(v, secret) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without(each, secret) for each in value]
    return value


class Hiding(logging.Filter):
    """Hides secrets in what is logged, on the screen and in files; `hydra` names it in conf/config.yaml."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True; the record says the same without secrets."""
        said = record.getMessage()
        if (hidden := without_secrets(said)) != said:
            record.msg, record.args = hidden, ()
        return True


def hide_in_yaml(path: Path) -> None:
    """Hide secrets in a YAML file that another library wrote; a file without any stays as it is."""
    from omegaconf import OmegaConf

    if not path.is_file():
        return
    told = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    hidden = without_secrets(told)
    if hidden != told:
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        OmegaConf.save(OmegaConf.create(hidden), part)
        part.replace(path)
