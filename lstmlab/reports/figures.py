"""Figures: a cell keeps its colour and marker in all of them, and every axis has its unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import SVG
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import LogLocator, StrMethodFormatter

from lstmlab import registry
from lstmlab.reports.statistics import interval
from lstmlab.studies import Run, Study

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
WIDTH, HEIGHT, COLUMNS = 4.2, 3.3, 3  # inches of a panel, panels in a row
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
    """Return the marker of each cell, fixed as its colour is."""
    known = list(registry.cell)
    return {cell: MARKERS[known.index(cell) % len(MARKERS)] for cell in cells}


def metric_per_cell(study: Study) -> Figure:
    """Draw every seed as a dot, the mean with its interval, and the best baseline as a line."""
    table, confidence = _done(study), study.settings.report.confidence

    def draw(ax: Axes, task: str) -> None:
        rows, metric = table[table.task == task], study.tasks[task].metric
        cells = list(rows.cell.unique())
        sns.swarmplot(rows, x="cell", y="value", hue="cell", order=cells, palette=colours(cells), ax=ax, size=6)
        for at, cell in enumerate(cells):
            mean, half = interval(rows.loc[rows.cell == cell, "value"], confidence)
            ax.errorbar(at + 0.28, mean, np.nan_to_num(half), fmt="_", color="0.15", capsize=4, ms=9)
        values = {k: v[metric.name] for k, v in study.baselines[task].items()}
        name = (min if metric.better == "lower" else max)(values, key=lambda k: values[k])
        ax.axhline(values[name], color="0.35", ls="--", lw=1.2, label=name)
        ax.legend(loc="best", fontsize=8)
        _scale(ax, [*rows["value"], values[name]])
        ax.set(xlabel="cell", ylabel=f"test {metric.label}")

    return _panels(_finished(study), draw)


def learning_curves(study: Study) -> Figure:
    """Draw the validation metric over steps: the mean of all seeds, and a band from worst to best."""
    runs = {(t, c): study.runs(t, c) for t in study.tasks for c in study.config.cells}

    def draw(ax: Axes, task: str) -> None:
        metric = study.tasks[task].metric
        frames = [_validation(r, metric.name) for (t, _), rs in runs.items() if t == task for r in rs]
        rows = pd.concat(frames)
        cells = list(rows.cell.unique())
        sns.lineplot(rows, x="step", y="value", hue="cell", palette=colours(cells), errorbar=("pi", 100), ax=ax)
        _scale(ax, rows["value"])
        ax.legend(fontsize=8)
        ax.set(xlabel="training step", ylabel=f"validation {metric.label}")

    return _panels(_finished(study), draw)


def quality_against_cost(study: Study) -> Figure:
    """Draw test metric over seconds of training, every run a marker."""
    table = _done(study)

    def draw(ax: Axes, task: str) -> None:
        rows, metric = table[table.task == task], study.tasks[task].metric
        cells = list(rows.cell.unique())
        sns.scatterplot(
            rows,
            x="seconds",
            y="value",
            hue="cell",
            style="cell",
            palette=colours(cells),
            markers=markers(cells),
            ax=ax,
            s=55,
            alpha=0.8,
        )
        _scale(ax, rows["value"])
        ax.legend(fontsize=8)
        ax.set(xlabel="training time (s)", ylabel=f"test {metric.label}")

    return _panels(_finished(study), draw)


def examples(study: Study) -> Figure:
    """Draw what one model of each cell (its median seed) answers beside the truth."""
    cells = study.config.cells
    chosen = {t: {c: r for c in cells if (r := _median(study.runs(t, c))) is not None} for t in _finished(study)}

    def draw(ax: Axes, task: str) -> None:
        models = {cell: run.model for cell, run in chosen[task].items()}
        study.tasks[task].draw_example(ax, models, colours(models))
        ax.legend(fontsize=8)

    return _panels(chosen, draw, columns=1, title=lambda t: f"{t}: {study.tasks[t].example_title}")


def example(run: Run) -> Figure:
    """Draw what a run's model answers beside the truth."""

    def draw(ax: Axes, cell: str) -> None:
        run.task.draw_example(ax, {cell: run.model}, colours([cell]))
        ax.legend(fontsize=8)

    return _panels([run.result["cell"]], draw, columns=1, title=lambda _: run.task.example_title)


def learning_curve(run: Run) -> Figure:
    """Draw a run's training loss and validation metric over steps."""
    colour, metric = colours([run.result["cell"]])[run.result["cell"]], run.task.metric

    def draw(ax: Axes, what: str) -> None:
        rows = run.metrics[run.metrics.split == what]
        column = "loss" if what == "train" else metric.name
        ax.plot(rows.step, rows[column], color=colour, lw=1.2, marker="" if what == "train" else "o", ms=4)
        if what == "validation":
            ax.axvline(run.result["best_step"], color="0.5", ls=":", label="best weights")
            ax.legend(fontsize=8)
        _scale(ax, rows[column])
        ax.set(xlabel="training step", ylabel="training loss" if what == "train" else metric.label)

    return _panels(["train", "validation"], draw, title={"train": "Training", "validation": "Validation"}.__getitem__)


def gradient_norm(run: Run) -> Figure:
    """Draw the norm of the gradient at every step, before clipping, and the norm it is clipped to."""
    clip = run.config.train.clip_norm

    def draw(ax: Axes, cell: str) -> None:
        rows = run.metrics[run.metrics.split == "train"]
        ax.plot(rows.step, rows.gradient_norm, color=colours([cell])[cell], lw=0.8)
        if clip is not None:
            ax.axhline(clip, color="0.35", ls="--", lw=1.2, label=f"clipped to {clip:g}")
            ax.legend(fontsize=8)
        _scale(ax, rows.gradient_norm)
        ax.set(xlabel="training step", ylabel="gradient norm")

    return _panels([run.result["cell"]], draw, columns=1, title=lambda _: "Gradient norm before clipping")


def gates(run: Run) -> Figure:
    """Draw every gate and state of the first layer over the steps of one test sequence, unit by unit."""
    rows = run.gates
    names = [c for c in rows.columns if c not in ("unit", "step")]

    def draw(ax: Axes, name: str) -> None:
        wide = rows.pivot(index="unit", columns="step", values=name)
        wide = wide.loc[wide.mean(axis=1).sort_values().index]
        signed = bool((wide < 0).any(axis=None))
        limit = float(np.quantile(np.abs(wide.to_numpy()), 0.95)) if name == "c" else 1.0
        image = ax.imshow(
            wide, aspect="auto", cmap="vlag" if signed else "viridis", vmin=-limit if signed else 0, vmax=limit
        )
        ax.figure.colorbar(image, ax=ax, pad=0.02)
        ax.grid(False)
        ax.set(xlabel="step", ylabel="unit, by mean")

    return _panels(names, draw, title=lambda n: f"state {n}" if n in ("h", "c") else f"gate {n}")


def to_svg(figure: Figure, name: str) -> SVG:
    """Return a figure as SVG that notebooks show; equal figures give equal bytes."""
    out = StringIO()
    style: Any = STYLE | {"svg.hashsalt": name}
    with mpl.rc_context(style):
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": name.replace("_", " ")}, bbox_inches="tight")
    return SVG(out.getvalue())


def _panels(
    names: Iterable[str],
    draw: Callable[[Axes, str], None],
    columns: int = COLUMNS,
    title: Callable[[str], str] = str,
) -> Figure:
    """Return a figure with a panel for each name, or with a word where there is none."""
    names = list(names)
    columns = min(columns, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    width = WIDTH * columns if columns > 1 else WIDTH * 2.4
    with sns.axes_style("whitegrid", STYLE), sns.plotting_context("notebook", font_scale=0.85):
        figure = Figure(figsize=(width, HEIGHT * rows), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
        axes: Sequence[Axes] = figure.subplots(rows, columns, squeeze=False).ravel()  # type: ignore[assignment]
        for ax, name in zip(axes, names, strict=False):
            draw(ax, name)
            ax.set_title(title(name))
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        if not names:
            figure.text(0.5, 0.5, "no run has finished", ha="center")
    return figure


def _finished(study: Study) -> list[str]:
    """Return the tasks that have something to show."""
    done = set(study.table().query("status == 'done'").task)
    return [task for task in study.tasks if task in done]


def _done(study: Study) -> pd.DataFrame:
    table = study.table()
    return table[table.status == "done"].astype({"cell": object, "task": object})


def _validation(run: Run, metric: str) -> pd.DataFrame:
    rows = run.metrics[run.metrics.split == "validation"]
    return pd.DataFrame({"step": rows.step, "value": rows[metric], "cell": run.result["cell"]})


def _median(runs: list[Run]) -> Run | None:
    ranked = sorted(runs, key=lambda r: r.result["value"])
    return ranked[(len(ranked) - 1) // 2] if ranked else None


def _scale(ax: Axes, values: Iterable[float]) -> None:
    """Make the y axis logarithmic where values span more than a factor of `LOG_FROM`."""
    x = np.asarray(list(values), dtype=float)
    if len(x) and x.min() > 0 and x.max() / x.min() > LOG_FROM:
        ax.set_yscale("log")
        if x.max() / x.min() < 100:  # too few powers of ten for their usual labels
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:.2g}"))
            ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
