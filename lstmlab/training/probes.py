"""Looking inside a cell while it reads: gate activations and states at every step."""

from __future__ import annotations

from copy import deepcopy
from functools import partial, wraps
from typing import Any

import pandas as pd
import sympy
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lstmlab.cells import maximum
from lstmlab.engine import RNN
from lstmlab.engine.tracing import Trace, trace

FUNCTIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log_sigmoid": logsigmoid,
    "relu": torch.relu,
    "maximum": lambda x, y: maximum(x if isinstance(x, Tensor) else float(x), y if isinstance(y, Tensor) else float(y)),
}


@torch.no_grad()
def probe(rnn: RNN, inputs: Tensor) -> pd.DataFrame:
    """Show every equation of the first layer's cell on one sequence, in evaluation mode.

    Args:
        rnn: its first layer, forward direction, is looked at.
        inputs: (time, features).

    Returns:
        One row per step and unit, a column per gate (after its nonlinearity) and state (as the
        equations give it: before projection and zoneout).
    """
    seen = _watch(rnn, inputs)
    traced = trace(type(rnn.cell))
    names, gates = list(traced.equations), _Gates(traced)
    frames = []
    for step, (known, new) in enumerate(seen):
        values = {k: v[0].cpu().numpy() for k, v in (gates(known) | new).items()}
        frames.append(pd.DataFrame({k: values[k] for k in names}).assign(step=step))
    return pd.concat(frames).rename_axis("unit").reset_index()


def _watch(rnn: RNN, inputs: Tensor) -> list[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Return what the first layer's step takes and returns at each time step.

    The layer itself runs, on the reference path, so nothing that precedes a step is computed twice.
    """
    cell = type(rnn.cell)
    seen: list[tuple[dict[str, Any], dict[str, Tensor]]] = []

    class Watched(cell):  # type: ignore[valid-type, misc]
        @wraps(cell.step)
        def step(self, *gates: Tensor, **parts: Any) -> dict[str, Tensor]:
            new: dict[str, Tensor] = super().step(*gates, **parts)
            named = {f"{k}_old" if k in cell.states else k: v for k, v in parts.items()}
            seen.append((dict(zip(cell.gates, gates, strict=True)) | named, dict(new)))
            return new

    watched = deepcopy(rnn).eval()
    watched.cell, watched.engine = Watched(), "reference"
    watched(inputs[None] if rnn.batch_first else inputs[:, None])
    return seen[: len(inputs)]


class _Gates:
    """The equations of a cell as functions of what its step takes; returns the values of the gates."""

    def __init__(self, traced: Trace) -> None:
        self.traced = traced
        self.norms: dict[str, Any] = {}
        modules = [FUNCTIONS | {name: partial(self._norm, name) for name in traced.cell.norms()}]
        symbols = {k: sorted(e.free_symbols, key=str) for k, e in traced.equations.items()}
        self.functions = {k: sympy.lambdify(symbols[k], e, modules=modules) for k, e in traced.equations.items()}
        self.arguments = {k: [str(s) for s in symbols[k]] for k in symbols}

    def __call__(self, known: dict[str, Any]) -> dict[str, Tensor]:
        self.norms = known  # at each step they have statistics of their own
        values = dict(known)
        for name, function in self.functions.items():
            values[f"{name}_t"] = function(*(values[a] for a in self.arguments[name]))
        return {name: values[f"{name}_t"] for name in self.traced.activations}

    def _norm(self, name: str, value: Tensor) -> Tensor:
        return self.norms[name](value)
