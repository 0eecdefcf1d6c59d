"""The parameters of a layer: their names, shapes, initial values and checks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lstmlab.cells import Cell, equations
from lstmlab.engine.norms import NORMS
from lstmlab.engine.recurrence import Weights, parts_of

if TYPE_CHECKING:
    from lstmlab.engine.layer import RNN


def check(rnn: RNN) -> None:
    """Refuse sizes and probabilities that cannot be, and options that the cell cannot have."""
    for name in ("input_size", "hidden_size", "num_layers"):
        if getattr(rnn, name) < 1:
            raise ValueError(f"{name} must be at least 1, not {getattr(rnn, name)}")
    if rnn.proj_size < 0 or (rnn.checkpoint_every is not None and rnn.checkpoint_every < 1):
        raise ValueError("proj_size must be 0 or more, and checkpoint_every 1 or more or None")
    chances: dict[str, Any] = {n: getattr(rnn, n) for n in ("dropout", "recurrent_dropout", "weight_drop")}
    for name, value in {**chances, **{f"zoneout[{k!r}]": p for k, p in rnn.zoneout.items()}}.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), not {value}")
    cell = type(rnn.cell)
    unknown = set(rnn.zoneout) - set(cell.states)
    if unknown:
        raise ValueError(f"zoneout names {sorted(unknown)}, but the states of {cell.__name__} are {cell.states}")
    if cell.norm == "batch" and rnn.checkpoint_every is not None:
        raise ValueError("checkpoint_every cannot be used with batch norm: it would count every batch twice")
    found = equations(cell)
    used = {n.value for n in found.graph.needed(list(found.states.values())) if n.op == "input"}
    if rnn.proj_size and cell.states[0] in used:
        raise ValueError(
            f"proj_size cannot be used with {cell.__name__}: its equations use the output "
            f"{cell.states[0]!r} unit by unit, which a projection has not; set proj_size=0"
        )


def shapes(cell: type[Cell], features: int, hidden_size: int, output_size: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the weights of one layer in one direction."""
    found: dict[str, tuple[int, ...]] = {"weight_ih": (len(cell.inputs) * hidden_size, features)}
    for state, fed in cell.recurrent.items():
        width = output_size if state == cell.states[0] else hidden_size
        found[_recurrent(cell, state)] = (len(fed) * hidden_size, width)
    found["bias"] = (len(cell.gates) * hidden_size,)
    return found | dict.fromkeys(cell.vectors, (hidden_size,))


def _recurrent(cell: type[Cell], state: str) -> str:
    """Return the name of the matrix through which a state feeds gates: weight_hh for the output's."""
    return "weight_hh" if state == cell.states[0] else f"weight_{state}"


def _feedback_norm(cell: type[Cell], state: str) -> str:
    """Return the name of what normalises the product with a state: norm_hh for the output."""
    return "norm_hh" if state == cell.states[0] else f"norm_hh_{state}"


def add(rnn: RNN, end: str, features: int) -> None:
    """Register the parameters of one layer in one direction, uninitialised."""
    cell, hidden, out = type(rnn.cell), rnn.hidden_size, rnn.output_size
    named = shapes(cell, features, hidden, out)
    if rnn.proj_size:
        named["weight_hr"] = (out, hidden)
    if rnn.learn_initial:
        named |= {f"initial_{state}": (rnn.width(state),) for state in cell.states}
    for name, shape in named.items():
        rnn.register_parameter(f"{name}{end}", nn.Parameter(torch.empty(shape)))
    if cell.norm:
        make = NORMS[cell.norm]
        rnn.add_module(f"norm_ih{end}", make(len(cell.inputs) * hidden, shift=False))
        for state, fed in cell.recurrent.items():
            rnn.add_module(_feedback_norm(cell, state) + end, make(len(fed) * hidden, shift=False))
        for name in cell.norms():
            rnn.add_module(f"{name}{end}", make(rnn.width(name.removeprefix("norm_")), shift=True))


def reset(rnn: RNN) -> None:
    """Uniform weights, zero biases but the forget gate's, initial states as the cell has them."""
    bound = 1 / math.sqrt(rnn.hidden_size)
    cell = rnn.cell
    for name, parameter in rnn.named_parameters(recurse=False):
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            with torch.no_grad():
                for gate, sign in cell.forget.items():
                    at = cell.gates.index(gate) * rnn.hidden_size
                    parameter[at : at + rnn.hidden_size] = sign * rnn.forget_bias
        elif name.startswith("initial_"):
            state = name.removeprefix("initial_").rpartition("_l")[0]
            nn.init.constant_(parameter, cell.initial.get(state, 0.0))
        else:
            nn.init.uniform_(parameter, -bound, bound)
    for norm in rnn.children():
        norm.reset_parameters()  # type: ignore[operator]


def collect(rnn: RNN, end: str) -> Weights:
    """Return the parameters of one layer in one direction, whoever provides them."""
    cell = type(rnn.cell)
    named = {}
    if cell.norm:
        named = {"ih": f"norm_ih{end}"} | {n: f"{n}{end}" for n in parts_of(cell)[1]}
        named |= {f"hh_{state}": _feedback_norm(cell, state) + end for state in cell.recurrent}
    return Weights(
        ih=getattr(rnn, f"weight_ih{end}"),
        recurrent={state: getattr(rnn, _recurrent(cell, state) + end) for state in cell.recurrent},
        bias=getattr(rnn, f"bias{end}"),
        vectors={v: getattr(rnn, f"{v}{end}") for v in cell.vectors},
        projection=getattr(rnn, f"weight_hr{end}") if rnn.proj_size else None,
        norms={k: getattr(rnn, name) for k, name in named.items()},
    )


def thin(weights: Weights, probability: float) -> Weights:
    """Return the weights with dropout on the recurrent matrices."""
    dropped: dict[str, Tensor] = {k: nn.functional.dropout(w, probability) for k, w in weights.recurrent.items()}
    return replace(weights, recurrent=dropped)
