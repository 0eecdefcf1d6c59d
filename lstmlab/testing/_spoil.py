"""Other numbers in place of the last part of raw data: what must change nothing that was learnt before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
import pandas as pd

from lstmlab.data.tables import TimeTable

NEW = "\N{SNOWMAN}\N{COMET}\N{UMBRELLA}"  # symbols that a text is unlikely to hold


@singledispatch
def spoiled(raw: Any, share: float, random: np.random.Generator) -> Any:
    """Return a copy of what a dataset's ``load()`` gives, with the last ``share`` of it altered.

    Values that stay possible stand in for the true ones: rows change places, and positive numbers stay
    positive. Of a dict with an entry for each split, all but "train" are altered, whatever the share is.
    For data of a type of your own, register a function::

        @spoiled.register
        def _(raw: MyRecords, share: float, random: np.random.Generator) -> MyRecords: ...

    Raises:
        TypeError: for a type without a function.
    """
    raise TypeError(f"how a {type(raw).__name__} is altered is not known")


@spoiled.register
def _(raw: pd.DataFrame, share: float, random: np.random.Generator) -> pd.DataFrame:
    """Shuffle the last rows, and scale their real columns, those of a row by the same factor."""
    start = _start(len(raw), share)
    new = raw.copy()
    order = start + random.permutation(len(raw) - start)
    factors = random.uniform(2, 4, len(order))
    for at in range(raw.shape[1]):
        column = raw.iloc[:, at]
        values = column.iloc[order].to_numpy()
        real = column.dtype.kind == "f" and column.nunique() > 2  # neither labels nor categories
        new.isetitem(at, pd.concat([column.iloc[:start], pd.Series(values * factors if real else values)]).array)
    return new


@spoiled.register
def _(raw: pd.Series, share: float, random: np.random.Generator) -> pd.Series:
    return spoiled(raw.to_frame(), share, random).iloc[:, 0]


@spoiled.register
def _(raw: TimeTable, share: float, random: np.random.Generator) -> TimeTable:
    """Alter the end of each series, but not what is known of the future."""
    new = {}
    for name, frame in raw.series.items():
        other = spoiled(frame, share, random)
        other[list(raw.known)] = frame[list(raw.known)]
        new[name] = other
    return replace(raw, series=new)


@spoiled.register
def _(raw: str, share: float, random: np.random.Generator) -> str:
    start = _start(len(raw), share)
    symbols = [*sorted(set(raw)), *NEW]
    return raw[:start] + "".join(symbols[i] for i in random.integers(len(symbols), size=len(raw) - start))


@spoiled.register
def _(raw: dict, share: float, random: np.random.Generator) -> dict[Any, Any]:  # type: ignore[type-arg]
    """Put examples of the train split in place of all others."""
    if "train" not in raw:
        raise TypeError(f"a dict with the keys {', '.join(map(str, raw))} has no entry 'train'")
    other = {k: _drawn(raw["train"], _count(v), random) for k, v in raw.items() if k != "train"}
    return {"train": raw["train"]} | other


def _start(count: int, share: float) -> int:
    """Return the first row of the altered part: one later than the split, however its author rounds."""
    return min(math.ceil(count * (1 - share)) + 1, count)


def _count(examples: Any) -> int:
    return len(examples[0]) if isinstance(examples, tuple) else len(examples)


def _drawn(examples: Any, count: int, random: np.random.Generator) -> Any:
    """Return ``count`` of the examples; those of a tuple (inputs, targets) stay together."""
    return _take(examples, random.integers(_count(examples), size=count))


def _take(examples: Any, rows: Sequence[int] | np.ndarray) -> Any:
    match examples:
        case tuple():
            return tuple(_take(part, rows) for part in examples)
        case str():
            return "".join(examples[i] for i in rows)
        case list():
            return [examples[i] for i in rows]
        case np.ndarray():
            return examples[rows]
        case pd.DataFrame() | pd.Series():
            return examples.iloc[rows]
    raise TypeError(f"how the examples of a split, a {type(examples).__name__}, are altered is not known")
