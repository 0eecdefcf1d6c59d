"""Cells that are dates: ISO 8601, and what else can be read in one way only."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pandas as pd

Refuse = Callable[[str, int], NoReturn]  # what is wrong, in which row

CLOCK = (
    r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<seconds>\d{2}(?:\.\d+)?))?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
KINDS = {
    "iso": r"\d{4}-\d{2}(-\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}(\.\d+)?)?)?( ?([Zz]|[+-]\d{2}(:?\d{2})?))?)?)?",
    "year first": r"(?P<year>\d{4})(?P<mark>[/.-])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + CLOCK,
    "year last": r"(?P<first>\d{1,2})(?P<mark>[/.-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})" + CLOCK,
    "day, name": r"(?P<day>\d{1,2})[- ](?P<name>[A-Za-z]{3})[A-Za-z]*[- ,]+(?P<year>\d{4})" + CLOCK,
    "name, day": r"(?P<name>[A-Za-z]{3})[A-Za-z]* (?P<day>\d{1,2}),? (?P<year>\d{4})" + CLOCK,
}
BARE = {"epoch": r"\d{10}|\d{13}", "compact": r"(19|20)\d{6}", "year": r"\d{4}"}  # numbers that may be dates
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
AWARE = re.compile(r"[T ][0-9:.]+ ?([Zz]|[+-]\d{2}(:?\d{2})?)$")
EXPECTED = "a date as in 2024-01-31, 2024-01-31 13:00 or 2024-01-31T13:00:00Z"


def kind(cell: str) -> str | None:
    """Return the way in which a cell writes a date, None if it is none; bare numbers are none."""
    return _kind(cell, KINDS)


def bare_kind(cell: str) -> str | None:
    """Return the way in which a bare number may be a date: seconds since 1970, YYYYMMDD, or a year."""
    return _kind(cell, BARE)


def _kind(cell: str, kinds: dict[str, str]) -> str | None:
    return next((name for name, pattern in kinds.items() if re.fullmatch(pattern, cell, re.ASCII)), None)


def read_dates(cells: list[str], refuse: Refuse) -> pd.DatetimeIndex:
    """Return the times of a column, in UTC if they name zones; ``refuse`` is called with what does not read.

    All are expected to be written as the first one is.
    """
    import pandas as pd

    how = kind(cells[0]) or bare_kind(cells[0])
    if how is None:
        refuse(f"{cells[0]!r} does not read as a date. Expected: {EXPECTED}.", 0)
    read = {"iso": _iso, "epoch": _epoch, "compact": _compact, "year": _year}.get(how, _parts)
    pattern = re.compile((KINDS | BARE)[how], re.ASCII)
    for row, cell in enumerate(cells):
        if not pattern.fullmatch(cell):
            what = "there is no date" if not cell else f"{cell!r} does not read as a date like {cells[0]!r} above"
            refuse(f"{what}. Expected: {EXPECTED}, in all rows the same.", row)
    times = read(cells, pattern, refuse)
    for row in times.isna().nonzero()[0][:1]:
        refuse(f"{cells[row]!r} is a day or time that does not exist. Expected: {EXPECTED}.", int(row))
    return pd.DatetimeIndex(times).as_unit("us")


def _iso(cells: list[str], pattern: re.Pattern[str], refuse: Refuse) -> Any:
    import pandas as pd

    aware = [AWARE.search(cell) is not None for cell in cells]
    if any(aware) and not all(aware):
        row = aware.index(not aware[0])
        some = "names a time zone and earlier ones do not" if aware[row] else "names no time zone and earlier ones do"
        refuse(f"{cells[row]!r} {some}. Expected: a zone in all rows, or in none.", row)
    return pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=any(aware))


def _epoch(cells: list[str], pattern: re.Pattern[str], refuse: Refuse) -> Any:
    import pandas as pd

    for row, cell in enumerate(cells):
        if len(cell) != len(cells[0]):
            refuse(f"{cell!r} has not as many digits as {cells[0]!r} above. Expected: seconds since 1970, or ms.", row)
    return pd.to_datetime([int(cell) for cell in cells], unit="s" if len(cells[0]) == 10 else "ms", utc=True)


def _compact(cells: list[str], pattern: re.Pattern[str], refuse: Refuse) -> Any:
    import pandas as pd

    return pd.to_datetime(cells, format="%Y%m%d", errors="coerce")


def _year(cells: list[str], pattern: re.Pattern[str], refuse: Refuse) -> Any:
    import pandas as pd

    return pd.to_datetime(cells, format="%Y", errors="coerce")


def _parts(cells: list[str], pattern: re.Pattern[str], refuse: Refuse) -> Any:
    """Read dates that are not ISO from their parts."""
    import pandas as pd

    found = pd.Series(cells, dtype="object").str.extract(pattern)
    if "name" in found:
        found["month"] = found["name"].str.lower().map({name: at for at, name in enumerate(MONTHS, 1)})
    elif "first" in found:
        order = _order(cells, found, refuse)
        found = found.rename(columns=dict(zip(("first", "second"), order, strict=True)))
    hour = found["hour"].fillna("0").astype("int64")
    half = found["half"].str.lower()
    wrong = half.notna() & ~hour.between(1, 12)
    hour = hour.where(half.isna(), hour % 12) + 12 * (half == "p")
    parts = found[["year", "month", "day"]].assign(hour=hour, minute=found["minute"].fillna("0"))
    times = pd.to_datetime(parts.apply(pd.to_numeric), errors="coerce")
    seconds = pd.to_timedelta(found["seconds"].fillna("0").astype("float64"), unit="s")
    return pd.DatetimeIndex((times + seconds).where(~wrong))


def _order(cells: list[str], found: pd.DataFrame, refuse: Refuse) -> tuple[str, str]:
    """Return which of the two first numbers is the month: read from numbers above 12, by convention with dots."""
    above = {name: (found[name].astype("int64") > 12).to_numpy().nonzero()[0] for name in ("first", "second")}
    if len(above["first"]) and len(above["second"]):
        row = int(max(above["first"][0], above["second"][0]))
        refuse(f"{cells[row]!r} has day and month the other way round than earlier rows. Expected: {EXPECTED}.", row)
    if len(above["first"]) or (found["mark"] == ".").all():
        return "day", "month"
    if len(above["second"]):
        return "month", "day"
    refuse(f"{cells[0]!r} may be day/month or month/day, and no other row tells. Expected: {EXPECTED}.", 0)
