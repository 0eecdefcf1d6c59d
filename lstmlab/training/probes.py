"""Looking inside a cell while it reads: gate activations and states at every step."""

from __future__ import annotations

from typing import Any

import pandas as pd
import sympy
import torch
from torch import Tensor

from lstmlab.engine import RNN
from lstmlab.engine.tracing import trace


@torch.no_grad()
def probe(rnn: RNN, inputs: Tensor) -> pd.DataFrame:
    """Evaluate every equation of the first layer's cell on one sequence.

    Args:
        rnn: its first layer, forward direction, is looked at.
        inputs: (time, features).

    Returns:
        One row per step and unit, a column per gate (after its nonlinearity) and state.
    """
    cell, hidden = type(rnn.cell), rnn.hidden_size
    computed = {name: _compile(expr) for name, expr in trace(cell).equations.items()}
    weights = rnn.weights()
    projected = torch.nn.functional.linear(inputs, weights.ih, weights.bias)
    old = {name: inputs.new_zeros(hidden) for name in cell.states}
    rows = []
    for step, x in enumerate(projected):
        gates = (x + weights.hh @ old[cell.states[0]]).split(hidden)
        known = dict(zip(cell.gates, gates, strict=True)) | weights.vectors | {f"{k}_old": v for k, v in old.items()}
        for name, (arguments, function) in computed.items():
            known[f"{name}_t"] = function(*(known[a] for a in arguments))
        old = {k: known[f"{k}_t"] for k in cell.states}
        rows.append(pd.DataFrame({k: known[f"{k}_t"].numpy() for k in computed}).assign(step=step))
    return pd.concat(rows).rename_axis("unit").reset_index()


def _compile(expr: sympy.Expr) -> tuple[list[str], Any]:
    symbols = sorted(expr.free_symbols, key=str)
    functions = {"Sigmoid": torch.sigmoid, "Tanh": torch.tanh}
    return [str(s) for s in symbols], sympy.lambdify(symbols, expr, modules=[functions])
