"""Figures of a study, a panel for each task."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstmlab.reports.statistics import interval
from lstmlab.reports.style import colours, markers, panels, scale
from lstmlab.studies import Run, Study


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
        ax.legend(loc="best", fontsize=7)
        scale(ax, [*rows["value"], values[name]])
        ax.set(xlabel="cell", ylabel=f"test {metric.label}")

    return panels(_finished(study), draw)


def learning_curves(study: Study) -> Figure:
    """Draw the validation metric over steps: the mean of all seeds, and a band from worst to best."""
    runs = {(t, c): study.runs(t, c) for t in study.tasks for c in study.config.cells}

    def draw(ax: Axes, task: str) -> None:
        metric = study.tasks[task].metric
        frames = [_validation(r, metric.name) for (t, _), rs in runs.items() if t == task for r in rs]
        rows = pd.concat(frames)
        cells = list(rows.cell.unique())
        sns.lineplot(
            rows, x="step", y="value", hue="cell", palette=colours(cells), errorbar=("pi", 100), marker="o", ms=3, ax=ax
        )
        scale(ax, rows["value"])
        ax.legend(fontsize=7)
        ax.set(xlabel="training step", ylabel=f"validation {metric.label}")

    return panels(_finished(study), draw)


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
        scale(ax, rows["value"])
        ax.legend(fontsize=7)
        ax.set(xlabel="training time (s)", ylabel=f"test {metric.label}")

    return panels(_finished(study), draw)


def examples(study: Study) -> Figure:
    """Draw what one model of each cell (its median seed) answers beside the truth."""
    cells = study.config.cells
    chosen = {t: {c: r for c in cells if (r := _median(study.runs(t, c))) is not None} for t in _finished(study)}

    def draw(ax: Axes, task: str) -> None:
        models = {cell: run.model for cell, run in chosen[task].items()}
        study.tasks[task].draw_example(ax, models, colours(models))
        ax.legend(fontsize=7)

    return panels(chosen, draw, wide=True, title=lambda t: f"{t}: {study.tasks[t].example_title}")


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
