"""Several devices go through the training of one, and a resume on them changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import ranks
import torch

from lstmlab import Batch
from lstmlab.training.distributed import share

# What may differ is the order in which numbers are added up: after 8 steps, 3e-7 was measured in float32.
FLOAT32, FLOAT64 = 2e-6, 1e-13


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ranks.start(2, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ranks.start(3, tmp_path_factory.mktemp("three"))


def assert_equal(found: dict[str, Any], alone: dict[str, Any], tolerance: float) -> None:
    assert len(found["history"]) == len(alone["history"]) == 10, "8 steps and two evaluations"
    for a, b in zip(found["history"], alone["history"], strict=True):
        assert a.keys() == b.keys()
        assert a["step"] == b["step"]
        numbers = [k for k in b if k not in ("step", "split")]
        np.testing.assert_allclose([a[k] for k in numbers], [b[k] for k in numbers], tolerance, tolerance)


@pytest.mark.parametrize("case", ranks.CASES)
def test_two_devices_train_as_one_does(two: dict[str, Any], case: str) -> None:
    assert_equal(two[case], ranks.train(ranks.CASES[case]), FLOAT32)


@pytest.mark.slow
def test_three_devices_train_as_one_does(three: dict[str, Any]) -> None:
    assert_equal(three["uneven"], ranks.train(ranks.CASES["uneven"]), FLOAT32)


def test_what_differs_is_rounding(two: dict[str, Any]) -> None:
    assert_equal(two["double"], ranks.train(ranks.CASES["a state that goes on"], double=True), FLOAT64)


@pytest.mark.parametrize("step", [1, 5])
def test_a_resume_changes_nothing_to_the_last_bit(three: dict[str, Any], step: int) -> None:
    resumed, whole = three[f"resumed at {step}"], three["whole"]
    assert resumed["states"], "each rank has states of its own here"
    assert (resumed["history"], resumed["weights"]) == (whole["history"], whole["weights"])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_each_row_is_in_one_share(size: int) -> None:
    rows = torch.arange(3.0)[:, None]
    whole = Batch(rows, rows[:, 0], torch.tensor([1, 1, 1]), carry=True)
    parts = [share(whole, rank, size) for rank in range(size)]
    assert sorted(row for part, counts in parts if counts for row in part.targets.tolist()) == [0, 1, 2]
    assert all(len(part.inputs) == len(part.targets) == len(part.lengths) > 0 and part.carry for part, _ in parts)
    assert [counts for _, counts in parts] == [rank < 3 for rank in range(size)]
