"""Typed components: built from Hydra's configuration, checked before any work, identified by their fields."""

import dataclasses
import difflib
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

import pydantic
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, Field

T = TypeVar("T")


class DistillerError(Exception):
    """A fault the user can mend; its text is one sentence that names the thing, what was found and the way out."""


class ConfigurationError(DistillerError):
    """All faults of one configuration, found before any work started."""

    def __init__(self, faults: list[str]):
        self.faults = faults
        super().__init__("\n".join(["invalid configuration", *(f"  {fault}" for fault in faults)]))


def runtime(default: Any) -> Any:
    """A field that changes speed but not results (threads, batch size, device): it stays out of the cache key."""
    return dataclasses.field(default=default, metadata={"runtime": True})


def part(default: Any = dataclasses.MISSING) -> Any:
    """A field that holds one of the other components."""
    return dataclasses.field(default=default)


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(Field, dataclasses.field, runtime, part)
)
def component(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass whose fields are checked by pydantic when it is built; unknown fields are faults."""
    checks = ConfigDict(extra="forbid", arbitrary_types_allowed=True, strict=False)
    return pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=checks)(cls)  # type: ignore[return-value]


class Component:
    """Base of everything a config group can choose.

    VERSION: raised whenever the same fields would give another result, so that old cache entries are not used.
    USES_GOLD: whether the component reads gold matches; only then is it given them, and the scorecard says so.
    USES_FEATURES: whether it reads the task's similarity features, so that they are computed for it.
    """

    VERSION: ClassVar[int] = 1
    USES_GOLD: ClassVar[bool] = False
    USES_FEATURES: ClassVar[bool] = False

    def reads(self, folder: Path | None) -> list[Path]:
        """Files outside the store whose contents decide the result; `folder` holds the dataset's recorded parts."""
        return []

    def fingerprints(self) -> list[str]:
        """What tells the models it uses from others of the same name; nothing for a component without one."""
        return []


def identity(value: Any) -> Any:
    """What of a component decides its results, as plain JSON: class, VERSION and all fields not marked `runtime`."""
    if isinstance(value, Component) and dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if not f.metadata.get("runtime")}
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return {"class": name, "version": value.VERSION, **{k: identity(v) for k, v in fields.items()}}
    if isinstance(value, Mapping):
        return {str(k): identity(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [identity(v) for v in value]
    return os.fspath(value) if isinstance(value, Path) else value


def nested(value: Any) -> Iterator[Component]:
    """A component and all components among its fields, from the outside in."""
    if isinstance(value, Component) and dataclasses.is_dataclass(value):
        yield value
        for f in dataclasses.fields(value):
            yield from nested(getattr(value, f.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from nested(each)


def declares(value: Any, what: Literal["USES_GOLD", "USES_FEATURES"]) -> bool:
    """Whether a component, or a component among its fields, declares that it uses this."""
    return any(getattr(each, what) for each in nested(value))


def uses_gold(value: Any) -> bool:
    """Whether a component, or a component among its fields, reads gold matches."""
    return declares(value, "USES_GOLD")


def build(config: DictConfig) -> Any:
    """The component that a composed configuration describes.

    Every fault of the whole configuration is collected first.

    Raises:
        ConfigurationError: with one line per fault: the key as typed on the command line, what was found, the way out.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise ConfigurationError([" ".join(str(error).split())]) from error
    faults: list[str] = []
    built = _build(plain, "", faults)
    if faults:
        raise ConfigurationError(faults)
    return built


_FAILED = object()


def _build(node: Any, key: str, faults: list[str]) -> Any:
    if isinstance(node, list):
        items = [_build(item, f"{key}[{i}]", faults) for i, item in enumerate(node)]
        return _FAILED if _FAILED in items else items
    if not isinstance(node, dict):
        return node
    fields = {k: _build(v, f"{key}.{k}" if key else str(k), faults) for k, v in node.items() if k != "_target_"}
    failed = [k for k, v in fields.items() if v is _FAILED]
    if "_target_" not in node:
        return _FAILED if failed else fields
    cls = _target(node["_target_"], key, faults)
    if cls is None:
        return _FAILED
    known = [f.name for f in dataclasses.fields(cls)]
    unknown = [k for k in fields if k not in known]
    unset = [k for k, v in fields.items() if v == "???"]
    faults += [f"{_join(key, k)}: {cls.__name__} has no such field{nearest(k, known)}" for k in unknown]
    faults += [f"{_join(key, k)}: must be set, it has no default" for k in unset]
    open_fields = failed + unset  # their faults are known, or told where they lie
    try:
        made = cls(**{k: v for k, v in fields.items() if k not in unknown + open_fields})
        return _FAILED if open_fields else made
    except pydantic.ValidationError as error:
        faults += [line for fault in error.errors() if (line := _readable(fault, key, open_fields))]
    except DistillerError as error:
        faults.append(f"{key}: {error}")
    return _FAILED


def written(value: Any) -> Any:
    """A component as plain JSON with all its fields, also those marked `runtime`; `rebuilt` makes it again elsewhere."""
    if isinstance(value, Component) and dataclasses.is_dataclass(value):
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        fields = {f.name: written(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"_target_": name, **fields}
    if isinstance(value, Mapping):
        return {str(k): written(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(v) for v in value]
    return os.fspath(value) if isinstance(value, Path) else value


def rebuilt(plain: Any) -> Any:
    """The component that `written` wrote down.

    Raises:
        ConfigurationError: it no longer fits its class.
    """
    faults: list[str] = []
    built = _build(plain, "", faults)
    if faults:
        raise ConfigurationError(faults)
    return built


def _target(path: str, key: str, faults: list[str]) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        faults.append(f"{_join(key, '_target_')}: cannot import {path!r}: {error}")
        return None


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def nearest(word: str, known: list[str]) -> str:
    """A hint "; did you mean 'x'?" for a mistyped word, or the list of what is known."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known)) or 'none'}"


def _readable(fault: Any, key: str, open_fields: list[str]) -> str | None:
    """One line for one pydantic fault; None for what only follows from fields that have no value to check."""
    place = [str(p) for p in fault["loc"] if not str(p).startswith(("function-", "constrained-", "is-instance"))]
    if open_fields and (not place or place[0] in open_fields):
        return None
    name = _join(key, place[0]) if place else key
    if fault["type"] in ("is_instance_of", "dataclass_type"):
        needed = fault["ctx"].get("class") or fault["ctx"]["class_name"]
        return f"{name}: needs a {needed} of distiller.{needed.lower()}, got {_shown(fault['input'])}"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "must be")
    return f"{name}: {message}" + (
        "" if fault["type"] in ("missing", "value_error") else f", got {_shown(fault['input'])}"
    )


def _shown(value: Any) -> str:
    return type(value).__name__ if isinstance(value, (Component, dict)) else repr(value)
