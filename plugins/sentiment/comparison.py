"""What may be said of models against the best baseline: a test paired over texts, and sentences that keep to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import nn

if TYPE_CHECKING:
    from .task import Sentiment

LEVEL = 0.05


def compare(right: Mapping[str, np.ndarray], baseline: np.ndarray) -> pd.DataFrame:
    """Return a row per cell: by how many points it is more often right, and p.

    Args:
        right: for each cell (models, texts), whether a model is right about a text.
        baseline: (texts,), whether the baseline is.

    A cell's answers are averaged over its models, text by text, and the differences are tested by Student's t over
    texts, which for a single model is close to McNemar's test. Values of p are Holm's (1979) over cells.
    """
    from scipy.stats import ttest_1samp
    from statsmodels.stats.multitest import multipletests

    rows = []
    for cell, found in right.items():
        difference = found.mean(0) - baseline
        p = float(ttest_1samp(difference, 0).pvalue) if difference.any() else 1.0
        rows.append({"cell": cell, "points": 100 * float(difference.mean()), "p": p})
    table = pd.DataFrame(rows)
    return table.assign(p=multipletests(table["p"], method="holm")[1]) if rows else table


def sentences(table: pd.DataFrame, name: str, accuracy: float, texts: int) -> str:
    """Return what the rows of `compare` support, and nothing beyond."""
    if table.empty:
        return ""
    clear = table.p < LEVEL
    said = [
        f"{phrase}: {_listed(found)}."
        for found, phrase in (
            (table[clear & (table.points > 0)], "More often right than it"),
            (table[clear & (table.points < 0)], "**Less often right than it, so that the baseline wins**"),
            (table[~clear], "No evidence of a difference"),
        )
        if len(found)
    ]
    return (
        f"The best baseline, {name}, is right about {accuracy:.1f} % of the test texts. {' '.join(said)} "
        f"Test: paired over {texts:,} test texts, answers averaged over seeds, Holm-corrected over {len(table)} cells "
        f"at the {LEVEL:.0%} level; it speaks of such texts, not of others."
    )


def _listed(rows: pd.DataFrame) -> str:
    return ", ".join(f"{r.cell} ({r.points:+.1f} points, p = {r.p:.2g})" for r in rows.itertuples())


def verdict(task: Sentiment, models: Mapping[str, Sequence[nn.Module]]) -> str:
    """Return what the test supports of the models of all seeds against the best baseline."""
    labels = task.labels("test")
    answers = task.baseline_answers("test")
    name = max(answers, key=lambda n: task.score(answers[n], labels)["accuracy"])
    baseline = answers[name].argmax(1) == labels
    right = {
        cell: np.array([task.probabilities(m, task.tokens["test"]).argmax(1) == labels for m in trained])
        for cell, trained in models.items()
    }
    return sentences(compare(right, baseline), name, 100 * float(baseline.mean()), len(labels))
