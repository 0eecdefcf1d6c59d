"""The step of a table: how far apart its rows are, read from the times that are there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DAY = 86_400_000_000  # microseconds
UNITS = {"day": DAY, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "microsecond": 1}
MONTH = 28 * DAY  # the shortest
COMMON = 0.1  # a step that makes this share of all is no accident
HOLIDAYS = 0.1  # share of weekdays without a trading day, at most
CLOSED = 12 * DAY  # and no gap longer than this


class IrregularError(Exception):
    """No step fits: what is wrong at which time of which series."""

    def __init__(self, series: int, row: int, what: str) -> None:
        super().__init__(what)
        self.series, self.row = series, row


@dataclass(frozen=True)
class Step:
    """A step in words, and as an offset of pandas; None where the rows themselves are the steps."""

    words: str
    offset: pd.DateOffset | None


def find_step(series: Sequence[pd.DatetimeIndex]) -> Step:
    """Return the step that several series have in common, each sorted and without doubles.

    Months count as equal. Days without weekends are trading days: with a few holidays the rows are
    the steps, with more gaps each weekday is one.

    Raises:
        IrregularError: for times that are on no grid.
    """
    import numpy as np

    micros = [times.as_unit("us").asi8 for times in series]
    apart = np.concatenate([np.diff(values) for values in micros])
    if apart.min() >= MONTH and (monthly := _months(series)):
        return monthly
    step = _common(apart)
    for at, values in enumerate(micros):
        for row in (np.diff(values) % step).nonzero()[0][:1]:
            gap = _words(int(values[row + 1] - values[row]))
            raise IrregularError(at, int(row) + 1, f"it is {gap} after the time before it; the step is {_words(step)}")
    if step == DAY and _no_weekends(series):
        return _trading(apart, series)
    return _fixed(step)


def _common(apart: np.ndarray) -> int:
    """Return the most frequent distance, or what divides all of them where that is frequent too."""
    import numpy as np

    distances, counts = np.unique(apart, return_counts=True)
    step, divisor = int(distances[counts.argmax()]), math.gcd(*map(int, distances))
    share = counts[distances == divisor].sum() / counts.sum()
    return divisor if share >= COMMON else step


def _fixed(step: int) -> Step:
    import pandas as pd

    days, rest = divmod(step, DAY)
    return Step(
        _words(step),
        pd.offsets.Day(days) if not rest else pd.tseries.frequencies.to_offset(pd.Timedelta(step, unit="us")),
    )


def _months(series: Sequence[pd.DatetimeIndex]) -> Step | None:
    """Return a step of whole months where all times are the same day of a month, or its last one."""
    import pandas as pd

    everything = series[0].append(list(series[1:]))
    last = bool(everything.is_month_end.all())
    if not (last or everything.day.nunique() == 1) or (everything - everything.normalize()).nunique() > 1:
        return None
    months = math.gcd(*(int(gap) for times in series for gap in pd.Index(times.year * 12 + times.month).diff()[1:]))
    words = _plural(months // 12, "year") if months % 12 == 0 else _plural(months, "month")
    return Step(words, pd.offsets.MonthEnd(months) if last else pd.DateOffset(months=months))


def _no_weekends(series: Sequence[pd.DatetimeIndex]) -> bool:
    """Return whether no time is on a weekend although some lie between them."""
    spans = any(times[-1] - times[0] >= _week() for times in series)
    return spans and all((times.day_of_week < 5).all() for times in series)


def _week() -> pd.Timedelta:
    import pandas as pd

    return pd.Timedelta(days=7)


def _trading(apart: np.ndarray, series: Sequence[pd.DatetimeIndex]) -> Step:
    import numpy as np
    import pandas as pd

    weekdays = sum(int(np.busday_count(times[0].date(), times[-1].date())) + 1 for times in series)
    closed = weekdays - sum(map(len, series))
    if apart.max() <= CLOSED and closed <= HOLIDAYS * weekdays:
        return Step(f"trading day; {closed:,} weekdays have none and are no steps", None)
    return Step("weekday", pd.offsets.BDay())


def _words(micros: int) -> str:
    """Return a distance in the largest unit that it is a whole number of."""
    unit, size = next((unit, size) for unit, size in UNITS.items() if micros % size == 0)
    return _plural(micros // size, unit)


def _plural(count: int, unit: str) -> str:
    return f"{count} {unit}{'s' * (count != 1)}"
