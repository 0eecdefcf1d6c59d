"""Forecasting: known baselines, no look into the future, several series, and data that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.data import TimeTable
from lstmlab.errors import LstmlabError
from lstmlab.tasks.forecasting import Forecasting

SMALL = ["task.window=12", "task.horizon=4", "task.season=6", "task.references=[naive,seasonal naive]"]


def make(*overrides: str, table: TimeTable | None = None) -> Forecasting:
    """Return a task, of other data than its own if ``table`` is given."""
    task = registry.task.get("climate")(check(compose(["task=climate", *overrides])).run.task)
    if table is not None:
        task.dataset.load = lambda: table
    return task


def hours(length: int, seed: int = 0, freq: str = "h") -> pd.DataFrame:
    """Return a random walk ``y`` with two variables beside it."""
    random = np.random.default_rng(seed)
    index = pd.date_range("2024-01-01", periods=length, freq=freq)
    columns = {
        "y": random.normal(size=length).cumsum(),
        "a": random.normal(5, 2, length),
        "plan": random.random(length),
    }
    return pd.DataFrame(columns, index)


def walks(known: tuple[str, ...] = (), **frames: pd.DataFrame) -> TimeTable:
    return TimeTable(frames or {"one": hours(300), "two": hours(200, seed=1)}, "y", "y (m)", "m", known)


class Zero(torch.nn.Module):
    """Answers that nothing changes from the last value, surely."""

    def __init__(self, task: Forecasting) -> None:
        super().__init__()
        self.shape = (task.config.horizon, len(task.config.quantiles))

    def forward(self, inputs: torch.Tensor, state: object = None, lengths: object = None) -> object:
        return torch.zeros(len(inputs), *self.shape), state


@pytest.fixture(scope="module")
def climate() -> Forecasting:
    return make()


def test_baselines_have_their_known_errors(climate: Forecasting) -> None:
    scores = climate.baselines("test")
    assert scores["naive"]["MAE"] == pytest.approx(2.63, abs=0.005)
    assert scores["seasonal naive"]["MAE"] == pytest.approx(1.69, abs=0.005)
    assert scores["seasonal naive with drift"]["MAE"] == pytest.approx(0.68, abs=0.005)


def test_mase_is_mae_over_the_seasonal_error_within_train(climate: Forecasting) -> None:
    train = climate.dataset.load().ffill().iloc[: int(len(climate.panel.truth) * 0.7)]
    scale = float((train - train.shift(52)).abs().mean())
    for scores in climate.baselines("test").values():
        assert scores["MASE"] == pytest.approx(scores["MAE"] / scale)


def test_train_windows_lie_in_train_and_forecasts_in_their_part() -> None:
    """Also where series differ in length: each is cut by its own."""
    task = make(*SMALL, table=walks())
    for at, n in enumerate((300, 200)):
        cuts = {"train": (0, int(0.7 * n)), "validation": (int(0.7 * n), int(0.85 * n)), "test": (int(0.85 * n), n)}
        for split, (start, stop) in cuts.items():
            local = task.starts(split, at) - task.panel.first[at]
            assert local[0] == (task.config.window if split == "train" else start)
            assert local[-1] == stop - task.config.horizon
    assert len(task.starts("test")) == (300 - 255 - 3) + (200 - 170 - 3)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_nothing_before_a_split_depends_on_its_values(split: str) -> None:
    """All that is fitted, all batches of earlier splits, and the first window of the split stay as they are."""
    table = walks()
    task, changed = make(*SMALL, table=table), {}
    for name, frame in table.series.items():
        start = int(len(frame) * (0.7 if split == "validation" else 0.85))
        after = pd.DataFrame(np.random.default_rng(0).normal(0, 100, frame.shape), frame.index, frame.columns)
        changed[name] = pd.concat([frame.iloc[:start], after.iloc[start:]])
    other = make(*SMALL, table=replace(table, series=changed))
    if split == "validation":
        assert other.fitted == task.fitted
    for before in ("train", "validation") if split == "test" else ("train",):
        for a, b in zip(task.batches(before, 64), other.batches(before, 64), strict=True):
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)
    for at in range(2):
        first = task.starts(split, at)[:1]
        assert np.array_equal(task.inputs(task.panel, first), other.inputs(other.panel, first))


def test_an_input_holds_nothing_of_its_future_but_what_is_known() -> None:
    table = walks(known=("plan",))
    task = make(*SMALL, table=table)
    start = task.starts("test", 0)[3]
    frame = table.series["one"].copy()
    frame.iloc[start:, :2] = 1e3
    same = make(*SMALL, table=replace(table, series=table.series | {"one": frame}))
    assert np.array_equal(task.inputs(task.panel, start[None]), same.inputs(same.panel, start[None]))
    frame.iloc[start, 2] += 1
    other = make(*SMALL, table=replace(table, series=table.series | {"one": frame}))
    differs = (task.inputs(task.panel, start[None]) != other.inputs(other.panel, start[None]))[0]
    assert differs.any(axis=1).nonzero()[0].tolist() == [task.config.window]
    assert differs.sum() == 1


def test_missing_values_are_filled_from_the_past_and_never_count_as_truth(climate: Forecasting) -> None:
    raw: pd.Series = climate.dataset.load().copy()
    cut = int(len(raw) * 0.85)
    raw.iloc[cut : cut + 3] = np.nan
    other = make()
    other.dataset.load = lambda: raw  # type: ignore[method-assign]
    assert (other.panel.values[cut : cut + 3] == raw.iloc[cut - 1]).all()
    first = next(other.batches("test", 1))
    assert torch.isnan(first.targets[0]).nonzero().flatten().tolist() == [0, 1, 2]
    output = torch.zeros(1, 26, 5, requires_grad=True)
    other.loss(output, first).backward()
    assert output.grad is not None
    assert output.grad[0, :3].abs().sum() == 0
    assert (output.grad[0, 3:].abs().sum(-1) > 0).all()
    assert f"Of {len(raw):,} rows these lack values: {int(raw.isna().sum())} of co2" in " ".join(other.notes())


def test_rows_before_the_first_value_are_left_out() -> None:
    frame = hours(300)
    frame.iloc[:7, 0] = np.nan
    task = make(*SMALL, table=walks(one=frame))
    assert task.panel.times["one"][0] == frame.index[7]
    assert "7 rows before the first value of y are left out" in " ".join(task.notes())


def test_a_model_that_answers_zero_is_the_naive_forecast(climate: Forecasting) -> None:
    assert climate.evaluate(Zero(climate), "test") == pytest.approx(climate.baselines("test")["naive"])


def test_each_series_comes_back_in_its_own_unit() -> None:
    """A series a thousand times as large has a thousand times the scale, and the same inputs."""
    frame = hours(300)
    task = make(*SMALL, table=walks(small=frame, large=frame.assign(y=1000 * frame["y"])))
    small, large = task.panel.scale
    assert large == pytest.approx(1000 * small)
    inputs = [task.inputs(task.panel, task.starts("test", at)) for at in range(2)]
    np.testing.assert_allclose(inputs[0], inputs[1], rtol=1e-4, atol=1e-5)
    forecast = task.forecast(Zero(task), "test")
    middle = task.config.quantiles.index(0.5)
    np.testing.assert_allclose(forecast[:, 0, middle], task.panel.values[task.starts("test") - 1])


def test_training_starts_at_the_first_reference() -> None:
    """An untrained model is the first of the references that it leans on."""
    task = make(*SMALL, "task.references=[seasonal naive,naive]", table=walks())
    torch.manual_seed(0)
    from lstmlab.engine import RNN

    model = task.model(lambda size, bidirectional=False: RNN("vanilla", size, 4, batch_first=True))
    starts = task.starts("test")
    median = task.quantiles(model, task.panel, starts)[..., 2]
    np.testing.assert_allclose(median, task.reference("seasonal naive", task.panel, starts), atol=1e-4)


def test_the_seasonal_naive_forecast_repeats_the_latest_season() -> None:
    task = make("task.window=12", "task.horizon=5", "task.season=2", "task.references=[naive]", table=walks())
    start = task.starts("test")[0]
    before, last = task.panel.values[start - 2], task.panel.values[start - 1]
    assert task.reference("seasonal naive", task.panel, np.array([start]))[0].tolist() == [
        before, last, before, last, before,
    ]  # fmt: skip


def test_the_climatology_of_a_pure_daily_cycle_is_the_cycle() -> None:
    frame = hours(400)
    frame["y"] = 10 + 3 * np.sin(2 * np.pi * frame.index.hour / 24)
    task = make("task.window=24", "task.horizon=6", "task.season=24", table=walks(one=frame))
    assert task.fitted["calendar"] == ["day"]
    starts = task.starts("test")
    np.testing.assert_allclose(
        task.reference("climatology", task.panel, starts), task.panel.truth[task.ahead(starts)], atol=1e-9
    )


def test_backtest_holds_every_forecast_beside_its_truth() -> None:
    task = make(*SMALL, table=walks())
    table = task.backtest(Zero(task), every=2)
    assert list(table.columns[:5]) == ["series", "origin", "step", "time", "truth"]
    assert table.groupby("series")["origin"].nunique().to_dict() == {"one": 21, "two": 14}
    assert ((table["time"] - table["origin"]) == table["step"] * pd.Timedelta("1h")).all()
    frame = task.table.series["two"]
    own = table[table["series"] == "two"]
    np.testing.assert_array_equal(own["truth"], frame["y"].loc[own["time"]])
    np.testing.assert_array_equal(own["naive"], frame["y"].loc[own["origin"]])
    quantiles = own[[c for c in own if c.startswith("q0")]].to_numpy()
    assert (np.diff(quantiles) >= 0).all()
    assert own["q0.5"].to_numpy() == pytest.approx(own["naive"].to_numpy())


def test_points_alone_have_no_interval_to_judge() -> None:
    task = make(*SMALL, "task.quantiles=[0.5]", table=walks())
    assert [m.name for m in task.metrics] == ["MAE", "MASE"]
    assert set(task.baselines("test")["naive"]) == {"MAE", "MASE"}
    assert task.backtest(Zero(task)).columns[5] == "q0.5"


def test_exhibits_are_figures_and_a_table_of_each_series() -> None:
    from matplotlib.figure import Figure

    task = make(*SMALL, table=walks())
    shown = task.exhibits({"vanilla": Zero(task)}, {"vanilla": "C0"})
    *figures, table = shown.values()
    assert all(isinstance(figure, Figure) for figure in figures)
    assert len(figures) == 3
    errors = (table[table["forecast"] == "vanilla"]).set_index("series")["MAE (m)"]
    naive = (table[table["forecast"] == "naive"]).set_index("series")["MAE (m)"]
    assert errors.equals(naive)


def refused(message: str, *overrides: str, table: TimeTable | None = None) -> None:
    with pytest.raises(LstmlabError, match=message):
        _ = make(*SMALL, *overrides, table=table).fitted


def test_data_that_cannot_be_used_are_refused_before_training() -> None:
    flat, infinite, empty, long = hours(300), hours(300), hours(300), hours(300)
    flat["y"] = 2.5
    infinite.iloc[17, 1] = np.inf
    empty["y"] = np.nan
    refused("too few for window=2200", "task.window=2200")
    refused(
        "40 values of series 'two' are too few for window=40", "task.window=40", table=walks(one=long, two=hours(40))
    )
    refused("series 'one': y is 2.5 throughout its train part", table=walks(one=flat))
    refused("series 'one': a is infinite at 2024-01-01 17:00", table=walks(one=infinite))
    refused("series 'one': y has no value at all", table=walks(one=empty))
    refused("task.target=plam: co2 has no such column. Did you mean 'plan'", "task.target=plam", table=walks())
    refused("task.columns=b: co2 has no such column", "task.columns=[b]", table=walks())


def test_keys_that_make_no_sense_are_refused() -> None:
    refused("task.quantiles=.*expected levels between 0 and 1", "task.quantiles=[0.1,0.9]")
    refused("task.quantiles=.*as far below it as above", "task.quantiles=[0.2,0.5,0.9]")
    refused("task.references has 'naiv'. Did you mean 'naive'", "task.references=[naiv]")
    refused("task.calendar has 'month'.*Allowed: day, week, year", "task.calendar=[month]")
    refused("task.calendar has 'day', but the series has a value every 7 days", "task.calendar=[day]")


def test_another_column_can_be_the_target(climate: Forecasting) -> None:
    task = make(*SMALL, "task.target=a", table=walks())
    assert task.fitted["target"] == "a"
    assert task.fitted["columns"] == ["y", "plan"]
    assert task.metric.unit == ""


def fields(task: Forecasting) -> dict[str, Any]:
    return {k: task.fitted[k] for k in ("columns", "known", "marked", "calendar")}


def test_columns_that_often_lack_values_are_marked() -> None:
    frame = hours(300)
    frame.iloc[50:60, 1] = np.nan
    task = make(*SMALL, table=walks(one=frame))
    assert fields(task) == {"columns": ["a", "plan"], "known": [], "marked": ["a"], "calendar": ["day"]}
    rows = task.inputs(task.panel, np.array([62]))[0]
    assert rows[:12, 3].tolist() == [1] * 10 + [0] * 2
    assert (rows[:10, 1] == rows[0, 1]).all()
