"""What one layer computes in one direction: the seam between the layer and the engines.

Every engine takes a `Recurrence` and returns outputs and final states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lstmlab.cells import Cell
from lstmlab.memo import constant

Norm = Callable[[Tensor, int, Tensor | None], Tensor]  # (value, step, alive) -> normalised value
Result = tuple[Tensor, tuple[Tensor, ...]]  # outputs (T, B, O) and final states


@dataclass(frozen=True)
class Weights:
    """Parameters of one layer in one direction, gates in the cell's order along the first axis.

    Attributes:
        ih: (inputs * hidden, features), for the gates that see the input.
        recurrent: state -> (gates that it feeds * hidden, width of the state).
        bias: (gates * hidden,).
        vectors: name -> (hidden,).
        projection: (proj_size, hidden), or None.
        norms: "ih", ``hh_STATE`` and ``norm_STATE`` -> what normalises the product with the input,
            that with a state, and the state within the step, for cells with a norm.
    """

    ih: Tensor
    recurrent: dict[str, Tensor]
    bias: Tensor
    vectors: dict[str, Tensor]
    projection: Tensor | None = None
    norms: dict[str, Norm] = field(default_factory=dict)


@dataclass(frozen=True)
class Recurrence:
    """One pass over a batch.

    Attributes:
        x: (time, batch, features).
        states: (batch, width) each, in the cell's order: where the pass starts from.
        starts: the same, what a reset returns to.
        lengths: (batch,), steps of each sequence; later steps leave its states as they are and
            its output is zero there.
        resets: (time, batch), True where a sequence starts anew before that step.
        drop: (batch, width of the output), what multiplies the output where it feeds back.
        zones: state -> what share of its old value it keeps: a number, or (time, batch, width).
        reverse: go from the last step to the first.
        fresh: the pass starts from the cell's own states, not from given or learnt ones.
    """

    cell: Cell
    x: Tensor
    weights: Weights
    states: tuple[Tensor, ...]
    starts: tuple[Tensor, ...]
    lengths: Tensor | None = None
    resets: Tensor | None = None
    drop: Tensor | None = None
    zones: dict[str, Tensor | float] = field(default_factory=dict)
    reverse: bool = False
    fresh: bool = False

    @property
    def mask(self) -> Tensor | None:
        """(time, batch, 1), False where a sequence has ended; None if none ends early."""
        return None if self.lengths is None else alive(self.lengths, self.x)


@constant
def parts_of(cell: type[Cell]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which states and vectors, and which norms, the step of a cell takes."""
    return tuple(k for k in cell.keywords() if k not in cell.norms()), cell.norms()


def alive(lengths: Tensor, x: Tensor) -> Tensor:
    """Return (time, batch, 1), True at the steps that belong to a sequence of ``x``."""
    return torch.arange(x.shape[0], device=x.device)[:, None, None] < lengths[None, :, None]
