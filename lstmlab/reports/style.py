"""How all figures look: a colour and a marker for each cell, panels, axes, and SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from IPython.display import SVG
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, StrMethodFormatter

from lstmlab import registry

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
WIDTH = 8.9  # inches of a figure: what JupyterLab shows without scrolling in a window of 1300 pixels
COLUMNS, WIDEST, HEIGHT = 3, 3.9, 2.6  # panels in a row, inches of one
LOG_FROM = 5.0  # ratio of largest to smallest value from which an axis is logarithmic
STYLE: dict[str, Any] = {
    "svg.fonttype": "path",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "legend.frameon": False,
}


def colours(cells: Iterable[str]) -> dict[str, Any]:
    """Return the colour of each cell: fixed by its place in the registry, safe for colour-blind eyes."""
    palette, known = sns.color_palette("colorblind"), list(registry.cell)
    return {cell: palette[known.index(cell) % len(palette)] for cell in cells}


def markers(cells: Iterable[str]) -> dict[str, str]:
    """Return the marker of each cell, fixed as its colour is; cells that share a colour differ in it."""
    places = {cell: list(registry.cell).index(cell) for cell in cells}
    return {cell: MARKERS[(at + at // len(MARKERS)) % len(MARKERS)] for cell, at in places.items()}


def to_svg(figure: Figure, name: str) -> SVG:
    """Return a figure as SVG that notebooks show; equal figures give equal bytes."""
    out = StringIO()
    style: Any = STYLE | {"svg.hashsalt": name}
    with mpl.rc_context(style):
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": name.replace("_", " ")}, bbox_inches="tight")
    return SVG(out.getvalue())


def panels(
    names: Iterable[str],
    draw: Callable[[Axes, str], None],
    title: Callable[[str], str] = str,
    wide: bool = False,
) -> Figure:
    """Return a figure with a panel for each name, or with a word where there is none.

    Args:
        names: of the panels.
        draw: is called with the axes and the name of each.
        title: of a panel, from its name.
        wide: panels as wide as the figure, one below the other.
    """
    names = list(names)
    columns = 1 if wide else min(COLUMNS, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    width = WIDTH if wide else min(WIDTH, WIDEST * columns)
    with sns.axes_style("whitegrid", STYLE), sns.plotting_context("notebook", font_scale=0.7):
        figure = Figure(figsize=(width, HEIGHT * rows), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
        axes: Sequence[Axes] = figure.subplots(rows, columns, squeeze=False).ravel()  # type: ignore[assignment]
        for ax, name in zip(axes, names, strict=False):
            draw(ax, name)
            ax.set_title(title(name))
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        if not names:
            figure.text(0.5, 0.5, "no run has finished", ha="center")
    return figure


def scale(ax: Axes, values: Iterable[float]) -> None:
    """Make the y axis logarithmic where values span more than a factor of `LOG_FROM`."""
    x = np.asarray(list(values), dtype=float)
    if len(x) and x.min() > 0 and x.max() / x.min() > LOG_FROM:
        ax.set_yscale("log")
        if x.max() / x.min() < 100:  # too few powers of ten for their usual labels
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:.2g}"))
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
