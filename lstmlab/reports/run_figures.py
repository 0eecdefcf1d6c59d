"""Figures of one run, as SVG that a notebook shows."""

from __future__ import annotations

import numpy as np
from IPython.display import SVG
from matplotlib.axes import Axes

from lstmlab.reports.style import colours, panels, scale, to_svg
from lstmlab.studies.run import Run


def example(run: Run) -> SVG:
    """Draw what a run's model answers beside the truth."""

    def draw(ax: Axes, cell: str) -> None:
        run.task.draw_example(ax, {cell: run.model}, colours([cell]))
        ax.legend(fontsize=7)

    return to_svg(panels([run.result["cell"]], draw, wide=True, title=lambda _: run.task.example_title), "example")


def learning_curve(run: Run) -> SVG:
    """Draw a run's training loss and validation metric over steps."""
    colour, metric = colours([run.result["cell"]])[run.result["cell"]], run.task.watched

    def draw(ax: Axes, what: str) -> None:
        rows = run.metrics[run.metrics.split == what]
        column = "loss" if what == "train" else metric.name
        ax.plot(rows.step, rows[column], color=colour, lw=1.2, marker="" if what == "train" else "o", ms=4)
        if what == "validation":
            ax.axvline(run.result["best_step"], color="0.5", ls=":", label="best weights")
            ax.legend(fontsize=7)
        scale(ax, rows[column])
        ax.set(xlabel="training step", ylabel="training loss" if what == "train" else metric.label)

    return to_svg(
        panels(["train", "validation"], draw, title={"train": "Training", "validation": "Validation"}.__getitem__),
        "learning_curve",
    )


def gradient_norm(run: Run) -> SVG:
    """Draw the norm of the gradient at every step, before clipping, and the norm it is clipped to."""
    clip = run.config.train.clip_norm

    def draw(ax: Axes, cell: str) -> None:
        rows = run.metrics[run.metrics.split == "train"]
        ax.plot(rows.step, rows.gradient_norm, color=colours([cell])[cell], lw=0.8)
        if clip is not None:
            ax.axhline(clip, color="0.35", ls="--", lw=1.2, label=f"clipped to {clip:g}")
            ax.legend(fontsize=7)
        scale(ax, rows.gradient_norm)
        ax.set(xlabel="training step", ylabel="gradient norm")

    return to_svg(
        panels([run.result["cell"]], draw, wide=True, title=lambda _: "Gradient norm before clipping"), "gradient_norm"
    )


def gates(run: Run) -> SVG:
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

    return to_svg(panels(names, draw, title=lambda n: f"state {n}" if n in ("h", "c") else f"gate {n}"), "gates")
