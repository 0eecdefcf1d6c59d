"""What the climate task promises on real data."""

from __future__ import annotations

import pytest

import lstmlab


@pytest.mark.real
def test_every_cell_beats_every_baseline_with_every_seed() -> None:
    study = lstmlab.study("variants", ["task=climate"]).run()
    table = study.table()
    assert set(table.status) == {"done"}
    assert table.value.max() < min(scores["MAE"] for scores in study.baselines["climate"].values())
