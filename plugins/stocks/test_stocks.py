"""What the stocks task promises: known baselines, sound tests, no look into the future, prices checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.data import TimeTable
from lstmlab.errors import LstmlabError
from lstmlab.schema import CellConfig, EngineConfig
from lstmlab.studies.budget import build

TINY = ["task.hidden_size=6", "train.steps=6", "train.evaluate_every=3"]


def make(*overrides: str) -> Any:
    config = check(compose(["task=stocks", *overrides])).run.task
    return registry.task.get("stocks")(config)


def trained(task: Any) -> nn.Module:
    """A model whose every weight counts."""
    torch.manual_seed(0)
    model = build(task, CellConfig("peephole"), EngineConfig("auto"))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def task() -> Any:
    return make()


@pytest.fixture(scope="module")
def model(task: Any) -> nn.Module:
    return trained(task)


@pytest.fixture
def prices(task: Any) -> pd.DataFrame:
    """The last 400 days of the S&P 500 as a user's file may hold them."""
    frame = task.dataset.load().series[""].iloc[-400:].copy()
    return frame.rename_axis("Date")


def own(frame: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    frame.to_csv(path)
    return path


def test_baselines_have_their_known_errors(task: Any) -> None:
    scores = task.baselines("test")
    known = {"last value, constant variance": 1.084, "EWMA (RiskMetrics)": 0.605, "GARCH(1,1)": 0.516, "HAR": 0.488}
    assert {name: found["QLIKE"] for name, found in scores.items()} == pytest.approx(known, abs=0.001)
    close = task.history.close[task.bounds["test"][0] :]
    rmse = math.sqrt(np.mean(np.diff(close) ** 2))
    assert scores["last value, constant variance"]["RMSE of price"] == pytest.approx(rmse)
    assert rmse == pytest.approx(19.973, abs=0.001)


def test_qlike_is_least_for_the_true_variance_although_the_proxy_is_noisy(task: Any) -> None:
    """Patton's property: with v = h z², z normal, no multiple of h has a lower mean loss; the gain is known."""
    forecasts = registry_module("forecast")
    start, stop = task.scored("test")
    random, n = np.random.default_rng(0), stop - start
    other = make()
    true = np.exp(random.normal(0, 0.5, n))
    noise = np.ones(n)  # the proxy's mean given h, so that the loss can be written down
    other.__dict__["realised"] = np.concatenate([np.zeros(start), true * noise])

    def loss(factor: float) -> float:
        forecast = forecasts.Forecast(np.zeros(n), factor * true, np.full(n, np.inf))
        return other.score(forecast, "test")["QLIKE"]

    assert loss(1.0) == pytest.approx(np.mean(np.log(true)) + 1)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert loss(factor) - loss(1.0) == pytest.approx(math.log(factor) + 1 / factor - 1)


def test_garch_is_fitted_on_train_and_filtered_by_its_recursion(task: Any) -> None:
    """An independent recursion with the parameters that `arch` finds on the train days gives the same variances."""
    from arch import arch_model

    returns, stop = task.history.returns[1:], task.bounds["train"][1] - 1
    fitted = arch_model(returns[:stop], p=1, q=1, rescale=False).fit(disp="off")
    mu, omega, alpha, beta = fitted.params
    expected = task._baselines["GARCH(1,1)"]
    h = expected.variance[stop]
    for t in range(stop, len(returns)):
        assert expected.variance[t + 1] == pytest.approx(h) or t == stop
        h = omega + alpha * (returns[t] - mu) ** 2 + beta * expected.variance[t + 1]
    assert expected.mean[0] == pytest.approx(mu)


def test_nothing_of_train_or_of_a_past_forecast_depends_on_later_prices(
    task: Any, model: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = task.dataset.load()
    cut = task.bounds["test"][0] + 200
    frame = raw.series[""].copy()
    frame.iloc[cut:] *= np.random.default_rng(0).uniform(0.5, 2, (len(frame) - cut, 1))
    other = make()
    monkeypatch.setattr(other.dataset, "load", lambda: TimeTable({"": frame}, raw.target, raw.quantity, raw.unit))
    assert other.fitted == task.fitted
    for split in ("train", "validation"):
        for a, b in zip(task.batches(split, 64), other.batches(split, 64), strict=True):
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)
    known = cut - task.scored("test")[0]  # forecasts of days before the first that changed, and of that day itself
    before, after = (t.forecast(model, "test").variance for t in (task, other))
    np.testing.assert_allclose(before[: known + 1], after[: known + 1], rtol=1e-5)
    assert not np.allclose(before[known + 1 :], after[known + 1 :], rtol=1e-3)
    for name, forecast in task.baseline_forecasts("test").items():
        np.testing.assert_allclose(
            forecast.variance[: known + 1], other.baseline_forecasts("test")[name].variance[: known + 1], err_msg=name
        )


def test_a_forecast_is_made_at_the_close_before_and_every_day_counts_once(task: Any, model: nn.Module) -> None:
    """Day by day, with a window that ends at the close before, the model gives what the batches gave."""
    found = task.forecast(model, "test")
    start, stop = task.scored("test")
    assert start == task.bounds["test"][0] + 1
    assert len(found.variance) == stop - start
    known = torch.from_numpy(task._numbers[0])
    asked = task.config.window - task.config.context
    for day in (start, start + 500, stop - 1):
        late = (stop - 1 - day) % asked  # days after it in its window
        window = known[day - task.config.window + late : day]
        with torch.no_grad():
            log_variance = model(window[None])[0][0, -1, 1]
        assert found.variance[day - start] == pytest.approx(float(log_variance.exp()), rel=1e-5)


def test_an_untrained_model_is_har(task: Any) -> None:
    torch.manual_seed(0)
    untrained = build(task, CellConfig("vanilla"), EngineConfig("auto"))
    found, har = task.evaluate(untrained, "test"), task.baselines("test")["HAR"]
    assert found == pytest.approx(har, rel=1e-5)


def test_train_windows_stay_in_train(task: Any) -> None:
    asked = task.config.window - task.config.context
    stop = task.bounds["train"][1]
    for shift in (0, asked - 1):
        ends = task.ends("train", shift)
        assert ends.max() + 1 <= stop - 1
        assert ends.min() - task.config.window + 1 >= 22
        assert (np.diff(ends) == asked).all()


def test_what_is_asked_for_is_the_day_after_what_is_known(task: Any) -> None:
    *_, last = task.batches("test", 512)
    known = task._numbers[0]
    assert torch.equal(last.inputs[-1, -1], torch.from_numpy(known[-2]))
    assert last.targets[-1, :, 0].numpy() == pytest.approx(task.history.returns[-last.targets.shape[1] :])


def test_the_loss_of_the_return_is_the_density_of_students_t() -> None:
    loss = registry_module("model").loss
    output = torch.tensor([[[0.1, math.log(2.0), 5.0]]], dtype=torch.float64)
    targets = torch.tensor([[[1.5, 1.2]]], dtype=torch.float64)
    z = 1.5 / math.sqrt(2.0) - 0.1
    unit = math.sqrt(5 / 3)  # deviation of Student's t with 5 degrees of freedom
    expected = math.log(2.0) + 1.2 / 2.0 - stats.t.logpdf(z * unit, 5) - math.log(unit)
    # constants that no weight changes are left out of the loss
    assert float(loss(output, targets)) - expected == pytest.approx(-0.5 * math.log(math.pi))


def test_intervals_have_the_variance_that_they_claim() -> None:
    forecast = registry_module("forecast").Forecast(np.zeros(1), np.full(1, 4.0), np.full(1, 5.0))
    u = (np.arange(200_000) + 0.5) / 200_000
    draws = np.array([stats.t.ppf(u, 5) * 2 * math.sqrt(3 / 5)])
    assert np.var(draws) == pytest.approx(4, rel=0.01)
    assert forecast.quantile(0.05)[0] == pytest.approx(np.quantile(draws, 0.05), rel=1e-3)


def test_the_verdict_claims_what_is_tested_and_no_more() -> None:
    sentences = registry_module("comparison").sentences
    rows = [
        ("a", "squared error of price", "last value, constant variance", -9.0, 0.2),
        ("b", "squared error of price", "last value, constant variance", 4.0, 0.01),
        ("a", "QLIKE", "GARCH(1,1)", -0.1, 0.001),
        ("b", "QLIKE", "GARCH(1,1)", 0.2, 0.06),
    ]
    table = pd.DataFrame(rows, columns=["cell", "loss", "against", "difference", "corrected"]).assign(n=900, lags=6)
    har = table[2:3].assign(against="HAR", corrected=0.5)
    said = sentences(pd.concat([table, har]))
    assert "b is worse than the last value as a forecast (+4, p = 0.01)" in said
    assert "no evidence that a differs from the last value as a forecast (-9, p = 0.2)" in said
    assert "a is better than GARCH(1,1) (-0.1, p = 0.001)" in said
    assert "no evidence that b differs from GARCH(1,1)" in said
    assert "no evidence that a differs from HAR" in said
    assert said.count("better") == 1


def test_a_run_predicts_from_a_csv_file(prices: pd.DataFrame, tmp_path: Path) -> None:
    run = lstmlab.run(["task=stocks", *TINY, f"outputs={tmp_path / 'outputs'}"])
    run.task.dataset.load = lambda: pytest.fail("the training data were read")
    table = run.predict(own(prices, tmp_path))
    assert table["after"].iloc[-1] == prices.index[-1]
    assert table["close"].iloc[-1] == prices["Close"].iloc[-1]
    assert (table["next close, 5% quantile"] < table["close"]).all()
    assert (table["next close, 95% quantile"] > table["close"]).all()
    ratio = table["volatility (% a year)"] / table["volatility (%)"]
    assert ratio.to_numpy() == pytest.approx(math.sqrt(252))
    known = lstmlab.load_run(run.folder.name, str(tmp_path / "outputs")).task.forecast(run.model, "test")
    made_before_last = np.sqrt(known.variance[-1])  # the day that the last but one row is for
    assert table["volatility (%)"].iloc[-2] == pytest.approx(made_before_last, rel=0.05)  # states began elsewhere
    with pytest.raises(LstmlabError, match="there is a close only"):
        run.predict(own(prices[["Close"]], tmp_path))
    with pytest.raises(LstmlabError, match="100 trading days"):
        run.predict(own(prices.iloc[:100], tmp_path))


def test_an_own_file_trains_as_the_same_embedded_data(task: Any, tmp_path: Path) -> None:
    frame = task.dataset.load().series[""].rename_axis("day").rename(columns=str.upper)
    mine = make("task.dataset=csv", f"task.path={own(frame, tmp_path)}")
    assert mine.fitted == task.fitted
    assert mine.baselines("test")["HAR"] == pytest.approx(task.baselines("test")["HAR"])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda f: f.assign(Close=f["Close"].where(f.index != f.index[7], -3)), "'Close' is -3 on 2017-0"),
        (lambda f: f.assign(Low=f["Low"].where(f.index != f.index[7], 0)), "'Low' is 0 on 2017-0"),
        (lambda f: f.assign(Close=100.0), "open or close lie outside high and low|nothing to learn|never changes"),
        (lambda f: f.rename(columns={"High": "Low", "Low": "High"}), "open or close lie outside high and low"),
        (lambda f: f.drop(columns="Close"), "Close|which column"),
        (lambda f: pd.concat([f, f.iloc[5:6] * 1.01]), "in line 7 too, with other values"),
        (lambda f: f.iloc[:100], "trading days are too few"),
    ],
)
def test_prices_that_cannot_be_used_are_refused(
    prices: pd.DataFrame, tmp_path: Path, spoil: Any, expected: str
) -> None:
    path = own(spoil(prices), tmp_path)
    with pytest.raises(LstmlabError, match=expected):
        make("task.dataset=csv", f"task.path={path}", "task.window=40", "task.context=20").bounds  # noqa: B018


def test_infinite_prices_are_refused(task: Any) -> None:
    raw = task.dataset.load()
    frame = raw.series[""].copy()
    frame.iloc[9, 1] = np.inf
    with pytest.raises(LstmlabError, match="'High' is inf on 1999-01-15"):
        registry_module("prices").tidy(TimeTable({"": frame}, "Close", "", ""))


def test_what_is_left_out_or_mended_is_counted(prices: pd.DataFrame, tmp_path: Path) -> None:
    frame = prices.copy()
    frame.iloc[[10, 11], 3] = np.nan  # no close
    frame.iloc[20, 0] = np.nan  # no open
    frame.iloc[30, 1] = frame.iloc[30, 2]  # the high is the low
    frame.iloc[[40, 41, 42]] = frame.iloc[[40, 41, 42], [3]].to_numpy()  # one price a day
    shuffled = frame.sample(frac=1, random_state=0)
    mine = make("task.dataset=csv", f"task.path={own(shuffled, tmp_path)}", "task.window=40", "task.context=20")
    notes = " ".join(mine.notes())
    assert "2 of 400 rows have no close and are left out." in notes
    assert "1 days lack open, high or low; only their close counts." in notes
    assert "1 days have an open or close outside high and low" in notes
    assert "4 days have one price for open, high, low and close" in notes  # the three, and the one without an open
    assert any("sorted" in note for note in mine.dataset.notes())
    assert len(mine.prices.frame) == 398
    assert int((~mine.history.ranged).sum()) == 4
    assert (mine.realised >= 0).all()


def test_a_close_alone_is_judged_by_squared_returns(prices: pd.DataFrame, tmp_path: Path) -> None:
    path = own(prices[["Close"]].rename(columns={"Close": "Price"}), tmp_path)
    mine = make("task.dataset=csv", f"task.path={path}", "task.window=40", "task.context=20")
    assert mine.realised == pytest.approx(mine.history.returns**2)
    scores = mine.evaluate(trained(mine), "test")
    assert scores["QLIKE"] == pytest.approx(scores["QLIKE of squared returns"])


def test_figures_and_tables_show_what_they_name(task: Any, model: nn.Module) -> None:
    shown = task.exhibits({"peephole": model}, {"peephole": "C0"})
    losses = shown["QLIKE against GARCH(1,1), summed: falling is better"].axes[0]
    line = next(x for x in losses.lines if x.get_label() == "peephole")
    apart = task.evaluate(model, "test")["QLIKE"] - task.baselines("test")["GARCH(1,1)"]["QLIKE"]
    assert line.get_ydata()[-1] / len(line.get_ydata()) == pytest.approx(apart)
    hits = shown["Value at risk: share of test days with a return below its forecast quantile"]
    assert list(hits.index) == ["peephole", "GARCH(1,1), Gaussian"]


def registry_module(name: str) -> Any:
    """A module of this plugin, as the registry loads it."""
    import importlib

    return importlib.import_module(registry.task.get("stocks").__module__.replace(".task", f".{name}"))


@pytest.mark.real
@pytest.mark.parametrize(("name", "days", "rmse"), [("stocks_sp500", 5105, 32.07), ("stocks_vix", 9235, 2.109)])
def test_the_last_value_has_its_known_error(name: str, days: int, rmse: float) -> None:
    config = check(compose([f"task={name}"])).run.task
    real = registry.task.get("stocks")(config)
    assert len(real.prices.frame) == days
    scores = real.baselines("test")["last value, constant variance"]
    assert round(scores["RMSE of price"], 2 if rmse > 10 else 3) == rmse
    if name == "stocks_sp500":
        assert round(scores["MAPE of price"], 3) == 0.656


@pytest.mark.real
def test_every_cell_forecasts_volatility_better_than_garch_and_no_price_is_claimed(tmp_path: Path) -> None:
    cells = ("vanilla", "peephole", "coupled")
    runs = {
        c: [lstmlab.run(["task=stocks", f"cell={c}", f"seed={s}", f"outputs={tmp_path}"]) for s in (0, 1, 2)]
        for c in cells
    }
    task = runs["vanilla"][0].task
    said = task.verdict({c: [run.model for run in found] for c, found in runs.items()})
    assert "vanilla, peephole, coupled are better than GARCH(1,1)" in said
    assert "better than the last value" not in said
