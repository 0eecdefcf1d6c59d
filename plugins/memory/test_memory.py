"""What the tests of memory promise: solved where they should be, and digits as they were written."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import lstmlab
from lstmlab import registry
from lstmlab.config import check, compose

MNIST_SHA256 = "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"  # of train-images-idx3-ubyte


def digits(*overrides: str) -> Any:
    return registry.task.get("digits")(check(compose(["task=digits", *overrides])).run.task)


@pytest.mark.parametrize(("order", "shape"), [("rows", (8, 8)), ("pixels", (64, 1)), ("permuted", (64, 1))])
def test_an_order_decides_what_a_step_is_and_loses_no_pixel(order: str, shape: tuple[int, int]) -> None:
    rows, task = digits(), digits(f"task.order={order}")
    batch, plain = next(task.batches("test", 7)), next(rows.batches("test", 7))
    assert batch.inputs.shape == (7, *shape)
    assert (batch.targets == plain.targets).all()
    np.testing.assert_array_equal(np.sort(batch.inputs.reshape(7, -1)), np.sort(plain.inputs.reshape(7, -1)))
    assert ((batch.inputs >= 0) & (batch.inputs <= 1)).all()


def test_no_image_stands_in_two_splits() -> None:
    seen = [{image.tobytes() for image in images} for images, _ in digits().splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 1797


def test_a_logistic_regression_is_the_baseline_to_beat() -> None:
    scores = digits().baselines("test")
    assert scores["logistic regression on 1,079 images"]["accuracy"] > 90 > scores["most frequent class"]["accuracy"]


@pytest.mark.real
def test_every_cell_solves_adding_with_every_seed() -> None:
    table = lstmlab.study("variants", ["task=adding"]).run().table()
    assert set(table.status) == {"done"}
    assert table.value.max() < 0.02


@pytest.mark.real
@pytest.mark.skipif("LSTMLAB_DATA_DIR" not in os.environ, reason="LSTMLAB_DATA_DIR does not say where MNIST is")
def test_mnist_is_what_it_always_was() -> None:
    import hashlib

    found = registry.dataset.get("mnist")().load()
    train = np.concatenate([found[split][0] for split in ("train", "validation")])
    header = np.array([2051, 60000, 28, 28], dtype=">i4").tobytes()
    assert hashlib.sha256(header + train.tobytes()).hexdigest() == MNIST_SHA256
    assert np.bincount(found["test"][1]).sum() == 3000
