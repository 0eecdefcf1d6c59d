"""A table per task: cells and baselines side by side, as data and as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from lstmlab.reports.statistics import interval
from lstmlab.studies.study import Study


def summarise(study: Study, task: str) -> pd.DataFrame:
    """Return one row per cell, then one per baseline, best first within each.

    Columns: name, kind ("cell" or "baseline"), hidden_size, parameters, ``mean`` and ``half`` (of the
    interval) of the compared metric, ``ms`` per step, ``n`` finished and ``failed`` runs, and for
    every further metric its mean in a column named after it.
    """
    confidence = study.settings.report.confidence
    metric, *others = study.tasks[task].metrics
    runs = study.table().query("task == @task")
    rows = []
    for cell, group in runs.groupby("cell", sort=False):
        done = group[group.status == "done"]
        mean, half = interval(done["value"], confidence)
        row = {"name": cell, "kind": "cell", "hidden_size": group.hidden_size.iloc[0]}
        row |= {"parameters": done.parameters.iloc[0] if len(done) else None, "mean": mean, "half": half}
        row |= {"ms": 1e3 * done.seconds_per_step.median(), "n": len(done), "failed": (group.status == "failed").sum()}
        rows.append(row | {m.name: done[m.name].mean() if len(done) else np.nan for m in others})
    for name, scores in study.baselines[task].items():
        row = {"name": name, "kind": "baseline", "mean": scores[metric.name]}
        rows.append(row | {m.name: scores[m.name] for m in others})
    frame = pd.DataFrame(rows)
    order = frame["mean"] if metric.better == "lower" else -frame["mean"]
    return frame.iloc[np.lexsort((order, frame.kind != "cell"))].reset_index(drop=True)


def to_html(study: Study, task: str) -> str:
    """Return the table of a task for people."""
    metric, *others = study.tasks[task].metrics
    confidence = f"{study.settings.report.confidence:.0%}"
    arrow = "lower is better" if metric.better == "lower" else "higher is better"
    head = ["", "units", "parameters", f"{metric.label}, mean ± {confidence} interval; {arrow}"]
    head += [f"{m.label}, mean" for m in others] + ["ms per step", "n", "failed"]
    frame = summarise(study, task)
    digits = _digits(frame["mean"])
    body = []
    for row in frame.to_dict("records"):
        cells = [escape(str(row["name"]))]
        if row["kind"] == "cell":
            cells += [f"{row['hidden_size']:.0f}", _show(row["parameters"], ",.0f"), _mean(row, digits)]
        else:
            cells += ["", "", _show(row["mean"], f".{digits}f")]
        cells += [_show(row[m.name], ".3g") for m in others]
        cells += (
            [_show(row["ms"], ".1f"), f"{row['n']:.0f}", f"{row['failed']:.0f}"] if row["kind"] == "cell" else [""] * 3
        )
        tags = [f"<th scope='row'>{cells[0]}</th>", *(f"<td>{c}</td>" for c in cells[1:])]
        body.append(f"<tr class='{row['kind']}'>{''.join(tags)}</tr>")
    header = "".join(f"<th scope='col'>{escape(h)}</th>" for h in head)
    return f"<table class='lstmlab'><thead><tr>{header}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _mean(row: dict[Any, Any], digits: int) -> str:
    if not np.isfinite(row["mean"]):
        return "–"
    half = f" ± {row['half']:.{digits}f}" if np.isfinite(row["half"]) else ""
    return f"{row['mean']:.{digits}f}{half}"


def _digits(means: pd.Series) -> int:
    """Return how many decimals show three significant digits of the smallest mean."""
    smallest = means[means > 0].min()
    return int(np.clip(2 - np.floor(np.log10(smallest)), 0, 6)) if np.isfinite(smallest) else 3


def _show(value: float | None, form: str) -> str:
    return "–" if value is None or pd.isna(value) else format(value, form)
