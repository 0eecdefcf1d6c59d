"""Local times in UTC: the hour that clocks repeat in autumn, and the one that they skip in spring."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

from lstmlab.errors import LstmlabError, nearest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def localise(times: pd.DatetimeIndex, zone: str, series: np.ndarray) -> tuple[pd.DatetimeIndex, list[str]]:
    """Return local times in UTC, NaT for those that the clocks skip, and notes.

    A time that clocks show twice is the earlier one where it stands first in its series, and the
    later one where it stands again.

    Raises:
        LstmlabError: for a zone that is not known.
    """
    import numpy as np
    import pandas as pd

    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise LstmlabError(
            f"task.timezone={zone!r}: there is no such time zone.{nearest(zone, zoneinfo.available_timezones())} "
            "Expected: a name as in Europe/Berlin, America/New_York or UTC."
        ) from None
    if (times == times.normalize()).all():
        return times, ["task.timezone is not used: the times are whole days."]
    twice = times.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
    keys = pd.DataFrame({"time": times, "series": series})
    backwards = len(times) > 1 and times[0] > times[-1]
    again = (keys[::-1] if backwards else keys).groupby(["series", "time"]).cumcount().sort_index().to_numpy() > 0
    local = times.tz_localize(zone, ambiguous=~again, nonexistent="NaT")
    single = int((twice & ~keys.duplicated(keep=False).to_numpy()).sum())
    notes = [f"Times are those of {zone}, converted to UTC."]
    if both := int(twice.sum()) - single:
        notes.append(f"{both:,} rows are in an hour that the clocks repeat: summer time first, then winter time.")
    if single:
        notes.append(f"{single:,} rows are the only ones of an hour that the clocks repeat; read as summer time.")
    if skipped := int(np.sum(local.isna())):
        notes.append(f"{skipped:,} rows at times that the clocks skip were left out.")
    return local.tz_convert("UTC"), notes
