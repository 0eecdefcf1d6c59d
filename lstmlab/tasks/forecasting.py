"""Forecasting one or several series many steps ahead, as quantiles, with splits in time and no look into the future."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.tasks import forecast_figures
from lstmlab.tasks.backtest import backtest, predict
from lstmlab.tasks.calendar import HARMONICS
from lstmlab.tasks.forecast_data import ForecastingConfig, describe, fit_table, load_table, parts, reach
from lstmlab.tasks.forecaster import Forecaster
from lstmlab.tasks.panel import Panel, build_panel
from lstmlab.tasks.quantiles import calibrate, check_levels, coverage, crps, pinball_loss
from lstmlab.tasks.references import REFERENCES, check_references
from lstmlab.tasks.task import Batch, MakeRNN, Metric, Task, collect
from lstmlab.tasks.windows import last_and_scale, read_windows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

BEFORE = {"validation": "train", "test": "validation"}  # where forecasts of a split are calibrated first


class Forecasting(Task):
    """Forecast ``horizon`` values of each series from the ``window`` before them.

    Each series is cut in time into train, validation and test. A train window lies in the train part
    with all that it sees and forecasts; elsewhere the forecast lies in its part and the window may reach
    back, as it does for anybody who forecasts on that day. Missing values are filled from the past for the
    model to see, and never count as truth. The model sees and answers differences to the last value that
    it saw, scaled for each series by a factor fitted on train only.

    Quantiles of the test split follow the errors of the forecasts before them, those of validation to begin
    with: see `calibrate`. Baselines get their quantiles in the same way. The median stays as it is.
    """

    Config = ForecastingConfig
    config: ForecastingConfig
    example_title = "A forecast against the truth"

    @classmethod
    def tiny(cls) -> list[str]:
        return ["task.hidden_size=8", "task.window=12", "task.horizon=4", "train.steps=40", "train.evaluate_every=20"]

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        check_levels(config.quantiles)
        check_references(config.references)

    @property
    def metrics(self) -> tuple[Metric, ...]:  # type: ignore[override]
        """Errors of the median, then those of all quantiles, in the unit of the target."""
        unit = self.fitted["unit"]
        points = (Metric("MAE", unit), Metric("MASE"))
        if len(self.config.quantiles) == 1:
            return points
        nominal = f"%; nominal {100 * (self.config.quantiles[-1] - self.config.quantiles[0]):g}"
        return *points, Metric("CRPS", unit), Metric("coverage", nominal, "higher"), Metric("width", unit)

    @cached_property
    def table(self) -> Any:
        """The data: one or several series on a regular grid, checked."""
        return load_table(self.dataset, self.config)

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """What the table holds, and per series what is learnt from its train part: see `fit_table`."""
        return fit_table(self.table, self.config)

    @cached_property
    def panel(self) -> Panel:
        """The data as arrays."""
        return build_panel(self.table.series, self.fitted, self.config.timezone)

    @property
    def reach(self) -> int:
        """How many values a forecast needs before it."""
        return reach(self.config)

    def starts(self, split: str, series: int | None = None) -> np.ndarray:
        """Return the rows of the first forecast value of every window of a split, series after series."""
        found = []
        for at in range(len(self.panel.times)) if series is None else [series]:
            first, end = self.panel.first[at], self.panel.first[at + 1]
            start, stop = parts(int(end - first), self.config)[split]
            found.append(first + np.arange(max(start, self.reach), stop - self.config.horizon + 1))
        return np.concatenate(found)

    def ahead(self, starts: np.ndarray) -> np.ndarray:
        """Return the rows that are forecast (n, horizon)."""
        rows: np.ndarray = starts[:, None] + np.arange(self.config.horizon)
        return rows

    def reference(self, name: str, panel: Panel, starts: np.ndarray) -> np.ndarray:
        """Return the forecasts (n, horizon) of a baseline, in the target's unit."""
        return REFERENCES[name](panel, starts, self.config.horizon, self.config.season)

    def inputs(self, panel: Panel, starts: np.ndarray) -> np.ndarray:
        """Return what the model reads (n, window + horizon, features): see `read_windows`."""
        return read_windows(panel, starts, self.config)

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence over past and future with a head for all quantiles."""
        fitted, references = self.fitted, len(self.config.references)
        calendar = 2 * HARMONICS * len(fitted["calendar"]) + len(fitted["known"])
        features = 1 + len(fitted["columns"]) + len(fitted["marked"]) + calendar + references + 1
        return Forecaster(make_rnn(features), self.config.horizon, len(self.config.quantiles), references)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield windows, shuffled if ``random`` is given; a target that is missing is NaN."""
        starts = self.starts(split)
        yield from self._batches(self.panel, starts if random is None else random.permutation(starts), batch_size)

    def _batches(self, panel: Panel, starts: np.ndarray, batch_size: int) -> Iterator[Batch]:
        for at in range(0, len(starts), batch_size):
            some = starts[at : at + batch_size]
            last, scale = last_and_scale(panel, some)
            targets = torch.from_numpy((panel.truth[self.ahead(some)] - last) / scale).float()
            yield Batch(torch.from_numpy(self.inputs(panel, some)), targets)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean pinball loss of all quantiles, doubled, in scaled units."""
        return pinball_loss(output, batch.targets, self.config.quantiles)

    def weight(self, batch: Batch) -> float:
        """Return the number of values that are known."""
        return float((~torch.isnan(batch.targets)).sum())

    def quantiles(self, model: nn.Module, panel: Panel, starts: np.ndarray) -> np.ndarray:
        """Return a model's quantiles (n, horizon, levels) as they come, in the target's unit."""
        outputs, _ = collect(model, self._batches(panel, starts, 512))
        last, scale = last_and_scale(panel, starts)
        unscaled: np.ndarray = outputs.double().numpy() * scale[..., None] + last[..., None]
        return unscaled

    def forecast(self, model: nn.Module | str, split: str) -> np.ndarray:
        """Return the quantiles (n, horizon, levels) of a split, calibrated.

        Args:
            model: a model, or the name of a baseline.
            split: the test split is calibrated; the others show a model as it is.
        """
        if not isinstance(model, str) and split != "test":
            return self.quantiles(model, self.panel, self.starts(split))
        done = []
        for series in range(len(self.panel.times)):
            own = self.starts(split, series)
            earlier = self.starts(BEFORE[split], series) if split in BEFORE else own
            done.append(
                self.calibrated(model, self.panel, np.arange(min(earlier[0], own[0]), own[-1] + 1))[-len(own) :]
            )
        return np.concatenate(done)

    def calibrated(self, model: nn.Module | str, panel: Panel, starts: np.ndarray) -> np.ndarray:
        """Return quantiles at consecutive ``starts`` of one series, each calibrated by the errors before it."""
        levels = self.config.quantiles
        if isinstance(model, str):
            raw = np.repeat(self.reference(model, panel, starts)[..., None], len(levels), axis=2)
        else:
            raw = self.quantiles(model, panel, starts)
        return calibrate(raw, panel.truth[self.ahead(starts)], levels, self.config.calibration)

    def score(self, forecast: np.ndarray, split: str) -> dict[str, float]:
        """Return the value of every metric.

        MASE is the MAE over that of the seasonal naive forecast within the train part, the mean over series
        (Hyndman and Koehler 2006, https://doi.org/10.1016/j.ijforecast.2006.03.001). Coverage and width are
        those of the interval between the outermost quantiles.
        """
        starts, levels = self.starts(split), self.config.quantiles
        truth = self.panel.truth[self.ahead(starts)]
        errors = np.abs(forecast[..., levels.index(0.5)] - truth)
        easy = [facts["seasonal_error"] for facts in self.fitted["series"].values()]
        which = self.panel.which[starts]
        scaled = [np.nanmean(errors[which == at]) / easy[at] for at in np.unique(which)]
        low, high = forecast[..., 0], forecast[..., -1]
        scores = {
            "MAE": float(np.nanmean(errors)),
            "MASE": float(np.mean(scaled)),
            "CRPS": crps(forecast, truth, levels),
            "coverage": coverage(low, high, truth),
            "width": float(np.mean(high - low)),
        }
        return {metric.name: scores[metric.name] for metric in self.metrics}

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Score the model's forecasts."""
        return self.score(self.forecast(model, split), split)

    @property
    def baseline_names(self) -> list[str]:
        """The naive forecasts, and those that the model leans on."""
        seasonal = ["seasonal naive"] if self.config.season > 1 else []
        return list(dict.fromkeys(["naive", *seasonal, *self.config.references]))

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the forecasts that need no network, with quantiles of their own latest errors."""
        return {name: self.score(self.forecast(name, split), split) for name in self.baseline_names}

    def backtest(self, model: nn.Module, split: str = "test", every: int = 1) -> pd.DataFrame:
        """Return all forecasts of a split beside truth and baselines, as a tidy table: see `backtest`."""
        return backtest(self, model, split, every)

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return forecasts of the steps after the end of a file: see `lstmlab.tasks.backtest.predict`."""
        return predict(self, model, source)

    def example(self) -> Batch:
        """Return the last test window of the first series."""
        return next(self._batches(self.panel, self.starts("test", 0)[-1:], 1))

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the last test window of the first series, its truth, and each model's forecast."""
        forecast_figures.fan(self, ax, models, colours)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        """Return forecasts over the test split, errors by step ahead, calibration, and a table of series."""
        return forecast_figures.exhibits(self, models, colours)

    def notes(self) -> list[str]:
        """Say what is forecast from what, and what was missing."""
        return describe(self.table, self.fitted, self.config)
