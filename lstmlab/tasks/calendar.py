"""What times say by themselves: where in the day, the week and the year they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstmlab.errors import LstmlabError, nearest

if TYPE_CHECKING:
    import pandas as pd

DAY = 86_400.0  # seconds
PERIODS = {"day": DAY, "week": 7 * DAY, "year": 365.25 * DAY}
HARMONICS = 2  # sine and cosine of the cycle, and of half of it
FULL_CYCLES = 2  # that the train part must hold before a cycle is used by itself


def step_seconds(times: pd.DatetimeIndex) -> float:
    """Return the usual distance between two times."""
    return float(np.median(np.diff(times.as_unit("us").asi8))) / 1e6


def choose_cycles(asked: list[str] | None, step: float, seconds: float) -> list[str]:
    """Return which cycles are used.

    Args:
        asked: names; None for those of day and year that the step resolves and the train part shows twice.
        step: seconds between two times.
        seconds: length of the train part.

    Raises:
        LstmlabError: for an unknown name, or a cycle that lasts less than two steps.
    """
    if asked is None:
        return [c for c in ("day", "year") if 3 * step <= PERIODS[c] and seconds >= FULL_CYCLES * PERIODS[c]]
    for cycle in asked:
        if cycle not in PERIODS:
            raise LstmlabError(
                f"task.calendar has {cycle!r}.{nearest(cycle, PERIODS)} Allowed: {', '.join(PERIODS)}, or null."
            )
        if 2 * step > PERIODS[cycle]:
            raise LstmlabError(
                f"task.calendar has {cycle!r}, but the series has a value every {step / DAY:g} days: leave it out."
            )
    return list(asked)


def cycle_features(times: pd.DatetimeIndex, cycles: list[str], timezone: str | None = None) -> np.ndarray:
    """Return sines and cosines (n, 2 * HARMONICS * cycles) of where each time is in each cycle.

    Times that know their zone are taken in ``timezone``, where the sun rises at the same hour.
    """
    local = times.tz_convert(timezone) if timezone and times.tz is not None else times
    day = (local.hour + local.minute / 60 + local.second / 3600).to_numpy("float64") / 24
    where = {
        "day": day,
        "week": (local.day_of_week.to_numpy() + day) / 7,
        "year": (local.day_of_year.to_numpy() - 1 + day) / np.where(local.is_leap_year, 366, 365),
    }
    columns = [
        wave(2 * np.pi * harmonic * where[cycle])
        for cycle in cycles
        for harmonic in range(1, HARMONICS + 1)
        for wave in (np.sin, np.cos)
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(times), 0))


def extend(times: pd.DatetimeIndex, count: int) -> pd.DatetimeIndex:
    """Return ``count`` times more, at the distance of those before; trading days go on as weekdays."""
    import pandas as pd

    offset = times.freq or pd.infer_freq(times)
    if offset is None:
        step = step_seconds(times)
        offset = pd.offsets.BDay() if step == DAY else pd.Timedelta(seconds=step)
    return pd.date_range(times[-1], periods=count + 1, freq=offset)[1:].as_unit(times.unit)
