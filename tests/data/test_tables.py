"""Somebody's own table: read as it is meant, or refused with the line, the column and what is expected."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstmlab.data import TableConfig, TimeTable, read_table
from lstmlab.errors import LstmlabError

Read = Callable[..., TimeTable]


def config(**keys: Any) -> TableConfig:
    return TableConfig(name="x", dataset="csv", hidden_size=1, **keys)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes lines to a file and reads it as a table."""

    def write_and_read(text: str | bytes, training: bool = True, **keys: Any) -> TimeTable:
        file = tmp_path / "my.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(file, config(**keys), training)

    return write_and_read


def days(*values: object, header: str = "day,x") -> str:
    rows = [f"2024-01-{day:02d},{value}" for day, value in enumerate(values, 1)]
    return "\n".join([header, *rows]) + "\n"


def frame(table: TimeTable) -> pd.DataFrame:
    (only,) = table.series.values()
    return only


# What can be read


def test_a_plain_table(read: Read) -> None:
    table = read(days(1, 2.5, 4, header="day,temp (°C)"))
    assert frame(table)["temp (°C)"].tolist() == [1, 2.5, 4]
    assert (table.target, table.unit) == ("temp (°C)", "°C")
    assert frame(table).index.freqstr == "D"
    assert table.notes == ("The step is 1 day.",)


@pytest.mark.parametrize(
    "written",
    [
        "day;x\n2024-01-01;1,5\n2024-01-02;-0,25\n",
        "day\tx\n2024-01-01\t1,5\n2024-01-02\t-0,25\n",
        'day,x\n2024-01-01,"1,5"\n2024-01-02,"-0,25"\n',
        "day;x, in °C\n2024-01-01;1,5\n2024-01-02;-0,25\n",
    ],
)
def test_a_decimal_comma_is_read_and_noted(read: Read, written: str) -> None:
    table = read(written)
    assert frame(table).iloc[:, 0].tolist() == [1.5, -0.25]
    assert "Numbers are read with a decimal comma." in table.notes


def test_the_separator_is_the_one_that_makes_dates(read: Read) -> None:
    table = read("day,x,tags;in;this;column\n2024-01-01,1,a;b;c;d\n2024-01-02,2,a;b;c;d\n")
    assert frame(table)["x"].tolist() == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(read: Read, encoding: str, ending: str) -> None:
    text = days(1, 2, header="Zeit,Größe").replace("\n", ending)
    assert frame(read(text.encode(encoding), time="Zeit"))["Größe"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2024-01-31", "2024-02-01", "2024-01-31"),
        ("2024-01-31 13:00", "2024-01-31 14:00", "2024-01-31 13:00"),
        ("2024-01-31T13:00:00.5", "2024-01-31T13:00:01.5", "2024-01-31 13:00:00.5"),
        ("2024-01-31T13:00:00Z", "2024-01-31T14:00:00Z", "2024-01-31 13:00+00:00"),
        ("2024-01-31T13:00:00+02:00", "2024-01-31T13:00:00+01:00", "2024-01-31 11:00+00:00"),
        ("2024/01/31", "2024/02/01", "2024-01-31"),
        ("31.01.2024", "01.02.2024", "2024-01-31"),
        ("1.2.2024 7:30", "1.2.2024 8:30", "2024-02-01 07:30"),
        ("1/31/2024", "2/1/2024", "2024-01-31"),
        ("31/1/2024", "1/2/2024", "2024-01-31"),
        ("1/31/2024 12:00 AM", "1/31/2024 1:00 PM", "2024-01-31 00:00"),
        ("31-Jan-2024", "01-Feb-2024", "2024-01-31"),
        ("January 31, 2024", "February 1, 2024", "2024-01-31"),
        ("1706659200", "1706662800", "2024-01-31 00:00+00:00"),
        ("20240131", "20240201", "2024-01-31"),
        ("2024-01", "2024-02", "2024-01-01"),
    ],
)
def test_ways_to_write_a_date(read: Read, first: str, second: str, expected: str) -> None:
    table = read(f'time,x\n"{first}",1\n"{second}",2\n')
    assert frame(table).index[0] == pd.Timestamp(expected)
    assert frame(table).index[1] > frame(table).index[0]


@pytest.mark.parametrize("nothing", ["", "NA", "NaN", "-", "null", "N/A", " "])
def test_ways_to_say_that_a_value_is_missing(read: Read, nothing: str) -> None:
    table = read(days(1, nothing, nothing, 4))
    assert frame(table)["x"].isna().tolist() == [False, True, True, False]
    assert table.notes[-1] == "x: 2 of 4 values are missing; the longest run, 2, is from 2024-01-02 00:00:00 on."


def test_several_series_known_columns_and_text(read: Read) -> None:
    text = "id,time,plan,y,note\n"
    text += "".join(
        f"{name},2024-01-0{day},{day},{day * size},ok\n" for name, size in (("a", 1), ("b", 10)) for day in (1, 2, 3)
    )
    table = read(text, series="id", known=["plan"])
    assert {name: data["y"].tolist() for name, data in table.series.items()} == {"a": [1, 2, 3], "b": [10, 20, 30]}
    assert (table.target, table.known) == ("y", ("plan",))
    assert "1 column of text left out: note." in table.notes


def test_the_time_column_is_found_wherever_it_is(read: Read) -> None:
    table = read("n,year,x,day\n1,2024,7,2024-01-01\n2,2024,8,2024-01-02\n", target="x")
    assert frame(table).columns.tolist() == ["n", "year", "x"]


def test_years_count_as_times_when_they_are_named(read: Read) -> None:
    table = read("year,x\n1700,5\n1701,11\n1703,16\n", time="year")
    assert frame(table).index.year.tolist() == [1700, 1701, 1702, 1703]
    assert "The step is 1 year." in table.notes


# The grid


def test_gaps_are_filled_with_missing_values_and_counted(read: Read) -> None:
    table = read("t,x\n2024-01-01 00:00,1\n2024-01-01 00:10,2\n2024-01-01 00:40,3\n")
    assert frame(table)["x"].tolist() == pytest.approx([1, 2, np.nan, np.nan, 3], nan_ok=True)
    assert "2 times had no row; their values are missing." in table.notes


def test_rows_out_of_order_are_sorted_and_equal_rows_merged(read: Read) -> None:
    table = read("t,x\n2024-01-03,3\n2024-01-01,1\n2024-01-02,2\n2024-01-02,2\n")
    assert frame(table)["x"].tolist() == [1, 2, 3]
    assert "3 rows were not in the order of time; they were sorted." in table.notes
    assert "1 rows that repeat another one were left out." in table.notes


@pytest.mark.parametrize(
    ("times", "step", "rows"),
    [
        (["2024-01-31", "2024-02-29", "2024-04-30"], "1 month", 4),
        (["2024-01-15", "2024-02-15", "2024-04-15"], "1 month", 4),
        (["2023-12-31", "2024-03-31", "2024-06-30"], "3 months", 3),
        (["2022-02-28", "2023-02-28", "2024-02-28"], "1 year", 3),
        (["2024-01-01", "2024-01-08", "2024-01-22"], "7 days", 4),
    ],
)
def test_months_are_equal_steps(read: Read, times: list[str], step: str, rows: int) -> None:
    table = read("t,x\n" + "".join(f"{time},{at}\n" for at, time in enumerate(times)))
    assert f"The step is {step}." in table.notes
    assert len(frame(table)) == rows


def test_trading_days_are_steps_without_weekends_and_holidays(read: Read) -> None:
    all_days = pd.bdate_range("2024-01-01", "2024-06-28").drop(pd.to_datetime(["2024-01-15", "2024-02-19"]))
    table = read("t,x\n" + "".join(f"{day:%Y-%m-%d},{at}\n" for at, day in enumerate(all_days)))
    assert frame(table).index.tolist() == all_days.tolist()
    assert table.notes == ("The step is a trading day; 2 weekdays have none and are no steps.",)


def test_weekdays_with_a_long_gap_are_a_grid_of_weekdays(read: Read) -> None:
    all_days = [day for day in pd.bdate_range("2024-01-01", "2024-06-28") if day.month != 3]
    table = read("t,x\n" + "".join(f"{day:%Y-%m-%d},{at}\n" for at, day in enumerate(all_days)))
    assert len(frame(table)) == len(pd.bdate_range("2024-01-01", "2024-06-28"))
    assert "The step is a weekday." in table.notes
    assert "21 times had no row; their values are missing." in table.notes


# Time zones


def local(start: str, end: str, zone: str) -> list[str]:
    return [f"{time:%Y-%m-%d %H:%M}" for time in pd.date_range(start, end, freq="30min", tz="UTC").tz_convert(zone)]


@pytest.mark.parametrize("backwards", [False, True])
def test_the_hour_that_clocks_repeat_is_read_in_its_order(read: Read, backwards: bool) -> None:
    times = local("2024-10-26 22:00", "2024-10-27 03:00", "Europe/Berlin")
    rows = [f"{time},{at}\n" for at, time in enumerate(times)]
    table = read("t,x\n" + "".join(rows[::-1] if backwards else rows), timezone="Europe/Berlin")
    assert frame(table)["x"].tolist() == list(range(len(times)))
    assert frame(table).index[0] == pd.Timestamp("2024-10-26 22:00", tz="UTC")
    assert any(note.startswith("4 rows are in an hour that the clocks repeat") for note in table.notes)


def test_a_repeated_hour_that_stands_once_is_summer_time(read: Read) -> None:
    times = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    table = read("t,x\n" + "".join(f"{time},{at}\n" for at, time in enumerate(times)), timezone="Europe/Berlin")
    assert frame(table)["x"].isna().tolist() == [False, False, True, False]
    assert any(note.startswith("1 rows are the only ones of an hour") for note in table.notes)


def test_the_hour_that_clocks_skip_makes_no_gap(read: Read) -> None:
    times = local("2024-03-30 22:00", "2024-03-31 04:00", "Europe/Berlin")
    assert "2024-03-31 02:30" not in times
    rows = [f"{time},{at}\n" for at, time in enumerate(times)]
    table = read("t,x\n" + "".join(rows), timezone="Europe/Berlin")
    assert frame(table)["x"].tolist() == list(range(len(times)))
    table = read("t,x\n" + "".join([*rows, "2024-03-31 02:30,7\n"]), timezone="Europe/Berlin")
    assert frame(table)["x"].tolist() == list(range(len(times)))
    assert "1 rows at times that the clocks skip were left out." in table.notes


def test_a_zone_is_not_used_for_whole_days_and_for_times_that_name_theirs(read: Read) -> None:
    assert frame(read(days(1, 2), timezone="Europe/Berlin")).index.tz is None
    table = read("t,x\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,2\n", timezone="Europe/Berlin")
    assert str(frame(table).index.tz) == "UTC"
    assert "task.timezone is not used: the times name their zone." in table.notes


# What is refused

ABOVE = "day,x\n2024-01-01,1\n"


@pytest.mark.parametrize(
    ("text", "keys", "said"),
    [
        ("", {}, "my.csv is empty"),
        ("\n \n", {}, "my.csv is empty"),
        ("day,x\n", {}, "has a header and no rows"),
        ("2024-01-01,1\n2024-01-02,2\n", {}, "line 1: a date stands where a name is expected"),
        ("day\n2024-01-01\n", {}, "line 1: there is one column only"),
        ("day,x,x\n2024-01-01,1,2\n", {}, "line 1: two columns are called 'x'"),
        (ABOVE + "\n2024-01-02,2,3\n", {}, "line 4: 3 cells, but the header has 2"),
        (ABOVE + "2024-01-02\n", {}, "line 3: 1 cells, but the header has 2"),
        (ABOVE + '2024-01-02,"2\n', {}, "line 3: unexpected end of data"),
        (("day,ä\n" + "2024-01-01,1\n").encode("latin-1"), {}, r"line 1: byte 5 of the file \(0xe4\) is not UTF-8"),
        (b"day,x\n2024-01-01,1\0\n", {}, "line 2: there is a zero byte"),
        (b"\xff\xfeday", {}, "is not UTF-16"),
        (days(1, "n", 3), {}, "line 3, column 'x': 'n' is not a number"),
        (days(1, "n", "n"), {"target": "x"}, r"line 3, column 'x': 'n' \(and 1 more\) is not a number"),
        (days(1, "1_000", 3), {}, "line 3, column 'x': '1_000' is not a number"),
        (days(1, "inf", 3), {}, "line 3, column 'x': 'inf' is infinite"),
        (days(1, "1e999", 3), {}, "line 3, column 'x': '1e999' is infinite"),
        (days(7, 7, "", 7), {}, "column 'x': all values are 7: there is nothing to learn"),
        (days("", "", ""), {"target": "x"}, "column 'x': all values are missing"),
        (days("a", "b"), {}, "task.target=COLUMN, one of numbers, and there is none"),
        ("day,a,b\n2024-01-01,1,2\n", {}, "task.target=COLUMN, one of a, b"),
        (days(1, 2), {"target": "X"}, "no column 'X', which task.target names.*Columns: day, x"),
        (days(1, 2, header="day,temperature"), {"target": "temperatur"}, "Did you mean 'temperature'"),
        (days(1, 2), {"known": ["plan"]}, "no column 'plan', which task.known names"),
        (days(1, 2), {"target": "day"}, "task.target=day: this column is the time or the series already"),
        ("a,b\n1,2\n3,4\n", {}, "no column reads as dates.*Columns: a, b"),
        (days(1, 2), {"time": "x"}, "line 2, column 'x': '1' does not read as a date"),
        (ABOVE + "soon,2\n", {}, "line 3, column 'day': 'soon' does not read as a date like '2024-01-01'"),
        (ABOVE + ",2\n", {}, "line 3, column 'day': there is no date"),
        (ABOVE + "2024-02-30,2\n", {}, "line 3, column 'day': '2024-02-30' is a day or time that does not exist"),
        ("t,x\n31.04.2024,1\n01.05.2024,2\n", {}, "line 2, column 't': '31.04.2024' is a day"),
        ("t,x\n1/2/2024,1\n1/3/2024,2\n", {}, "line 2, column 't': '1/2/2024' may be day/month or month/day"),
        ("t,x\n31/1/2024,1\n1/31/2024,2\n", {}, "line 3, column 't': '1/31/2024' has day and month the other way"),
        ("t,x\n1/31/24,1\n", {}, "no column reads as dates"),
        ("t,x\n2024-01-01T00:00Z,1\n2024-01-01T01:00,2\n", {}, "line 3, column 't': .* names no time zone"),
        (ABOVE + "2024-01-01,2\n", {}, "line 3: the time 2024-01-01 00:00:00 is in line 2 too,.*task.series"),
        (ABOVE, {}, "there is one time only"),
        (days(*range(20)) + "2024-01-20 01:00,3\n", {}, "line 22: .* on no regular grid: it is 1 hour after"),
        (days(1, 2, 3) + "2024-01-04 00:17,4\n2024-01-05,5\n", {}, "line 5: .* 1457 minutes after .* step is 1 day"),
        (days(1, 2, 3) + "2124-01-04,4\n", {}, "line 5: 2124-01-04 .* Is a date wrong"),
        ("id,t,x\na,2024-01-01,1\n,2024-01-02,2\n", {"series": "id"}, "line 3, column 'id': there is no name"),
        ("t;x\n2024-01-01;1,5\n2024-01-02;1.5\n", {}, "line 2, column 'x': '1,5' has a .* comma, and '1.5' in line 3"),
        ('t,x\n2024-01-01,"1,234"\n2024-01-02,"2,345"\n', {}, "line 2, column 'x': '1,234' may mean thousands"),
        ("t,x\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n", {"timezone": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(read: Read, text: str | bytes, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(LstmlabError, match=said):
        read(text, **keys)


def test_a_missing_file_is_named_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "weather.csv").touch()
    with pytest.raises(LstmlabError, match=r"wether.csv cannot be read: No such file.* Did you mean 'weather.csv'"):
        read_table(tmp_path / "wether.csv", config())
    with pytest.raises(LstmlabError, match="Is a directory"):
        read_table(tmp_path, config())


def test_new_data_may_be_constant(read: Read) -> None:
    assert frame(read(days(7, 7, 7), training=False))["x"].tolist() == [7, 7, 7]


def test_a_flat_series_beside_others_is_noted(read: Read) -> None:
    text = "id,t,x\na,2024-01-01,1\na,2024-01-02,2\nb,2024-01-01,5\nb,2024-01-02,5\n"
    assert "x never changes in b." in read(text, series="id").notes


# Any regular table


VALUES = st.floats(allow_nan=True, allow_infinity=False, width=64)


@st.composite
def regular(draw: st.DrawFn) -> pd.DataFrame:
    count = draw(st.integers(2, 12))
    freq = draw(st.sampled_from(["D", "h", "15min", "s", "MS", "ME", "QE", "YS", "W"]))
    zone = draw(st.sampled_from([None, "UTC"])) if freq in ("h", "15min", "s") else None
    start = draw(st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2100-01-01"))).replace(microsecond=0)
    if freq not in ("h", "15min", "s"):
        start = start.replace(hour=0, minute=0, second=0)
    index = pd.date_range(start, periods=count, freq=freq, tz=zone, name="time").as_unit("us")
    columns = draw(
        st.lists(
            st.sampled_from(["a", "b c", "größe", "x,y", "x;y", 'q"', "温度"]), min_size=1, max_size=4, unique=True
        )
    )
    data = {name: draw(st.lists(VALUES, min_size=count, max_size=count)) for name in columns}
    data[columns[0]][:2] = [0.5, 1.5]  # something to learn
    return pd.DataFrame(data, index=index, dtype="float64")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=regular(),
    separator=st.sampled_from([",", ";", "\t"]),
    comma=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    missing=st.sampled_from(["", "NA", "null"]),
)
def test_any_regular_table_reads_back_equal(
    read: Read, written: pd.DataFrame, separator: str, comma: bool, encoding: str, missing: str
) -> None:
    def cell(value: float) -> str:
        return missing if np.isnan(value) else repr(float(value)).replace(".", "," if comma else ".")

    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["time", *written.columns])
    writer.writerows(
        [time.isoformat(), *map(cell, row)] for time, row in zip(written.index, written.to_numpy(), strict=True)
    )
    table = read(out.getvalue().encode(encoding), target=written.columns[0])
    wanted = written.dropna(axis=1, how="all")
    pd.testing.assert_frame_equal(frame(table), wanted, check_freq=False)
