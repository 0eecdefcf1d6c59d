"""What may be said of models against baselines: tests of Diebold and Mariano, and sentences that keep to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from torch import nn

from lstmlab.tasks.diebold_mariano import diebold_mariano

from .baselines import GARCH, HAR, LAST

if TYPE_CHECKING:
    from .task import Stocks

LEVEL = 0.05
PRICE, VOLATILITY = "squared error of price", "QLIKE"
PAIRS = ((PRICE, LAST), (VOLATILITY, GARCH), (VOLATILITY, HAR))


def compare(task: Stocks, models: Mapping[str, Sequence[nn.Module]]) -> pd.DataFrame:
    """Return a row per cell, loss and baseline: the difference of losses on test, its statistic and p.

    Losses of a cell are averaged over its models, day by day. Corrected values of p are Holm's (1979)
    over all rows.
    """
    from statsmodels.stats.multitest import multipletests

    baselines = {n: task.losses(f, "test") for n, f in task.baseline_forecasts("test").items()}
    rows = []
    for cell, trained in models.items():
        found = [task.losses(task.forecast(model, "test"), "test") for model in trained]
        for loss, baseline in PAIRS:
            mean = np.mean([losses[loss] for losses in found], axis=0)
            test = diebold_mariano(mean, baselines[baseline][loss])
            values = {"difference": test.difference, "statistic": test.statistic, "p": test.p}
            rows.append({"cell": cell, "loss": loss, "against": baseline} | values | {"lags": test.lags, "n": test.n})
    table = pd.DataFrame(rows)
    return table.assign(corrected=multipletests(table["p"], method="holm")[1]) if rows else table


def sentences(table: pd.DataFrame) -> str:
    """Return what the rows of `compare` support, and nothing beyond."""
    if table.empty:
        return ""
    price = _outcome(table[table.loss == PRICE], "The next day's price", "the last value as a forecast")
    garch = _outcome(table[table.against == GARCH], "The next day's variance (QLIKE)", GARCH)
    har = _outcome(table[table.against == HAR], "The same", "HAR, whose forecast the models start from")
    how = (
        f"Tests: Diebold and Mariano's on {table.n.iloc[0]:,} test days, losses averaged over seeds, small-sample "
        f"correction of Harvey, Leybourne and Newbold, {table.lags.iloc[0]} lags, Holm-corrected over "
        f"{len(table)} tests at the {LEVEL:.0%} level; they speak of these days, not of other markets or years."
    )
    return " ".join([price, garch, har, how])


def _outcome(rows: pd.DataFrame, what: str, baseline: str) -> str:
    clear = rows.corrected < LEVEL
    parts = [
        f"{', '.join(found.cell)} {'is' if len(found) == 1 else 'are'} {word} than {baseline} "
        f"({'; '.join(f'{r.difference:+.3g}, p = {r.corrected:.2g}' for r in found.itertuples())})"
        for word, found in (
            ("better", rows[clear & (rows.difference < 0)]),
            ("worse", rows[clear & (rows.difference > 0)]),
        )
        if len(found)
    ]
    rest = rows[~clear]
    if len(rest):
        values = "; ".join(f"{r.difference:+.3g}, p = {r.corrected:.2g}" for r in rest.itertuples())
        parts.append(f"no evidence that {_either(rest.cell)} differs from {baseline} ({values})")
    return f"{what}: {'; '.join(parts)}."


def _either(cells: Sequence[str]) -> str:
    *first, last = cells
    return f"{', '.join(first)} or {last}" if first else last
