"""What single units follow: after Karpathy, Johnson and Fei-Fei (2015), arXiv:1506.02078, section 4.2.

They looked at cell states by eye. Here a unit's output, which every cell has, is correlated with what a program
can tell of the text. The unit is chosen on the validation part, and its correlation told on the test part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

FIRST = ("inside quotes", "position in the line")  # features that are shown in colour, the first that there is
READ = 20_000  # symbols from the beginning of each part
RARE = 0.01  # share of the text that a feature must change in


class Unit(NamedTuple):
    """A unit that follows something: its number, its correlation on test, and its output (n,) there."""

    number: int
    correlation: float
    output: np.ndarray


def features(symbols: Sequence[str]) -> dict[str, np.ndarray]:
    """Return, by name, a number (n,) for the text up to and with each symbol."""
    at = {"position in the line": 0, "position in the word": 0, "inside quotes": 0, "inside brackets": 0}
    found: dict[str, list[int]] = {name: [] for name in at}
    breaks = 0
    for symbol in symbols:
        for c in symbol:
            breaks = breaks + 1 if c == "\n" else breaks if c.isspace() else 0
            at["position in the line"] = 0 if c == "\n" else at["position in the line"] + 1
            at["position in the word"] = at["position in the word"] + 1 if c.isalnum() else 0
            at["inside brackets"] = max(at["inside brackets"] + (c in "([{") - (c in ")]}"), 0)
            at["inside quotes"] = {'"': 1 - at["inside quotes"], "“": 1, "”": 0}.get(c, at["inside quotes"])
            if breaks > 1:  # a paragraph ends what was left open
                at["inside quotes"] = at["inside brackets"] = 0
        for name, value in at.items():
            found[name].append(value)
    return {name: np.array(values, float) for name, values in found.items()}


@torch.no_grad()
def outputs(model: Any, numbers: np.ndarray) -> np.ndarray:
    """Return what the units (n, units) of a model's recurrence give after each symbol of one row."""
    found: np.ndarray = model.rnn(model.embedding(torch.from_numpy(numbers)[None]))[0][0].double().numpy()
    return found


def correlations(values: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each column of values (n, units) with a feature (n,); 0 where one is constant."""
    x, y = values - values.mean(0), feature - feature.mean()
    scale = np.sqrt((x**2).sum(0) * (y**2).sum())
    return np.divide(y @ x, scale, out=np.zeros(values.shape[1]), where=scale > 0)


def best_units(
    models: Mapping[str, nn.Module], vocabulary: Sequence[str], validation: np.ndarray, test: np.ndarray
) -> dict[str, dict[str, Unit]]:
    """Return, for each feature that the text has, the unit of each model that follows it best.

    Args:
        models: with ``embedding`` and ``rnn``.
        vocabulary: of symbols.
        validation: numbers (n,) by which the unit is chosen.
        test: numbers (n,) on which its correlation is told.
    """
    parts = [part[:READ] for part in (validation, test)]
    chosen_by, told_on = (features([vocabulary[i] for i in part]) for part in parts)
    read = {name: [outputs(model, part) for part in parts] for name, model in models.items()}
    found: dict[str, dict[str, Unit]] = {}
    for feature, values in told_on.items():
        if min(np.mean(f != np.median(f)) for f in (values, chosen_by[feature])) < RARE:
            continue
        found[feature] = {}
        for name, (before, after) in read.items():
            number = int(np.abs(correlations(before, chosen_by[feature])).argmax())
            r = float(correlations(after[:, [number]], values)[0])
            found[feature][name] = Unit(number, r, after[:, number])
    return found


def passage(feature: np.ndarray, length: int) -> slice:
    """Return where a passage of so many symbols is in which a feature (n,) varies most."""
    starts = range(0, max(len(feature) - length, 1), length)
    start = max(starts, key=lambda at: float(feature[at : at + length].std()))
    return slice(start, start + length)
