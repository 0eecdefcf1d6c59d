"""What a search tries: settings of a run, each with its values or its interval, in Hydra's notation for several values.

``train.batch_size=16,32,64``, ``cell.dropout=interval(0, 0.5)``,
``train.learning_rate=tag(log, interval(0.001, 0.1))``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from lstmlab.config import check_run, parse
from lstmlab.schema import CellConfig, RunConfig, TrainConfig
from lstmlab.validation import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = str | int | float | bool | None
Settings = dict[str, Value]
GROUPS = {"cell": CellConfig, "train": TrainConfig}
KEPT = {
    "cell.name": "a search tunes each cell by itself; study.cells names them",
    "cell.hidden_size": "all cells have the same number of parameters, which decides it",
}
DIGITS = 3  # significant ones of what is drawn from an interval, so that it can be read and typed


@dataclass(frozen=True)
class Axis:
    """One setting of a space.

    Attributes:
        choices: its values; empty for an interval, which has ends instead.
        whole: the interval holds whole numbers only.
        log: it is drawn evenly on a logarithmic scale.
    """

    key: str
    choices: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that have to be allowed for all to be."""
        return self.choices or (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Return whether a value is one of those that are tried."""
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def readable(self, value: Any) -> Value:
        """Return what was drawn with few digits."""
        if self.choices or self.whole:
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def distribution(self) -> BaseDistribution:
        """Return what Optuna draws from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


def read_space(texts: Sequence[str], run: RunConfig) -> list[Axis]:
    """Return the axes of a space.

    Args:
        texts: overrides, each with several values or an interval.
        run: one of the runs that they vary; every extreme must be allowed in it.

    Raises:
        ConfigError: for a setting or a value that no run may have, or that a search must not vary.
    """
    if not texts:
        raise ConfigError("study.space is empty: name what is searched, as in train.learning_rate=0.003,0.01,0.03")
    axes: list[Axis] = []
    for override in parse(texts):
        try:
            axis = _axis(override)
            for value in axis.extremes:
                with_settings(run, {axis.key: value})
        except ConfigError as error:
            raise ConfigError(f"study.space: {override.input_line}: {error}") from None
        if axis.key in {a.key for a in axes}:
            raise ConfigError(f"study.space names {axis.key} twice")
        axes.append(axis)
    return axes


def with_settings(run: RunConfig, settings: Mapping[str, Value]) -> RunConfig:
    """Return a run with some of its settings changed.

    Raises:
        ConfigError: for a setting that is not there or a value that is not allowed.
    """
    plain = asdict(run)
    for key, value in settings.items():
        group, _, name = key.partition(".")
        plain[group][name] = value
    return check_run(plain, files=False)


def _axis(override: Override) -> Axis:
    key, value = override.key_or_group, override.value()
    group, _, name = key.partition(".")
    if key in KEPT:
        raise ConfigError(f"{KEPT[key]}.")
    if group not in GROUPS or not name:
        raise ConfigError(
            f"a search varies settings of {' and '.join(GROUPS)}, as in train.learning_rate; the rest, task.* "
            "above all, is what makes runs comparable."
        )
    if isinstance(value, IntervalSweep):
        return _interval(key, _kind(group, name), value)
    if isinstance(value, ChoiceSweep | RangeSweep):
        choices = tuple(_plain(v) for v in override.sweep_iterator())
        if len(set(choices)) == len(choices) > 1:
            return Axis(key, choices)
    raise ConfigError("expected several different values, as in 16,32,64, or interval(LOW, HIGH).")


def _interval(key: str, kind: str, given: IntervalSweep) -> Axis:
    low, high, whole, log = float(given.start or 0), float(given.end or 0), kind == "int", "log" in given.tags
    if given.tags - {"log"}:
        raise ConfigError(f"the only tag known here is log, not {', '.join(sorted(given.tags - {'log'}))}.")
    if kind not in ("int", "float"):
        raise ConfigError(f"{key} is not a number: list its values.")
    if not low < high or (log and low <= 0):
        raise ConfigError("expected interval(LOW, HIGH) with LOW below HIGH, and above 0 where it is tagged log.")
    if whole and not (low.is_integer() and high.is_integer()):
        raise ConfigError(f"{key} is a whole number, and so are the ends of its interval.")
    return Axis(key, (), int(low) if whole else low, int(high) if whole else high, whole, log)


def _kind(group: str, name: str) -> str:
    """Return the type that a setting is declared with; "" where there is no such setting, which is refused later."""
    types = {f.name: str(f.type) for f in dataclasses.fields(GROUPS[group])}
    return types.get(name, "float").partition(" | ")[0]


def _plain(value: Any) -> Value:
    return value if value is None or isinstance(value, bool | int | float) else str(value)
