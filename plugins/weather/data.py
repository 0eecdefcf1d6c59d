"""Measured weather to download: New York by the hour, Seattle by the day, Beijing by the hour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstmlab.data import Download, File, TimeTable
from lstmlab.errors import LstmlabError
from lstmlab.registry import dataset

if TYPE_CHECKING:
    import pandas as pd

GITHUB = "https://raw.githubusercontent.com"
FASTEST = 80.0  # miles per hour: no hourly wind was ever stronger in New York; the file has 1048
COMPASS = {"NE": 45.0, "SE": 135.0, "NW": 315.0}  # "cv" is calm or from varying directions


class Table(Download):
    """A dataset of one CSV file, which `read` also reads when somebody else keeps one like it."""

    def load(self) -> TimeTable:
        """Return the series."""
        (file,) = self.files
        return self.read(self.path(file.name))

    def read(self, path: Path) -> TimeTable:
        """Return the series of a file of this kind."""
        raise NotImplementedError


@dataset("nyc_weather")
class NewYork(Table):
    """Hourly weather of 2013 at New York's three airports: temperature, humidity, wind, rain, pressure."""

    tasks = ("weather",)
    size = "26,115 hours of three stations"
    title = "nycflights13: hourly weather at EWR, JFK and LGA, 2013"
    licence = "CC0-1.0"
    source = "https://github.com/tidyverse/nycflights13"
    citation = "Wickham, H., nycflights13: Flights that departed NYC in 2013; NOAA, Automated Surface Observing System"
    quantity = "temperature (°C)"
    files = (
        File(
            "weather.csv",
            sha256="5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
            size=2_294_215,
            urls=(
                f"{GITHUB}/tidyverse/nycflights13/df98ef215aa8216fe0838a0b8ac5bada646d814c/data-raw/weather.csv",
                f"{GITHUB}/tidyverse/nycflights13/main/data-raw/weather.csv",
            ),
        ),
    )

    def read(self, path: Path) -> TimeTable:
        """Return three series in °C, mm and hPa; wind as a vector, in m/s."""
        import pandas as pd

        raw = _csv(path, ["origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip"])
        gusts = raw["wind_speed"] > FASTEST
        speed = raw["wind_speed"].mask(gusts)
        east, north = _wind(speed * 0.44704, raw["wind_dir"])
        frame = pd.DataFrame(
            {
                "temperature": (raw["temp"] - 32) / 1.8,
                "dew_point": (raw["dewp"] - 32) / 1.8,
                "humidity": raw["humid"],
                "wind_east": east,
                "wind_north": north,
                "rain": raw["precip"] * 25.4,
                "pressure": raw["pressure"],
                "visibility": raw["visib"] * 1.609344,
            }
        ).set_axis(_times(path, raw["time_hour"]))
        series, inserted = {}, 0
        for station, own in frame.groupby(raw["origin"].to_numpy()):
            series[str(station)] = own.asfreq("h")
            inserted += len(series[str(station)]) - len(own)
        notes = (
            f"{inserted:,} hours had no row; their values are missing.",
            f"{int(gusts.sum()):,} wind speeds above {FASTEST:g} mph were taken as missing.",
            "wind_gust is left out: four fifths of it are missing.",
        )
        return TimeTable(series, "temperature", self.quantity, "°C", notes=notes)


@dataset("seattle_weather")
class Seattle(Table):
    """Daily weather of Seattle, 2012 to 2015: highest and lowest temperature, rain, wind."""

    tasks = ("weather",)
    size = "1,461 days"
    title = "Daily weather of Seattle, 2012 to 2015"
    licence = "public domain (work of the United States government, NOAA)"
    source = "https://github.com/vega/vega-datasets"
    citation = "NOAA National Climatic Data Center, as in vega-datasets"
    quantity = "highest temperature of the day (°C)"
    files = (
        File(
            "seattle-weather.csv",
            sha256="0845078a290b48e3149ab8639966824110a251db4e06fc144c06ebb534af23be",
            size=48_219,
            urls=(f"{GITHUB}/vega/vega-datasets/cad85578e232704bb0453544742440038038c6a2/data/seattle-weather.csv",),
        ),
    )

    def read(self, path: Path) -> TimeTable:
        """Return one series."""
        columns = ["temp_max", "temp_min", "precipitation", "wind"]
        raw = _csv(path, ["date", *columns])
        frame = raw[columns].set_axis(_times(path, raw["date"])).asfreq("D")
        return TimeTable({"": frame}, "temp_max", self.quantity, "°C")


@dataset("beijing_pm25")
class Beijing(Table):
    """Hourly PM2.5 and weather of Beijing, 2010 to 2014."""

    tasks = ("weather",)
    size = "43,824 hours"
    title = "Beijing PM2.5 (UCI dataset 381): hourly particulate matter and weather, 2010 to 2014"
    licence = "CC-BY-4.0"
    source = "https://archive.ics.uci.edu/dataset/381/beijing+pm2+5+data"
    citation = (
        "Liang, X. et al. (2015), Assessing Beijing's PM2.5 pollution, Proc. Royal Society A 471: 20150257; "
        "https://doi.org/10.24432/C5JS49"
    )
    quantity = "temperature (°C)"
    files = (
        File(
            "pollution.csv",
            sha256="892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2",
            size=2_010_492,
            urls=(f"{GITHUB}/jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f/pollution.csv",),
        ),
    )

    def read(self, path: Path) -> TimeTable:
        """Return one series; wind as a vector of its direction, and its cumulated speed."""
        import numpy as np
        import pandas as pd

        raw = _csv(path, ["year", "month", "day", "hour", "pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"])
        east, north = _wind(pd.Series(1.0, raw.index), raw["cbwd"].map(COMPASS))
        frame = pd.DataFrame(
            {
                "TEMP": raw["TEMP"],
                "DEWP": raw["DEWP"],
                "PRES": raw["PRES"],
                "pm2.5": raw["pm2.5"],
                "log_wind": np.log1p(raw["Iws"]),
                "wind_east": east.fillna(0),
                "wind_north": north.fillna(0),
                "rain": raw["Ir"],
                "snow": raw["Is"],
            }
        ).set_axis(pd.DatetimeIndex(pd.to_datetime(raw[["year", "month", "day", "hour"]])))
        return TimeTable({"": frame.asfreq("h")}, "TEMP", self.quantity, "°C")


def _csv(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read a CSV file that has at least these columns.

    Raises:
        LstmlabError: for one that has not, or cannot be read.
    """
    import pandas as pd

    try:
        raw = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise LstmlabError(f"{path} cannot be read as CSV: {error}") from None
    if missing := [c for c in columns if c not in raw]:
        raise LstmlabError(f"{path} has no column {', '.join(missing)}. Expected: {', '.join(columns)}.")
    return raw


def _times(path: Path, column: Any) -> pd.DatetimeIndex:
    import pandas as pd

    try:
        return pd.DatetimeIndex(pd.to_datetime(column))
    except ValueError as error:
        raise LstmlabError(f"{path}, column {column.name}: a date cannot be read: {error}") from None


def _wind(speed: pd.Series, degrees: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return the eastern and northern part of wind from a direction; calm has none, and needs none."""
    import numpy as np

    angle = np.deg2rad(degrees.mask(speed == 0, 0.0))
    return speed * np.sin(angle), speed * np.cos(angle)
