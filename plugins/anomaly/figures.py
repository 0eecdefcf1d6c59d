"""Figures and tables of alarms: over time, per series, and over all thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .judgement import Scores
from .metrics import PROFILES, best_nab_score, nab_score, range_scores, ranges
from .sensors import AnomalyConfig, Sensor

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH = "0.82"  # grey of labelled ranges
CEILING = 3.0  # thresholds above which a score is drawn at the edge
THRESHOLDS = 200  # that a curve over all thresholds is made of


def exhibits(
    sensors: dict[str, Sensor],
    models: Mapping[str, Scores],
    rivals: Mapping[str, Scores],
    colours: Mapping[str, Any],
    config: AnomalyConfig,
) -> dict[str, Any]:
    """Return what a report shows of the test part: title -> figure or table."""
    shown: dict[str, Any] = {"Scores over time; labelled ranges are grey": draw_scores(sensors, models, colours)}
    if config.labels is not None:
        both = {**models, **rivals}
        shown["What was found in each series"] = tabulate_series(sensors, both)
        shown["NAB score in its three profiles, out of 100"] = tabulate_nab(sensors, both)
        shown["Precision over recall for all thresholds: a diagnostic, made with labels that no detector has"] = (
            draw_curves(sensors, models, rivals, colours, config.existence)
        )
    return shown


def draw_alarms(ax: Axes, sensors: dict[str, Sensor], models: Mapping[str, Scores], colours: Mapping[str, Any]) -> None:
    """Draw the series with most labelled ranges, these in grey, and the alarms of each model as ticks below."""
    name = max(sensors, key=lambda n: len(ranges(sensors[n].truth)))
    sensor = sensors[name]
    part = sensor.parts["test"]
    times, values = sensor.times[part], sensor.values[part]
    _shade(ax, sensor)
    ax.plot(times, values, color="0.25", lw=0.6, label=name or "values")
    low, step = float(values.min()), 0.07 * float(np.ptp(values))
    ax.set_ylim(low - (len(models) + 1) * step, low + 21 * step)  # room for the legend above
    for row, (cell, scores) in enumerate(models.items(), 1):
        at = np.flatnonzero(scores.alarms[name])
        ax.plot(
            times[at],
            np.full(len(at), low - row * step),
            "|",
            ms=6,
            mew=1.2,
            color=colours[cell],
            label=f"alarms: {cell}",
        )
    ax.set_xlabel("time")


def draw_scores(sensors: dict[str, Sensor], models: Mapping[str, Scores], colours: Mapping[str, Any]) -> Figure:
    """Draw each model's score in units of its threshold, a panel for each series."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.9, 1.3 * len(sensors) + 0.7), layout="constrained")
    axes = figure.subplots(len(sensors), 1, squeeze=False)[:, 0]
    for ax, (name, sensor) in zip(axes, sensors.items(), strict=True):
        part = sensor.parts["test"]
        _shade(ax, sensor)
        for cell, scores in models.items():
            relative = np.clip(scores.series[name] / scores.threshold, 0, CEILING)
            ax.plot(sensor.times[part], relative, color=colours[cell], lw=0.6, alpha=0.8, label=cell)
        ax.axhline(1, color="0.25", ls="--", lw=1, label="threshold")
        ax.set(ylim=(0, 1.05 * CEILING))
        ax.set_title(name, fontsize=7, loc="left")
        ax.tick_params(labelsize=6)
    figure.supylabel(f"score / threshold (cut at {CEILING:g})", fontsize=7)
    axes[-1].set_xlabel("time", fontsize=7)
    axes[0].legend(fontsize=6, ncols=len(models) + 2, loc="upper right")
    return figure


def _shade(ax: Axes, sensor: Sensor) -> None:
    times, last = sensor.times, len(sensor.times) - 1
    for at, (start, stop) in enumerate(ranges(sensor.truth)):
        label = None if at else "labelled anomalous"
        ax.axvspan(times[start], times[min(stop, last)], color=TRUTH, lw=0.8, zorder=0, label=label)  # type: ignore[arg-type]


def tabulate_series(sensors: dict[str, Sensor], detectors: Mapping[str, Scores]) -> pd.DataFrame:
    """Return a row per series and detector: ranges found, median delay of the first alarm in them, false alarms."""
    import pandas as pd

    rows = []
    for name, sensor in sensors.items():
        truth = sensor.truth[sensor.parts["test"]]
        for detector, scores in detectors.items():
            alarms = scores.alarms[name]
            firsts = [int(np.argmax(alarms[a:b])) for a, b in ranges(truth) if alarms[a:b].any()]
            wrong = [1 for a, b in ranges(alarms) if not truth[a:b].any()]
            row = {"series": name, "detector": detector, "ranges": len(ranges(truth)), "found": len(firsts)}
            row |= {
                "median delay (steps)": float(np.median(firsts)) if firsts else np.nan,
                "false alarms (ranges)": len(wrong),
            }
            rows.append(row | {"false alarms (values)": int((alarms & ~truth).sum())})
    return pd.DataFrame(rows).set_index(["series", "detector"])


def tabulate_nab(sensors: dict[str, Sensor], detectors: Mapping[str, Scores]) -> pd.DataFrame:
    """Return a row per detector: NAB's three profiles, and the standard one under the threshold best on the labels."""
    import pandas as pd

    truth = [s.truth[s.parts["test"]] for s in sensors.values()]
    rows = {}
    for detector, scores in detectors.items():
        alarms = [scores.alarms[name] for name in sensors]
        row = {profile: nab_score(truth, alarms, costs) for profile, costs in PROFILES.items()}
        best, _ = best_nab_score(truth, [scores.series[name] for name in sensors], PROFILES["standard"])
        rows[detector] = row | {"standard, threshold chosen on the labels (as NAB's scoreboard does)": best}
    return pd.DataFrame(rows).T.round(1)


def draw_curves(
    sensors: dict[str, Sensor],
    models: Mapping[str, Scores],
    rivals: Mapping[str, Scores],
    colours: Mapping[str, Any],
    existence: float,
) -> Figure:
    """Draw range-based precision over recall for all thresholds, and a dot where the detector's own lies."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    ax = figure.subplots()
    truth = [s.truth[s.parts["test"]] for s in sensors.values()]
    greys = dict(zip(rivals, ("-", "--", ":"), strict=True))
    for detector, scores in {**models, **rivals}.items():
        series = [scores.series[name] for name in sensors]
        pooled = np.concatenate(series)
        levels = np.quantile(pooled, 1 - np.geomspace(1 / len(pooled), 0.5, THRESHOLDS))
        points = [range_scores(truth, [s > level for s in series], existence) for level in levels]
        own = range_scores(truth, [scores.alarms[name] for name in sensors], existence)
        style: dict[str, Any] = {"color": colours.get(detector, "0.45"), "ls": greys.get(detector, "-"), "lw": 1.2}
        ax.plot([p["recall"] for p in points], [p["precision"] for p in points], label=detector, **style)
        ax.plot(own["recall"], own["precision"], "o", color=style["color"], ms=6)
    ax.set(xlabel="range-based recall", ylabel="range-based precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    ax.legend(fontsize=7)
    return figure
