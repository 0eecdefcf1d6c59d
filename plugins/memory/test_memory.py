"""What the adding problem promises at the length of the study."""

from __future__ import annotations

import pytest

import lstmlab


@pytest.mark.real
def test_every_cell_solves_it_with_every_seed() -> None:
    table = lstmlab.study("variants", ["task=adding"]).run().table()
    assert set(table.status) == {"done"}
    assert table.value.max() < 0.02
