"""Data that is made, not measured; every report says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.data._dataset import Dataset
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


@dataset("adding")
class Adding(Dataset):
    """The adding problem: remember two marked numbers of a long sequence (generated)."""

    tasks = ("adding",)
    size = "drawn anew for every epoch"
    title = "Adding problem (generated)"
    kind = "generated"
    licence = "none needed: generated from a seed"
    source = "lstmlab.data.generated"
    citation = (
        "Hochreiter, S. and Schmidhuber, J. (1997), Long Short-Term Memory, Neural Computation 9(8), "
        "experiment 4; values in [0, 1] as in Le, Jaitly and Hinton (2015), arXiv:1504.00941"
    )

    def load(self) -> Callable[[int, int, np.random.Generator], tuple[np.ndarray, np.ndarray]]:
        """Return `draw`."""
        return draw

    def content(self) -> bytes:
        """Return a sample's bytes: they change when the way of drawing does."""
        import numpy as np

        inputs, targets = draw(4, 10, np.random.default_rng(0))
        return inputs.tobytes() + targets.tobytes()


def draw(count: int, length: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return ``count`` sequences (count, length, 2) of value and marker, and their targets (count,).

    One step of each half is marked; the target is the sum of the two marked values. Always
    answering 1 gives a mean squared error of 1/6.
    """
    import numpy as np

    values = random.random((count, length), dtype=np.float32)
    marks = np.zeros_like(values)
    rows = np.arange(count)
    first = random.integers(0, length // 2, count)
    second = random.integers(length // 2, length, count)
    marks[rows, first] = marks[rows, second] = 1
    return np.stack([values, marks], axis=2), values[rows, first] + values[rows, second]
