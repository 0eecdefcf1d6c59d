"""The stocks task: the next day's return and variance, a day at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.data import TableConfig
from lstmlab.errors import LstmlabError
from lstmlab.schema import option
from lstmlab.tasks import Batch, Metric, Task
from lstmlab.tasks.task import MakeRNN

from . import comparison, exhibits
from .baselines import forecasts
from .features import MONTH, History, fit, history, inputs, variance
from .forecast import Forecast, tabulate
from .model import LOG_VARIANCE, MEAN, TAIL, MeanAndVariance, loss
from .prices import Prices, close_column, read_prices, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(kw_only=True)
class StocksConfig(TableConfig):
    """Keys of the stocks task."""

    window: int = option(low=4)  # trading days that the model reads
    context: int = option(low=1)  # of these, the first ones, after which no forecast is asked for
    validation: float = option(0.15, above=0, below=0.5)  # share of the days
    test: float = option(0.2, above=0, below=0.5)  # share of the days, the latest ones


class Stocks(Task):
    """Forecast mean and variance of the next day's logarithmic return, at each close of a window.

    The days are cut in time into train, validation and test. A forecast counts where the close that it
    is made at and the day that it is for lie in the same part; the days that it has read may reach back.
    All that is computed of a day uses the prices of that day and of earlier ones.
    """

    Config = StocksConfig
    config: StocksConfig
    causal = True
    example_title = "Volatility of the last months, forecast the day before"

    def __init__(self, config: Any) -> None:
        if config.dataset == "csv" and config.target is None and config.path and Path(config.path).is_file():
            config = replace(config, target=close_column(Path(config.path)))
        super().__init__(config)

    @classmethod
    def tiny(cls) -> list[str]:
        # all windows in one batch: calm and wild years would make the loss of small ones jump
        small = ["task.hidden_size=8", "task.window=40", "task.context=20", "train.batch_size=200"]
        return [*small, "train.steps=20", "train.evaluate_every=10", "train.learning_rate=0.01"]

    @property
    def metrics(self) -> tuple[Metric, ...]:  # type: ignore[override]
        """QLIKE of the variance, then the price in the data's unit."""
        unit: str = getattr(self.dataset, "unit", "")
        return (
            Metric("QLIKE"),
            Metric("QLIKE of squared returns"),
            Metric("RMSE of price", unit),
            Metric("MAPE of price", "%"),
        )

    @cached_property
    def prices(self) -> Prices:
        """Open, high, low and close of all trading days."""
        return tidy(self.dataset.load())

    @cached_property
    def history(self) -> History:
        """What is computed of each day."""
        return history(self.prices, self.prices.ranges)

    @cached_property
    def bounds(self) -> dict[str, tuple[int, int]]:
        """First and last-plus-one day of each part."""
        n = len(self.prices.frame)
        test = int(n * (1 - self.config.test))
        validation = int(n * (1 - self.config.test - self.config.validation))
        if self.config.context >= self.config.window:
            raise LstmlabError(
                f"task.context={self.config.context} must be below task.window={self.config.window}: only days after "
                "the context are forecast"
            )
        parts = {"train": (0, validation), "validation": (validation, test), "test": (test, n)}
        need = MONTH + self.config.window + 1
        if validation < need or min(b - a for a, b in parts.values()) < MONTH:
            lengths = ", ".join(f"{b - a} for {name}" for name, (a, b) in parts.items())
            raise LstmlabError(
                f"task {self.config.label!r}: {n} trading days are too few: {lengths}. Expected: at least {need} for "
                f"train (task.window and a month before it) and {MONTH} for each other part; shorten task.window"
            )
        return parts

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """Level of the variance of ranges, weights of HAR, centre and spread of the features, all of train."""
        return fit(self.history, self.bounds["train"][1])

    @cached_property
    def realised(self) -> np.ndarray:
        """The proxy of each day's variance, in percent squared."""
        return variance(self.history, self.fitted)

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a recurrence that corrects HAR's forecast and answers with mean, log-variance and tail."""
        centre, spread = self.fitted["centre"], self.fitted["spread"]
        return MeanAndVariance(make_rnn(len(centre)), centre[0], spread[0])

    def ends(self, split: str, shift: int = 0) -> np.ndarray:
        """Return the last day of each window, so that what they forecast covers the split without overlap.

        Train windows see and forecast train days only, and leave out what does not fill a window; the
        others may begin before their split. ``shift`` moves all of them back.
        """
        start, stop = self.bounds[split]
        asked = self.config.window - self.config.context
        if split == "train":
            count = (stop - 1 - MONTH - self.config.context - shift) // asked
        else:
            count = -(-(stop - start - 1) // asked)
        found: np.ndarray = stop - 2 - shift - asked * np.arange(count)[::-1]
        return found

    @cached_property
    def _numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """Features of each day, and what is to be forecast of it: its return and its variance."""
        targets = np.stack([self.history.returns, self.realised], 1)
        return inputs(self.history, self.fitted).astype("float32"), targets.astype("float32")

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield windows with the days after each that is asked for; ``random`` shifts and shuffles them."""
        known, targets = self._numbers
        window, context = self.config.window, self.config.context
        ends = self.ends(split)
        if random is not None:
            most = min(window - context, self.bounds["train"][1] - MONTH - window)
            ends = random.permutation(self.ends(split, int(random.integers(most))))
        for at in range(0, len(ends), batch_size):
            days = ends[at : at + batch_size, None] + np.arange(1 - window, 1)
            yield Batch(torch.from_numpy(known[days]), torch.from_numpy(targets[days[:, context:] + 1]))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return QLIKE of the variance plus Student's negative log-likelihood of the return."""
        return loss(output[:, -batch.targets.shape[1] :], batch.targets)

    @torch.no_grad()
    def forecast(self, model: nn.Module, split: str) -> Forecast:
        """Return a model's forecasts of the scored days of a split."""
        start, stop = self.scored(split)
        asked = self.config.window - self.config.context
        outputs = torch.cat([model(batch.inputs)[0][:, -asked:] for batch in self.batches(split, 512)])
        return _forecast(outputs.flatten(0, 1)[start - stop :])

    def scored(self, split: str) -> tuple[int, int]:
        """Return first and last-plus-one of the days that count: the close before lies in the split too."""
        start, stop = self.bounds[split]
        asked = self.config.window - self.config.context
        return stop - asked * len(self.ends(split)) if split == "train" else start + 1, stop

    def losses(self, forecast: Forecast, split: str) -> dict[str, np.ndarray]:
        """Return the losses of each scored day.

        QLIKE is log h + v / h for a forecast h and a proxy v of the variance: of the losses that rank
        forecasts as the true variance would although the proxy is noisy, the one that outliers move
        least. Patton (2011), https://doi.org/10.1016/j.jeconom.2010.03.034.
        """
        start, stop = self.scored(split)
        close, before = self.history.close[start:stop], self.history.close[start - 1 : stop - 1]
        price = before * np.exp(forecast.mean / 100)
        level = np.log(forecast.variance)
        return {
            "QLIKE": level + self.realised[start:stop] / forecast.variance,
            "QLIKE of squared returns": level + self.history.returns[start:stop] ** 2 / forecast.variance,
            "squared error of price": (price - close) ** 2,
            "percentage error of price": 100 * np.abs(price / close - 1),
        }

    def score(self, forecast: Forecast, split: str) -> dict[str, float]:
        """Return the value of every metric."""
        means = [float(np.mean(values)) for values in self.losses(forecast, split).values()]
        means[2] = float(np.sqrt(means[2]))
        return dict(zip((metric.name for metric in self.metrics), means, strict=True))

    def evaluate(self, model: nn.Module, split: str) -> dict[str, float]:
        return self.score(self.forecast(model, split), split)

    @cached_property
    def _baselines(self) -> dict[str, Forecast]:
        return forecasts(self.history, self.bounds["train"][1], self.fitted)

    def baseline_forecasts(self, split: str) -> dict[str, Forecast]:
        """Return the baselines' forecasts of the scored days of a split."""
        return {name: found.part(*self.scored(split)) for name, found in self._baselines.items()}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score last value with constant variance, RiskMetrics' EWMA, HAR and GARCH(1,1)."""
        return {name: self.score(found, split) for name, found in self.baseline_forecasts(split).items()}

    def example(self) -> Batch:
        """Return the last test window."""
        *_, last = self.batches("test", 1)
        return last

    def draw_example(self, ax: Axes, models: dict[str, nn.Module], colours: dict[str, Any]) -> None:
        exhibits.draw_volatility(self, ax, models, colours, exhibits.RECENT)

    def exhibits(self, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
        return exhibits.everything(self, models, colours)

    def verdict(self, models: Mapping[str, Sequence[nn.Module]]) -> str:
        """Return what Diebold and Mariano's test supports, for volatility and for the price."""
        return comparison.sentences(comparison.compare(self, models))

    def notes(self) -> list[str]:
        """Say what is forecast, what the proxy is, and which rows were left out or mended."""
        days = int(self.history.ranged.sum())
        factor = f", times {self.fitted['factor']:.3g}, which is fitted on train" if days else ""
        return [
            *self.prices.notes,
            f"Variance is judged by a proxy: of {days:,} days the squared gap plus Garman and Klass's variance of the "
            f"range{factor}; of {len(self.history.days) - days:,} days the squared return.",
            f"Each step is a trading day; {self.config.context} to {self.config.window - 1} earlier ones are read.",
            "QLIKE is the mean of log h + v / h with variances in percent squared; its differences are what counts.",
        ]

    def predict(self, model: nn.Module, source: Path) -> pd.DataFrame:
        """Return forecasts for each day that a file leaves enough days before; the last row is for the next day.

        Columns: the day after whose close the forecast is made, and that close; mean and volatility of the
        next day's return, and volatility in a year of 252 days, in percent; the interval that holds the next
        close with a probability of 90 %.
        """
        prices = read_prices(source, self.config)
        if self.fitted["ranges"] and not prices.ranges:
            raise LstmlabError(
                f"{source}: there is a close only. Expected: columns open, high, low and close, with which the model "
                "was trained"
            )
        past = history(prices, self.fitted["ranges"])
        window, context = self.config.window, self.config.context
        if len(past.days) < MONTH + window:
            raise LstmlabError(
                f"{source}: {len(past.days)} trading days. Expected: at least {MONTH + window}, the window and a month "
                "before it"
            )
        asked = window - context
        ends = np.arange(MONTH + window - 1, len(past.days), asked)
        ends = np.unique(np.append(ends, len(past.days) - 1))
        known = inputs(past, self.fitted).astype("float32")
        days = ends[:, None] + np.arange(1 - window, 1)
        with torch.no_grad():
            outputs = model(torch.from_numpy(known[days]))[0][:, context:]
        made = days[:, context:].ravel()
        _, first = np.unique(made, return_index=True)
        return tabulate(past, made[first], _forecast(outputs.flatten(0, 1)[first]))


def _forecast(output: Tensor) -> Forecast:
    """Return outputs (days, 3) as a forecast in percent."""
    found = output.double().numpy()
    deviation = np.exp(found[:, LOG_VARIANCE] / 2)
    return Forecast(found[:, MEAN] * deviation, deviation**2, found[:, TAIL])
