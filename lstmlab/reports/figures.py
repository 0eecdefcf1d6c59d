"""Figures of a study: a panel for each task, or all that concerns one task side by side."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from lstmlab.reports.statistics import interval
from lstmlab.reports.style import colours, markers, panels, scale
from lstmlab.studies.run import Run
from lstmlab.studies.study import Study


def metric_per_cell(study: Study) -> Figure:
    """Draw every seed as a dot, the mean with its interval, and the best baseline as a line."""
    return panels(finished(study), partial(_metric, study))


def learning_curves(study: Study) -> Figure:
    """Draw the validation metric over steps: the mean of all seeds, and a band from worst to best."""
    return panels(finished(study), partial(_curves, study))


def quality_against_cost(study: Study) -> Figure:
    """Draw test metric over seconds of training, every run a marker."""
    return panels(finished(study), partial(_cost, study))


def examples(study: Study) -> Figure:
    """Draw what one model of each cell (its median seed) answers beside the truth."""
    models = {task: median_models(study, task) for task in finished(study)}
    return _answers(study, models)


def example(study: Study, task: str, models: dict[str, nn.Module]) -> Figure:
    """Draw what models, one of each cell, answer beside the truth."""
    return _answers(study, {task: models})


def overview(study: Study, task: str) -> Figure:
    """Draw the three comparisons of one task side by side."""
    draw = {"metric per cell": _metric, "learning curves": _curves, "quality against cost": _cost}
    return panels(draw, lambda ax, name: draw[name](study, ax, task))


def finished(study: Study) -> list[str]:
    """Return the tasks that have something to show."""
    done = set(study.table().query("status == 'done'").task)
    return [task for task in study.tasks if task in done]


def median_models(study: Study, task: str) -> dict[str, nn.Module]:
    """Return for each cell the model of its median seed; cells without a finished run are left out."""
    chosen = {cell: _median(study.runs(task, cell)) for cell in study.config.cells}
    return {cell: run.model for cell, run in chosen.items() if run is not None}


def _metric(study: Study, ax: Axes, task: str) -> None:
    rows, metric = _done(study, task), study.tasks[task].metric
    cells = list(rows.cell.unique())
    sns.swarmplot(rows, x="cell", y="value", hue="cell", order=cells, palette=colours(cells), ax=ax, size=6)
    for at, cell in enumerate(cells):
        mean, half = interval(rows.loc[rows.cell == cell, "value"], study.settings.report.confidence)
        ax.errorbar(at + 0.28, mean, np.nan_to_num(half), fmt="_", color="0.15", capsize=4, ms=9)
    values = {k: v[metric.name] for k, v in study.baselines[task].items()}
    if values:
        name = (min if metric.better == "lower" else max)(values, key=lambda k: values[k])
        ax.axhline(values[name], color="0.35", ls="--", lw=1.2, label=name)
        ax.legend(loc="best", fontsize=7)
    scale(ax, [*rows["value"], *values.values()])
    ax.set(xlabel="cell", ylabel=f"test {metric.label}")


def _curves(study: Study, ax: Axes, task: str) -> None:
    metric = study.tasks[task].watched
    frames = [_validation(r, metric.name) for c in study.config.cells for r in study.runs(task, c)]
    rows = pd.concat(frames)
    cells = list(rows.cell.unique())
    sns.lineplot(
        rows, x="step", y="value", hue="cell", palette=colours(cells), errorbar=("pi", 100), marker="o", ms=3, ax=ax
    )
    scale(ax, rows["value"])
    ax.legend(fontsize=7)
    ax.set(xlabel="training step", ylabel=f"validation {metric.label}")


def _cost(study: Study, ax: Axes, task: str) -> None:
    rows, metric = _done(study, task), study.tasks[task].metric
    cells = list(rows.cell.unique())
    look = {"palette": colours(cells), "markers": markers(cells), "s": 55, "alpha": 0.8}
    sns.scatterplot(rows, x="seconds", y="value", hue="cell", style="cell", ax=ax, **look)
    scale(ax, rows["value"])
    ax.legend(fontsize=7)
    ax.set(xlabel="training time (s)", ylabel=f"test {metric.label}")


def _answers(study: Study, models: dict[str, dict[str, nn.Module]]) -> Figure:
    def draw(ax: Axes, task: str) -> None:
        study.tasks[task].draw_example(ax, models[task], colours(models[task]))
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=7)

    return panels(models, draw, wide=True, title=lambda t: f"{t}: {study.tasks[t].example_title}")


def _done(study: Study, task: str) -> pd.DataFrame:
    table = study.table()
    return table[(table.status == "done") & (table.task == task)].astype({"cell": object, "task": object})


def _validation(run: Run, metric: str) -> pd.DataFrame:
    rows = run.metrics[run.metrics.split == "validation"]
    return pd.DataFrame({"step": rows.step, "value": rows[metric], "cell": run.result["cell"]})


def _median(runs: list[Run]) -> Run | None:
    ranked = sorted(runs, key=lambda r: r.result["value"])
    return ranked[(len(ranked) - 1) // 2] if ranked else None
