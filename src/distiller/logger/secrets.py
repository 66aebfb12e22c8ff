"""Keys and passwords kept out of what is written down or sent."""

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
#: Variables whose values are secret. Short values are no keys, and hiding them would hide other things.
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)
SHORTEST = 8
PASSWORD_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+@")


def without_secrets(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """The same plain JSON with secrets in its texts replaced by `***`, also in names.

    Secret is the value of every environment variable whose name says so (`..._API_KEY`, `..._TOKEN`), and who stands before
    the @ of an address.
    """
    environment = os.environ if environment is None else environment
    secret = {v.strip() for k, v in environment.items() if SECRET.search(k) and len(v.strip()) >= SHORTEST}
    return _without(value, sorted(secret, key=len, reverse=True))


def _without(value: Any, secret: list[str]) -> Any:
    if isinstance(value, str):
        for each in secret:
            value = value.replace(each, HIDDEN)
        return PASSWORD_IN_ADDRESS.sub(f"{HIDDEN}@", value)
    if isinstance(value, Mapping):
        return {_without(k, secret): _without(v, secret) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without(each, secret) for each in value]
    return value
