"""The reference recurrence: plain PyTorch over a cell's `step`, differentiated by autograd.

Always available, for every cell and option; every other engine is tested against it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from lstmlab.engine.recurrence import Recurrence, Result, parts_of


def recur(r: Recurrence) -> Result:
    """Carry the states through all steps of one layer in one direction."""
    cell, weights = r.cell, r.weights
    if cell.norm == "batch" and r.reverse and r.lengths is not None:
        return _from_own_ends(r, r.lengths)
    output_name = cell.states[0]
    names, norms = parts_of(type(cell))
    named = dict(zip(cell.states, r.states, strict=True))
    starts = dict(zip(cell.states, r.starts, strict=True))
    # Indexing x[t] would make backward quadratic in time: each index writes a full-size gradient.
    inputs = linear(r.x, weights.ih).unbind(0)
    masks = _each(r.mask, inputs)
    resets = _each(r.resets, inputs)
    zones = {k: z.unbind(0) if isinstance(z, Tensor) else [z] * len(inputs) for k, z in r.zones.items()}
    outputs: list[Tensor] = []
    for step, t in enumerate(range(len(inputs))[:: -1 if r.reverse else 1]):
        if r.resets is not None:
            named = {k: torch.where(resets[t][:, None], starts[k], v) for k, v in named.items()}
        rows = None if masks[t] is None else masks[t][:, 0]
        parts = {k: named[k] if k in named else weights.vectors[k] for k in names}
        parts |= {k: _at(weights.norms[k], step, rows) for k in norms}
        new = cell.step(*_preactivations(r, inputs[t], named, step, rows), **parts)
        if weights.projection is not None:
            new[output_name] = linear(new[output_name], weights.projection).to(weights.projection.dtype)
        for k, zone in zones.items():
            new[k] = zone[t] * named[k] + (1 - zone[t]) * new[k]
        outputs.append(new[output_name] if rows is None else new[output_name] * masks[t])
        named = new if rows is None else {k: torch.where(masks[t], new[k], named[k]) for k in named}
    if r.reverse:
        outputs.reverse()
    return torch.stack(outputs), tuple(named[k] for k in cell.states)


def _from_own_ends(r: Recurrence, lengths: Tensor) -> Result:
    """Go backward with each sequence starting at step 0 from its own end.

    Batch norm has statistics for each step, so a step must mean the same to all sequences: to go
    through the padding of the shorter ones first would give a sequence those of other steps than
    it has alone.
    """
    steps = torch.arange(len(r.x), device=r.x.device)[:, None]
    partner = torch.where(steps < lengths, lengths - 1 - steps, steps)

    def turn(value: Tensor) -> Tensor:
        return value.gather(0, partner if value.dim() == 2 else partner[:, :, None].expand_as(value))

    resets = None if r.resets is None else turn(r.resets)
    zones = {k: turn(z) if isinstance(z, Tensor) else z for k, z in r.zones.items()}
    output, finals = recur(replace(r, x=turn(r.x), resets=resets, zones=zones, reverse=False))
    return turn(output), finals


def _preactivations(r: Recurrence, x: Tensor, named: dict[str, Tensor], step: int, rows: Tensor | None) -> list[Tensor]:
    """Return W x + R s + b of each gate, gates in the cell's order."""
    cell, weights = r.cell, r.weights
    products = [(cell.inputs, _normalise(r, "ih", x, step, rows))]
    for state, fed in cell.recurrent.items():
        value = named[state]
        if state == cell.states[0] and r.drop is not None:
            value = value * r.drop
        product = linear(value, weights.recurrent[state])
        products.append((fed, _normalise(r, f"hh_{state}", product, step, rows)))
    gates = dict(zip(cell.gates, weights.bias.chunk(len(cell.gates)), strict=True))
    for fed, product in products:
        for gate, part in zip(fed, product.chunk(len(fed), 1), strict=True):
            gates[gate] = gates[gate] + part
    batch = x.shape[0]
    return [g if g.dim() == 2 else g.expand(batch, -1) for g in gates.values()]


def _normalise(r: Recurrence, name: str, product: Tensor, step: int, rows: Tensor | None) -> Tensor:
    norm = r.weights.norms.get(name)
    return product if norm is None else norm(product, step, rows)


def _at(norm: Any, step: int, rows: Tensor | None) -> Any:
    return lambda value: norm(value, step, rows)


def _each(tensor: Tensor | None, steps: tuple[Tensor, ...]) -> Any:
    return [None] * len(steps) if tensor is None else tensor.unbind(0)
