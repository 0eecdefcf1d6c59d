"""What the character task promises on real data."""

from __future__ import annotations

import pytest

import lstmlab


@pytest.mark.real
def test_every_cell_beats_every_baseline_with_every_seed() -> None:
    study = lstmlab.study("variants", ["task=characters"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    best = min(scores["bits per character"] for scores in study.baselines["characters"].values())
    assert table.value.max() < best
