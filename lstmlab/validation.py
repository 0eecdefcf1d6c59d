"""Checking plain values against a schema: type, range, choices, unknown and missing keys."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lstmlab.errors import LstmlabError, nearest

T = TypeVar("T")


class ConfigError(LstmlabError):
    """A config that cannot be run: which key, which value, what is allowed."""


def typed(schema: type[T], plain: Mapping[str, Any], where: str, files: bool = True) -> T:
    """Return an instance of the dataclass ``schema`` with the values of ``plain``.

    Args:
        schema: whose fields are declared with `lstmlab.schema.option`.
        plain: key -> value, as YAML gives them.
        where: name of the group, for messages.
        files: those that keys name must be there; a finished run needs them no more.

    Raises:
        ConfigError: for a key that is unknown or missing, or a value that is not allowed.
    """
    known = {f.name: f for f in dataclasses.fields(schema)}  # type: ignore[arg-type]
    structured = OmegaConf.structured(schema)
    for key, value in plain.items():
        if key not in known:
            raise ConfigError(
                f"{join(where, key)}={value!r}: there is no such key.{nearest(key, known)} Allowed: {', '.join(known)}."
            )
        _assign(structured, known[key], value, where, files)
    missing = [k for k in known if OmegaConf.is_missing(structured, k)]
    if missing:
        raise ConfigError(f"The group {where} must also give {', '.join(missing)}.")
    return OmegaConf.to_object(structured)  # type: ignore[return-value]


def _assign(structured: DictConfig, field: dataclasses.Field[Any], value: Any, where: str, files: bool) -> None:
    refused = f"{join(where, field.name)}={value!r}: expected {_allowed(field)}"
    try:
        OmegaConf.update(structured, field.name, value, merge=False)
    except OmegaConfBaseException:
        raise ConfigError(f"{refused}.") from None
    value = structured[field.name]
    limits = field.metadata
    if value is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{refused}.")
    for chosen in value if isinstance(value, ListConfig) else [value]:
        if "choices" in limits and chosen not in limits["choices"]:
            raise ConfigError(f"{refused}.{nearest(chosen, limits['choices'])}")
    if files and "file" in limits and not Path(value).expanduser().is_file():
        raise ConfigError(f"{refused}, which is not there.")
    inside = (
        ("low" not in limits or value >= limits["low"])
        and ("high" not in limits or value <= limits["high"])
        and ("above" not in limits or value > limits["above"])
        and ("below" not in limits or value < limits["below"])
    )
    if not inside:
        raise ConfigError(f"{refused}.")


def _allowed(field: dataclasses.Field[Any]) -> str:
    words = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}
    words["dict[str, float]"] = "names with numbers, as in {GPU: 1}"
    kind, _, null = str(field.type).partition(" | ")
    text = words.get(kind, kind)
    limits = field.metadata
    if "file" in limits:
        text = "the path of a file"
    if "choices" in limits:
        text = ("a list of " if kind.startswith("list") else "one of ") + ", ".join(limits["choices"])
    bounds = {"low": "at least", "above": "above", "high": "at most", "below": "below"}
    limit = " and ".join(f"{word} {limits[k]}" for k, word in bounds.items() if k in limits)
    return " ".join(part for part in (text, limit, "or null" if null else "") if part)


def join(where: str, key: str) -> str:
    """Return the full name of a key in a group."""
    return f"{where}.{key}" if where else key
