"""The reference recurrence: plain PyTorch over a cell's `step`, differentiated by autograd.

This is the seam that faster engines fill: the same arguments in, the same tensors out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lstmlab.cells import Cell


def recur(
    cell: Cell,
    projected: Tensor,
    weight_hh: Tensor,
    vectors: dict[str, Tensor],
    states: tuple[Tensor, ...],
    mask: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Carry ``states`` through all steps of one layer in one direction.

    Args:
        cell: whose `step` is applied.
        projected: (time, batch, gates * hidden), input products and biases of all steps.
        weight_hh: (gates * hidden, hidden), the recurrent matrix.
        vectors: name -> (hidden,), the cell's elementwise parameters.
        states: (batch, hidden) each, in the cell's order.
        mask: (time, batch, 1), False where a sequence has ended: its states stay as they are
            and its output is zero there.
        reverse: go from the last step to the first.

    Returns:
        The outputs (time, batch, hidden) and the final states.
    """
    named = dict(zip(cell.states, states, strict=True))
    wanted = cell.keywords()
    transposed = weight_hh.t()
    # Indexing projected[t] would make backward quadratic in time: each index writes a full-size gradient.
    steps = projected.unbind(0)
    masks = mask.unbind(0) if mask is not None else [None] * len(steps)
    outputs = []
    for x, alive in list(zip(steps, masks, strict=True))[:: -1 if reverse else 1]:
        gates = torch.addmm(x, named[cell.states[0]], transposed).chunk(len(cell.gates), 1)
        parts = {k: named[k] if k in named else vectors[k] for k in wanted}
        new = cell.step(*gates, **parts)
        if alive is None:
            named = new
            outputs.append(new[cell.states[0]])
        else:
            named = {k: torch.where(alive, new[k], named[k]) for k in named}
            outputs.append(new[cell.states[0]] * alive)
    if reverse:
        outputs.reverse()
    return torch.stack(outputs), tuple(named[k] for k in cell.states)
