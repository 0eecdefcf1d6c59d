"""What a detector reads: series that are checked, filled and cut into a normal and a test part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lstmlab.data import TableConfig, TimeTable
from lstmlab.errors import LstmlabError, nearest
from lstmlab.schema import option

if TYPE_CHECKING:
    import pandas as pd

PERIODS = (86_400.0, 7 * 86_400.0)  # seconds of the cycles that the calendar shows: day and week
FEWEST = 20  # values in each of the parts that are fitted and calibrated on


@dataclass(kw_only=True)
class AnomalyConfig(TableConfig):
    """Keys of an anomaly detection task."""

    detector: str = option(choices=("forecaster", "autoencoder"))
    window: int = option(low=2)  # steps of a training sequence; what an autoencoder reconstructs
    horizon: int = option(low=1)  # steps that a forecaster looks ahead; each value is judged by as many forecasts
    calendar: bool = option()  # whether time of day and day of week are inputs
    normal: float = option(above=0, below=1)  # share of each series, its beginning, that is taken as normal
    normal_at_most: int | None = option(None, low=2 * FEWEST)  # steps
    validation: float = option(above=0, below=1)  # share of the normal part, its end, for calibration
    smooth: int = option(low=1)  # steps over which errors are averaged before they are judged
    memory: int = option(low=0)  # past errors that they are compared with; 0: those of the validation part only
    false_alarms: float = option(above=0, below=0.5)  # rate in normal data; decides the threshold
    existence: float = option(low=0, high=1)  # weight of finding a range at all, against covering it
    labels: str | None = option(None)  # column of 0 (normal) and 1 (anomalous); null: there is none


@dataclass(frozen=True)
class Sensor:
    """One series (time,) and its parts.

    Attributes:
        times: as in the table.
        values: with missing ones filled with the last one before.
        missing: where that was done.
        truth: where an anomaly is labelled.
        train: where the part ends that weights and scale are fitted on.
        normal: where the normal part ends: what lies between is for calibration, what follows for tests.
    """

    times: pd.DatetimeIndex
    values: np.ndarray
    missing: np.ndarray
    truth: np.ndarray
    train: int
    normal: int

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the train part."""
        known = self.values[: self.train][~self.missing[: self.train]]
        return float(known.mean()), float(known.std())

    @property
    def parts(self) -> dict[str, slice]:
        """Each split as a slice of time."""
        whole = len(self.values)
        bounds = {"train": (0, self.train), "validation": (self.train, self.normal), "test": (self.normal, whole)}
        return {name: slice(*ends) for name, ends in bounds.items()}


def read_sensors(table: TimeTable, config: AnomalyConfig) -> dict[str, Sensor]:
    """Return the series of a table by name.

    Raises:
        LstmlabError: when a series is too short or does not change within its normal part, or its labels are
            not 0 and 1.
    """
    return {name: _sensor(name, frame, table.target, config) for name, frame in table.series.items()}


def _sensor(name: str, frame: pd.DataFrame, target: str, config: AnomalyConfig) -> Sensor:
    where = f"task {config.name!r}, series {name!r}" if name else f"task {config.name!r}"
    n = len(frame)
    normal = min(int(config.normal * n), config.normal_at_most or n)
    train = int(normal * (1 - config.validation))
    need = config.window + (config.horizon if config.detector == "forecaster" else 0)
    if train < need + FEWEST or normal - train < FEWEST or n - normal < FEWEST:
        raise LstmlabError(
            f"{where}: {n} values give {train} to train on, {normal - train} to calibrate on and {n - normal} to test "
            f"on. Expected: at least {need + FEWEST} (task.window, task.horizon and {FEWEST} more), {FEWEST} and "
            f"{FEWEST}. Choose a smaller task.window, or another task.normal or task.validation."
        )
    raw = frame[target]
    known = raw.iloc[:train].dropna()
    if known.nunique() < 2 or raw.iloc[train:normal].nunique() < 2:
        raise LstmlabError(
            f"{where}: {target} has fewer than two different values in its first {train} or in the {normal - train} "
            "that follow: there is no normal behaviour to learn. Choose a larger task.normal, or leave this series out."
        )
    values = raw.ffill().bfill().to_numpy("float64")
    times: pd.DatetimeIndex = frame.index  # type: ignore[assignment]
    return Sensor(times, values, raw.isna().to_numpy(), _truth(frame, where, config.labels), train, normal)


def _truth(frame: pd.DataFrame, where: str, label: str | None) -> np.ndarray:
    if label is None:
        return np.zeros(len(frame), bool)
    if label not in frame.columns:
        columns = ", ".join(map(str, frame.columns))
        raise LstmlabError(
            f"{where}: task.labels={label}: there is no such column of numbers."
            f"{nearest(label, map(str, frame.columns))} Expected: a column of 0 (normal) and 1 (anomalous), "
            f"or task.labels=null. Columns: {columns}."
        )
    labels = frame[label]
    odd = labels[~(labels.isna() | labels.isin([0, 1]))]
    if len(odd):
        raise LstmlabError(
            f"{where}: {label} is {odd.iloc[0]:g} at {odd.index[0]}, and neither 0 nor 1 in {len(odd):,} of "
            f"{len(labels):,} rows. Expected: 0 (normal) or 1 (anomalous); empty counts as normal."
        )
    return labels.fillna(0).to_numpy() == 1


def describe_sensors(sensors: dict[str, Sensor], label: str | None) -> list[str]:
    """Return what a reader should know of the parts, of missing values and of labels."""
    normal, n = (sum(x) for x in zip(*((s.normal, len(s.values)) for s in sensors.values()), strict=True))
    missing = sum(int(s.missing.sum()) for s in sensors.values())
    within = sum(int(s.truth[: s.normal].sum()) for s in sensors.values())
    notes = [
        f"The first {normal:,} of {n:,} values are taken as normal, for training and calibration; labels play no part."
    ]
    if missing:
        notes.append(
            f"{missing:,} missing values were filled with the last one before; they get no score and no alarm."
        )
    if within:
        notes.append(
            f"{within:,} values in the normal part are labelled anomalous; they were learnt as normal all the same."
        )
    if label is None:
        notes.append("There are no labels (task.labels=null), so alarms are counted and not judged.")
    return notes


def features(values: np.ndarray, times: pd.DatetimeIndex, calendar: bool) -> np.ndarray:
    """Return standardised values beside the calendar: (time, 1 + 2 for each of `PERIODS`)."""
    columns = [values]
    if calendar:
        seconds = times.as_unit("s").asi8.astype("float64")
        angles = [2 * np.pi * seconds / period for period in PERIODS]
        columns += [f(a) for a in angles for f in (np.sin, np.cos)]
    return np.stack(columns, axis=1).astype("float32")
