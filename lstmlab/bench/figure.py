"""All ratios in one figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

ENGINES = ("auto", "reference", "by hand")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
WIDTH, TOP, ROW, LINE = 4.2, 1.2, 0.15, 0.07  # inches: a panel, its title and axis, a cell, one of its engines
APART = 0.22  # of a row, between engines: one is not hidden by another
LOG_FROM = 4.0  # ratio of the largest to the smallest value from which the axis is logarithmic
LABELS_UNTIL = 300.0  # the same ratio, from which only powers of ten are labelled


def draw(table: pd.DataFrame, file: Path) -> None:
    """Write a PNG: a row of panels per mode, a column per number of threads, a marker per shape.

    Args:
        table: as `lstmlab.bench.table.summarise` makes it.
        file: where to.
    """
    rows = table[table.engine != "torch"]
    cells = list(rows.cell.unique())
    engines = [engine for engine in ENGINES if engine in set(rows.engine)]
    offset = {engine: APART * (at - (len(engines) - 1) / 2) for at, engine in enumerate(engines)}
    rows = rows.assign(at=rows.cell.map(cells.index) + rows.engine.map(offset))
    palette = dict(zip(ENGINES, sns.color_palette("colorblind"), strict=False))
    height = TOP + (ROW + LINE * len(engines)) * len(cells)
    with sns.axes_style("whitegrid"), sns.plotting_context("notebook", font_scale=0.8):
        grid = sns.relplot(
            rows,
            x="ratio",
            y="at",
            row="mode",
            col="threads",
            hue="engine",
            hue_order=engines,
            palette={engine: palette[engine] for engine in engines},
            style="shape",
            markers={shape: MARKERS[at % len(MARKERS)] for at, shape in enumerate(rows["shape"].unique())},
            s=45,
            alpha=0.8,
            height=height,
            aspect=WIDTH / height,
        )
        for (mode, threads), ax in grid.axes_dict.items():
            own = rows[(rows["mode"] == mode) & (rows.threads == threads)]
            ax.hlines(own["at"], own.ratio_low, own.ratio_high, colors=own.engine.map(palette), lw=1, zorder=1)
            ax.axvline(1, color="0.35", ls="--", lw=1.2, zorder=1)
            ax.set_title(f"{mode} · {threads} thread{'s' if threads != 1 else ''}")
        _scale(grid.axes.flat[0], rows)
        grid.set(yticks=range(len(cells)), yticklabels=cells, ylim=(len(cells) - 0.4, -0.6))
        layers = " or ".join(dict.fromkeys(rows.baseline))
        grid.set_axis_labels(f"times as fast as {layers} (quartiles)", "cell")
        grid.savefig(file, dpi=150)


def _scale(ax: Axes, rows: pd.DataFrame) -> None:
    """Scale the x axis, which all panels share, and label as many values as it has room for."""
    spread = rows.ratio_high.max() / rows.ratio_low.min()
    if spread < LOG_FROM:
        return
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if spread < LABELS_UNTIL else (1,)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
