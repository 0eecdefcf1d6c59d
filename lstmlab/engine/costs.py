"""What a cell costs: parameters, and floating-point operations, counted from its equations."""

from __future__ import annotations

import math
from typing import NamedTuple

from lstmlab.cells import Cell, equations
from lstmlab.engine.parameters import shapes

BACKWARD = 2  # a product has two in its backward pass, for its weights and for its input; the rest about as many


class Flops(NamedTuple):
    """Operations of one step of one sequence."""

    forward: int
    backward: int

    @property
    def both(self) -> int:
        """Of a training step."""
        return self.forward + self.backward


def parameters(cell: type[Cell], input_size: int, hidden_size: int) -> int:
    """Return the number of weights of one layer in one direction, gains and shifts of norms included."""
    count = sum(math.prod(shape) for shape in shapes(cell, input_size, hidden_size, hidden_size).values())
    if cell.norm:
        fed = sum(map(len, cell.recurrent.values()))
        count += (len(cell.inputs) + fed + 2 * len(cell.norms())) * hidden_size
    return count


def flops(cell: type[Cell], input_size: int, hidden_size: int) -> Flops:
    """Return the operations of one step of one sequence in one layer.

    A product counts a multiplication and an addition per weight, and a node of the equations one
    operation per unit, be it a sum or a tanh. The backward pass is taken as `BACKWARD` times that.
    """
    named = shapes(cell, input_size, hidden_size, hidden_size)
    products = sum(2 * math.prod(shape) for name, shape in named.items() if name.startswith("weight"))
    found = equations(cell)
    operations = [node for node in found.graph.needed(list(found.states.values())) if node.args]
    forward = products + len(operations) * hidden_size
    return Flops(forward, BACKWARD * forward)
