"""Costs are those that can be counted by hand, and those of the layers that are built."""

import pytest

from lstmlab import registry
from lstmlab.engine import RNN
from lstmlab.engine.costs import flops, parameters


@pytest.mark.parametrize("name", list(registry.cell))
def test_parameters_are_those_of_the_layer(name: str) -> None:
    cell = registry.cell.get(name)
    assert parameters(cell, 3, 5) == sum(p.numel() for p in RNN(cell, 3, 5).parameters())


def test_flops_of_an_lstm_are_those_counted_by_hand() -> None:
    """Eight products, and i, f, g, o, f * c, i * g, their sum, tanh and its product: nine nodes per unit."""
    counted = flops(registry.cell.get("vanilla"), 3, 5)
    assert counted.forward == 2 * 4 * 5 * (3 + 5) + 9 * 5
    assert counted.backward == 2 * counted.forward
    assert counted.both == 3 * counted.forward


def test_a_coupled_gate_saves_a_product() -> None:
    """Three gates, and 1 - i in place of the sigmoid of f."""
    assert flops(registry.cell.get("coupled"), 3, 5).forward == 2 * 3 * 5 * (3 + 5) + 9 * 5
