"""The verdict in plain words: only what the intervals and tests support."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lstmlab.reports.statistics import Comparison, compare
from lstmlab.reports.tables import summarise
from lstmlab.studies.study import Study
from lstmlab.tasks import Metric, Task


def describe(study: Study, details: bool = True) -> list[str]:
    """Return Markdown sentences: an overall verdict, then with ``details`` one paragraph per task."""
    alpha = 1 - study.settings.report.confidence
    comparisons = compare(study.table())
    by_task = {name: [c for c in comparisons if c.task == name] for name in study.tasks}
    lines = [_overall(study, by_task, alpha)]
    if details:
        lines += [f"**{name}**: " + _of_task(study, name, by_task[name], alpha) for name in study.tasks]
    tests = sum(np.isfinite(c.p) for c in comparisons)
    if tests:
        lines.append(
            f"Tests: t-tests paired by seed, two-sided, Holm-corrected over all comparisons of this report ({tests}), "
            f"at the {alpha:.0%} level. With few seeds, small differences stay unseen; intervals and tests speak "
            "of the spread over seeds, not of other test data."
        )
    if study.failures:
        lines.append(f"**{len(study.failures)} run(s) failed** and stand in no mean; reasons below the tables.")
    return lines


def describe_task(study: Study, name: str) -> str:
    """Return Markdown sentences on one task, corrected for all comparisons of the study."""
    found = [c for c in compare(study.table()) if c.task == name]
    return _of_task(study, name, found, 1 - study.settings.report.confidence)


def _of_task(study: Study, name: str, found: list[Comparison], alpha: float) -> str:
    task, summary = study.tasks[name], summarise(study, name)
    sentences = [
        _differences(found, task.metric, alpha),
        _own_verdict(study, name) or _against_baselines(study, name, summary, task.metric),
        _cost(summary),
    ]
    return " ".join(s for s in sentences if s)


def _own_verdict(study: Study, name: str) -> str:
    """Return what the task's own test supports, for a task that has one."""
    task = study.tasks[name]
    if type(task).verdict is Task.verdict:
        return ""
    models = {cell: [run.model for run in study.runs(name, cell)] for cell in study.config.cells}
    return task.verdict({cell: trained for cell, trained in models.items() if trained})


def _overall(study: Study, by_task: dict[str, list[Comparison]], alpha: float) -> str:
    winners = {name: _winner(study.tasks[name].metric, found, alpha) for name, found in by_task.items()}
    won = {name: cell for name, cell in winners.items() if cell}
    if len(study.config.cells) < 2:
        return "Only one cell was run, so there is nothing to compare."
    if not any(np.isfinite(c.p) for found in by_task.values() for c in found):
        return "No verdict: a comparison needs at least two seeds that both cells finished."
    if won and len(set(won.values())) == 1 and len(won) == len(by_task):
        return f"**{next(iter(won.values()))} is better than every other cell on every task.**"
    if won:
        parts = ", ".join(f"{cell} on {name}" for name, cell in won.items())
        return f"**No cell is best everywhere. Better than every other cell: {parts}.**"
    if any(c.p < alpha for found in by_task.values() for c in found):
        return "**No cell was shown to be better than all others on any task; some pairs differ, as said below.**"
    return "**No evidence of a difference between the cells on any task.**"


def _winner(metric: Metric, found: list[Comparison], alpha: float) -> str | None:
    cells = {c.first for c in found} | {c.second for c in found}
    for cell in sorted(cells):
        own = [c for c in found if cell in (c.first, c.second)]
        if own and all(c.p < alpha and _better(c, metric) == cell for c in own):
            return cell
    return None


def _better(c: Comparison, metric: Metric) -> str:
    return c.first if metric.improves(c.difference, 0) else c.second


def _differences(found: list[Comparison], metric: Metric, alpha: float) -> str:
    tested = [c for c in found if np.isfinite(c.p)]
    if not tested:
        return ""
    clear = [c for c in tested if c.p < alpha]
    if not clear:
        least = min(c.p for c in tested)
        return f"no evidence of a difference between the cells (smallest corrected p = {least:.2g})."
    parts = []
    for c in clear:
        better = _better(c, metric)
        worse = c.second if better == c.first else c.first
        unit = f" {metric.unit}" if metric.unit else ""
        parts.append(f"{better} is better than {worse} by {abs(c.difference):.2g}{unit} {metric.name} (p = {c.p:.2g})")
    return "; ".join(parts) + "."


def _against_baselines(study: Study, task: str, summary: pd.DataFrame, metric: Metric) -> str:
    baselines = summary[summary.kind == "baseline"]
    cells = summary[(summary.kind == "cell") & (summary.n > 0)]
    if baselines.empty or cells.empty:
        return ""
    best = baselines.iloc[0]
    unit = f" {metric.unit}" if metric.unit else ""
    reference = f"the best baseline, {best['name']} ({best['mean']:.3g}{unit})"
    runs = study.table().query("task == @task and status == 'done'")
    beaten = {cell: all(metric.improves(v, best["mean"]) for v in g["value"]) for cell, g in runs.groupby("cell")}
    if all(beaten.values()):
        who = "Every cell" if len(beaten) > 1 else next(iter(beaten))
        return f"{who} beats {reference} with every seed."
    behind = [cell for cell, wins in beaten.items() if not wins]
    return f"Some seeds do not beat {reference}: those of {', '.join(behind)}."


def _cost(summary: pd.DataFrame) -> str:
    cells = summary[(summary.kind == "cell") & (summary.n > 0)].sort_values("ms")
    if len(cells) < 2:
        return ""
    fast, slow = cells.iloc[0], cells.iloc[-1]
    return f"A training step takes {fast['ms']:.1f} ms with {fast['name']} and {slow['ms']:.1f} ms with {slow['name']}."
