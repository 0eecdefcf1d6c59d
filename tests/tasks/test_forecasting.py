"""The climate task: known baselines, and no look into the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.tasks.forecasting import Forecasting


@pytest.fixture(scope="module")
def climate() -> Forecasting:
    config = check(compose(["task=climate"])).run.task
    return registry.task.get("climate")(config)


def test_baselines_have_their_known_errors(climate: Forecasting) -> None:
    scores = climate.baselines("test")
    assert scores["naive"]["MAE"] == pytest.approx(2.63, abs=0.005)
    assert scores["seasonal naive"]["MAE"] == pytest.approx(1.69, abs=0.005)
    assert scores["seasonal naive with drift"]["MAE"] == pytest.approx(0.68, abs=0.005)


def test_mase_is_mae_over_the_seasonal_error_within_train(climate: Forecasting) -> None:
    train = climate.series.iloc[: climate.bounds["train"][1]]
    scale = float((train - train.shift(52)).abs().mean())
    for scores in climate.baselines("test").values():
        assert scores["MASE"] == pytest.approx(scores["MAE"] / scale)


def test_train_windows_lie_in_train_and_forecasts_in_their_part(climate: Forecasting) -> None:
    window, horizon = climate.config.window, climate.config.horizon
    for split, (start, stop) in climate.bounds.items():
        starts = climate.starts(split)
        assert starts.min() >= (start + window if split == "train" else start)
        assert starts.max() + horizon <= stop
        assert len(starts) == (stop - start) - horizon + 1 - (window if split == "train" else 0)


def test_nothing_of_train_or_of_a_past_forecast_depends_on_later_values(
    climate: Forecasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing every value from the test part on changes no train batch, no scale, no earlier window."""
    changed = climate.dataset.load().copy()
    start = climate.bounds["test"][0]
    changed.iloc[start:] = np.random.default_rng(0).normal(0, 100, len(changed) - start)
    other = type(climate)(climate.config)
    monkeypatch.setattr(other.dataset, "load", lambda: changed)
    assert other.scale == climate.scale
    for split in ("train", "validation"):
        for a, b in zip(climate.batches(split, 64), other.batches(split, 64), strict=True):
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)


def test_missing_values_are_filled_within_their_part_only(
    climate: Forecasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw: pd.Series = climate.dataset.load().copy()
    cut = climate.bounds["test"][0]
    raw.iloc[cut - 3 : cut + 2] = np.nan
    other = type(climate)(climate.config)
    monkeypatch.setattr(other.dataset, "load", lambda: raw)
    assert (other.series.iloc[cut - 3 : cut] == raw.iloc[cut - 4]).all()
    assert (other.series.iloc[cut : cut + 2] == raw.iloc[cut + 2]).all()
    assert f"{int(raw.isna().sum())} of {len(raw)} values were missing" in other.notes()[1]


def test_a_forecast_comes_back_in_the_series_unit(climate: Forecasting) -> None:
    """A model that answers zero differences is the naive forecast."""

    class Zero(torch.nn.Module):
        def forward(self, inputs: torch.Tensor, state: object = None, lengths: object = None) -> object:
            return torch.zeros(len(inputs), climate.config.horizon), state

    assert climate.evaluate(Zero(), "test") == pytest.approx(climate.baselines("test")["naive"])


def test_a_series_too_short_for_the_window_is_refused() -> None:
    config = check(compose(["task=climate", "task.window=2200"])).run.task
    with pytest.raises(Exception, match="too few for window=2200"):
        registry.task.get("climate")(config).starts("train")
