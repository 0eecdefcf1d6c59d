"""Figures and tables of the test days: volatility, losses day by day, tests, and how often the worst came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from scipy import stats
from torch import nn

from .baselines import GARCH, HAR
from .comparison import VOLATILITY, compare
from .forecast import Forecast, annualised

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .task import Stocks

RECENT = 120  # days of the example
WIDTH, HEIGHT = 8.9, 2.8  # inches
GREY = "0.35"
RISKS = (0.01, 0.05)


def everything(task: Stocks, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures and tables by title."""
    tests = compare(task, {cell: [model] for cell, model in models.items()})
    shown = {"difference": "{:+.4g}", "statistic": "{:+.2f}", "p": "{:.3g}", "corrected": "{:.3g}"}
    return {
        "Volatility over the test part: proxy, forecasts, GARCH(1,1)": _figure(draw_volatility, task, models, colours),
        "QLIKE against GARCH(1,1), summed: falling is better": _figure(draw_losses, task, models, colours),
        "Diebold-Mariano tests of the median seeds; below zero, the cell is better": tests.style.format(shown).hide(),
        "Value at risk: share of test days with a return below its forecast quantile": coverage(task, models),
    }


def _figure(draw: Any, task: Stocks, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    ax = figure.subplots()
    draw(task, ax, models, colours)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=7, frameon=False, ncols=3)
    return figure


def draw_volatility(
    task: Stocks, ax: Axes, models: Mapping[str, nn.Module], colours: Mapping[str, Any], recent: int = 0
) -> None:
    """Draw the proxy, each model's forecast and GARCH's, of the last ``recent`` test days or of all (0)."""
    start, stop = task.scored("test")
    shown = slice(-recent, None) if recent else slice(None)
    days, size = task.history.days[start:stop][shown], 1.3 if recent else 0.8
    garch = annualised(task.baseline_forecasts("test")[GARCH].variance)[shown]
    ax.plot(days, annualised(task.realised[start:stop])[shown], ".", ms=3 * size, color="0.7", label="proxy")
    ax.plot(days, garch, color=GREY, lw=size, ls="--", label=GARCH)
    for name, model in models.items():
        forecast = annualised(task.forecast(model, "test").variance)
        ax.plot(days, forecast[shown], color=colours[name], lw=size, label=name)
    ax.set_yscale("log")
    ax.set_ylim(bottom=garch.min() / 4)  # the quietest days would stretch the axis
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("volatility (% a year)")
    ax.set_xlabel("date")


def draw_losses(task: Stocks, ax: Axes, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> None:
    """Draw the sum of QLIKE minus that of GARCH, of HAR and of each model."""
    start, stop = task.scored("test")
    baselines = {n: task.losses(f, "test")[VOLATILITY] for n, f in task.baseline_forecasts("test").items()}
    lines = {HAR: (baselines[HAR], GREY, ":")}
    for name, model in models.items():
        lines[name] = (task.losses(task.forecast(model, "test"), "test")[VOLATILITY], colours[name], "-")
    for name, (loss, colour, style) in lines.items():
        ax.plot(task.history.days[start:stop], np.cumsum(loss - baselines[GARCH]), color=colour, ls=style, label=name)
    ax.axhline(0, color=GREY, lw=1, ls="--", label=GARCH)
    ax.set_ylabel("difference of QLIKE")
    ax.set_xlabel("date")


def coverage(task: Stocks, models: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Return for each model and GARCH how often the return fell below its quantiles, with a binomial test.

    Kupiec (1995), https://doi.org/10.3905/jod.1995.407942, in its exact form.
    """
    start, stop = task.scored("test")
    returns = task.history.returns[start:stop]
    known: dict[str, Forecast] = {name: task.forecast(model, "test") for name, model in models.items()}
    known[f"{GARCH}, Gaussian"] = task.baseline_forecasts("test")[GARCH]
    rows = {}
    for name, forecast in known.items():
        rows[name] = {}
        for risk in RISKS:
            hits = int((returns < forecast.quantile(risk)).sum())
            rows[name][f"below the {risk:.0%} quantile"] = f"{hits / len(returns):.1%}"
            rows[name][f"p of {risk:.0%}"] = f"{stats.binomtest(hits, len(returns), risk).pvalue:.2g}"
    return pd.DataFrame(rows).T
