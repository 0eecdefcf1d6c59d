"""Forecasting a series several steps ahead, with splits in time and no look into the future."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.errors import LstmlabError
from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.models import LastStep
from lstmlab.tasks.task import Batch, MakeRNN, Task, collect

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(kw_only=True)
class ForecastingConfig(TaskConfig):
    """Keys of a forecasting task."""

    window: int = option(low=2)  # steps that the model sees
    horizon: int = option(low=1)  # steps that it forecasts
    season: int = option(low=1)  # steps after which the series repeats
    validation: float = option(0.15, above=0, below=0.5)  # share of the series
    test: float = option(0.15, above=0, below=0.5)  # share of the series, the latest part


class Forecasting(Task):
    """Forecast ``horizon`` values of a univariate series from the ``window`` before them.

    The series is cut in time into train, validation and test. A train window lies in the train
    part with all that it sees and forecasts; elsewhere the forecast lies in its part and the
    window may reach back, as it does for anybody who forecasts on that day. Missing values are
    interpolated within each part, so that none is filled from a later one. The model sees and
    answers differences to the last value that it saw, scaled by a factor fitted on train only.
    """

    Config = ForecastingConfig
    config: ForecastingConfig
    example_title = "A forecast against the truth"

    @classmethod
    def tiny(cls) -> list[str]:
        return ["task.hidden_size=8", "task.window=12", "task.horizon=4", "train.steps=40", "train.evaluate_every=20"]

    @cached_property
    def bounds(self) -> dict[str, tuple[int, int]]:
        """First and last-plus-one index of each part."""
        n = len(self.dataset.load())
        test = int(n * (1 - self.config.test))
        validation = int(n * (1 - self.config.test - self.config.validation))
        parts = {"train": (0, validation), "validation": (validation, test), "test": (test, n)}
        need = self.config.window + self.config.horizon
        if validation <= need or min(b - a for a, b in parts.values()) < self.config.horizon:
            raise LstmlabError(
                f"task {self.config.name!r}: {n} values are too few for window={self.config.window} and "
                f"horizon={self.config.horizon}; choose smaller ones"
            )
        return parts

    @cached_property
    def series(self) -> Any:
        """The series with its dates, missing values filled within each part."""
        raw = self.dataset.load().copy()
        for start, stop in self.bounds.values():
            raw.iloc[start:stop] = raw.iloc[start:stop].interpolate(limit_direction="both")
        return raw

    @cached_property
    def values(self) -> np.ndarray:
        """The filled series as numbers."""
        return self.series.to_numpy("float64")

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``scale``: root mean square of the differences that the model sees in the train part."""
        inputs, _ = self._differences(self.starts("train"))
        return {"scale": float(np.sqrt(np.mean(inputs**2)))}

    @property
    def scale(self) -> float:
        """What the values that the model sees and answers are divided by."""
        scale: float = self.fitted["scale"]
        return scale

    def starts(self, split: str) -> np.ndarray:
        """Return the indices of the first forecast value of every window of a split."""
        start, stop = self.bounds[split]
        return np.arange(max(start, self.config.window), stop - self.config.horizon + 1)

    def windows(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is seen (n, window) and what is to be forecast (n, horizon), in the series' unit."""
        seen = starts[:, None] + np.arange(-self.config.window, 0)
        ahead = starts[:, None] + np.arange(self.config.horizon)
        return self.values[seen], self.values[ahead]

    def _differences(self, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen, ahead = self.windows(starts)
        return seen - seen[:, -1:], ahead - seen[:, -1:]

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return an encoder of the window with a linear head for the whole horizon."""
        return LastStep(make_rnn(1), self.config.horizon)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield windows, shuffled if ``random`` is given."""
        starts = self.starts(split)
        if random is not None:
            starts = random.permutation(starts)
        for at in range(0, len(starts), batch_size):
            seen, ahead = self._differences(starts[at : at + batch_size])
            inputs = torch.from_numpy(seen[..., None] / self.scale).float()
            yield Batch(inputs, torch.from_numpy(ahead / self.scale).float())

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean absolute error in scaled units, which MAE and MASE follow."""
        return nn.functional.l1_loss(output, batch.targets)

    def forecast(self, model: nn.Module, split: str) -> np.ndarray:
        """Return the forecasts (n, horizon) of a split in the series' unit."""
        outputs, _ = collect(model, self.batches(split, 512))
        seen, _ = self.windows(self.starts(split))
        return outputs.double().numpy() * self.scale + seen[:, -1:]

    def score(self, forecast: np.ndarray, split: str) -> dict[str, float]:
        """Return MAE, and MASE: MAE over the seasonal naive error within the train part.

        Hyndman and Koehler (2006), https://doi.org/10.1016/j.ijforecast.2006.03.001.
        """
        _, truth = self.windows(self.starts(split))
        train = self.values[: self.bounds["train"][1]]
        naive = np.mean(np.abs(train[self.config.season :] - train[: -self.config.season]))
        mae = float(np.mean(np.abs(forecast - truth)))
        return {"MAE": mae, "MASE": mae / float(naive)}

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        """Score the model's forecasts."""
        return self.score(self.forecast(model, split), split)

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the last value, last season, and last season moved by the growth since then."""
        starts, season = self.starts(split), self.config.season
        steps = np.arange(self.config.horizon)
        last = self.values[starts - 1][:, None]
        # h steps ahead stands for h - season, h - 2 season, ...: the latest season that is known
        seasonal = self.values[starts[:, None] + steps % season - season]
        growth = last - self.values[starts - 1 - season][:, None]
        forecasts = {
            "naive": np.broadcast_to(last, seasonal.shape),
            "seasonal naive": seasonal,
            "seasonal naive with drift": seasonal + growth * (1 + steps // season),
        }
        return {name: self.score(forecast, split) for name, forecast in forecasts.items()}

    def example(self) -> Batch:
        """Return the last test window."""
        *_, last = self.batches("test", 1)
        return last

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        """Draw the last test window, its truth, and each model's forecast."""
        start = int(self.starts("test")[-1])
        shown = min(self.config.window, 2 * self.config.season)
        dates = self.series.index
        ahead = slice(start, start + self.config.horizon)
        truth = slice(start - shown, start + self.config.horizon)
        ax.plot(dates[truth], self.values[truth], color="0.25", lw=1.5, label="truth")
        for name, model in models.items():
            ax.plot(dates[ahead], self.forecast(model, "test")[-1], color=colours[name], lw=1.8, label=name)
        ax.axvline(dates[start], color="0.6", lw=1, ls=":")
        ax.set_ylabel(self.dataset.quantity)
        ax.set_xlabel("date")

    def notes(self) -> list[str]:
        """Say what is forecast from what, and how many values were missing and filled."""
        missing = int(self.dataset.load().isna().sum())
        return [
            f"{self.config.horizon} steps are forecast from the {self.config.window} before them.",
            f"{missing} of {len(self.values)} values were missing and interpolated within their part.",
        ]
