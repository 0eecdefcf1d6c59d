"""What a report shows of forecasts: fans, errors by step ahead, calibration, and a table of series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.tasks.backtest import quantile_names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

    from lstmlab.tasks.forecasting import Forecasting

WIDTH = 8.9  # inches
FANS = 3  # forecasts in one panel
GREYS = ("0.35", "0.6")  # of baselines, with a style for each
STYLES = ("--", ":", "-.", (0, (6, 1)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 3)))


def fan(task: Forecasting, ax: Axes, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> None:
    """Draw the last forecast of the first series: median, outermost interval, truth, and what came before."""
    panel, horizon = task.panel, task.config.horizon
    start, times = int(task.starts("test", 0)[-1]), next(iter(panel.times.values()))
    shown = range(max(0, start - max(2 * horizon, min(task.config.window, 2 * task.config.season))), start + horizon)
    ahead = times[start : start + horizon]
    ax.plot(times[shown.start : shown.stop], panel.truth[shown.start : shown.stop], color="0.2", lw=1.5, label="truth")
    middle = task.config.quantiles.index(0.5)
    origins = np.arange(task.starts("validation", 0)[0], start + 1)  # those before it calibrate it
    for name, model in models.items():
        quantiles = task.calibrated(model, panel, origins)[-1]
        ax.plot(ahead, quantiles[:, middle], color=colours[name], lw=1.8, label=name)
        ax.fill_between(ahead, quantiles[:, 0], quantiles[:, -1], color=colours[name], alpha=0.15, lw=0)
    ax.axvline(ahead[0], color="0.6", lw=1, ls=":")
    ax.set_ylabel(task.fitted["quantity"])
    ax.set_xlabel("date")


def exhibits(task: Forecasting, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Forecasting.exhibits` promises."""
    tables = {cell: task.backtest(model) for cell, model in models.items()}
    if not tables:
        return {}
    figures = {
        "Forecasts over the test part": fans(task, tables, colours),
        "Error by step ahead": by_step(task, tables, colours),
    }
    if len(task.config.quantiles) > 1:
        figures["Calibration: how often the truth is below a quantile"] = calibration(task, tables, colours)
    return figures | {"Errors of each series": per_series(task, tables)}


def errors(task: Forecasting, table: pd.DataFrame) -> pd.DataFrame:
    """Return absolute errors of the median ("model") and of each baseline, beside ``series`` and ``step``."""
    forecasts = table[["q0.5", *task.baseline_names]].rename(columns={"q0.5": "model"})
    return forecasts.sub(table["truth"], axis=0).abs().assign(series=table["series"], step=table["step"])


def fans(task: Forecasting, tables: Mapping[str, pd.DataFrame], colours: Mapping[str, Any]) -> Figure:
    """Draw, in a panel for each cell, forecasts from origins spread over the test part of the first series."""
    figure, axes = _panels(len(tables), height=2.2)
    quantiles = quantile_names(task.config.quantiles)
    for ax, (cell, table) in zip(axes, tables.items(), strict=True):
        own = table[table["series"] == table["series"].iloc[0]]
        origins = own["origin"].unique()
        first = own[own["step"] == 1]
        room = max(6 * task.config.horizon, 3 * FANS)
        first = first.iloc[-min(room, len(first)) :]
        ax.plot(first["time"], first["truth"], color="0.2", lw=1.2, label="truth")
        places = np.linspace(len(origins) - len(first), len(origins) - 1, FANS + 1).astype(int)[:-1]
        for at in places:
            one = own[own["origin"] == origins[at]]
            for low, high in zip(quantiles[: len(quantiles) // 2], quantiles[::-1], strict=False):
                ax.fill_between(one["time"], one[low], one[high], color=colours[cell], alpha=0.2, lw=0)
            ax.plot(one["time"], one["q0.5"], color=colours[cell], lw=1.6, label=cell if at == places[0] else None)
        ax.set_ylabel(task.fitted["quantity"], fontsize=8)
        ax.legend(fontsize=7)
    axes[-1].set_xlabel("date")
    return figure


def by_step(task: Forecasting, tables: Mapping[str, pd.DataFrame], colours: Mapping[str, Any]) -> Figure:
    """Draw the mean absolute error against the step ahead, of cells and baselines."""
    figure, (ax,) = _panels(1, height=3.2)
    means = {cell: errors(task, table).drop(columns="series").groupby("step").mean() for cell, table in tables.items()}
    for at, name in enumerate(task.baseline_names):
        some = next(iter(means.values()))[name]
        ax.plot(some.index, some, color=GREYS[at % 2], ls=STYLES[at % len(STYLES)], lw=1.2, label=name)
    for cell, mean in means.items():
        ax.plot(mean.index, mean["model"], color=colours[cell], lw=1.8, label=cell)
    ax.set(xlabel="step ahead", ylabel=task.metric.label, ylim=(0, None))
    ax.legend(fontsize=7)
    return figure


def calibration(task: Forecasting, tables: Mapping[str, pd.DataFrame], colours: Mapping[str, Any]) -> Figure:
    """Draw how often the truth is below each quantile against how often it should be."""
    figure, (ax,) = _panels(1, height=3.6, width=4.2)
    levels = task.config.quantiles
    ax.plot([0, 1], [0, 1], color="0.6", lw=1, ls=":")
    for cell, table in tables.items():
        known = table[table["truth"].notna()]
        observed = [float((known["truth"] <= known[column]).mean()) for column in quantile_names(levels)]
        ax.plot(levels, observed, color=colours[cell], marker="o", ms=4, lw=1.5, label=cell)
    ax.set(xlabel="nominal", ylabel="observed", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.legend(fontsize=7)
    return figure


def per_series(task: Forecasting, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the MAE of cells and baselines for each series: over all steps, at the first, at the last."""
    import pandas as pd

    horizon = task.config.horizon
    rows: list[tuple[str, str, float, float, float]] = []
    for cell, table in tables.items():
        wrong = errors(task, table)
        names = {"model": cell} | ({name: name for name in task.baseline_names} if not rows else {})
        for series, own in wrong.groupby("series", sort=False):
            for column, name in names.items():
                by = own.groupby("step")[column].mean()
                rows.append((series, name, by.mean(), by.iloc[0], by.iloc[-1]))
    unit = f" ({task.fitted['unit']})" if task.fitted["unit"] else ""
    heads = [f"MAE{unit}", f"step 1{unit}", f"step {horizon}{unit}"]
    frame = pd.DataFrame(rows, columns=["series", "forecast", *heads])
    order = frame["series"].map({name: at for at, name in enumerate(task.panel.times)})
    return frame.iloc[np.argsort(order, kind="stable")].round(3).reset_index(drop=True)


def _panels(count: int, height: float, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * count), layout="constrained")
    axes = list(figure.subplots(count, 1, squeeze=False)[:, 0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.92")
    return figure, axes
