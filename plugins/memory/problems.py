"""The generated tests of memory, each a line or two on top of its family."""

from __future__ import annotations

import numpy as np

from lstmlab.tasks.classification import Classification
from lstmlab.tasks.generated import Generated
from lstmlab.tasks.labelling import GeneratedLabelling
from lstmlab.tasks.regression import GeneratedRegression


class Adding(GeneratedRegression):
    """Add two marked numbers."""

    features = 2


class Copying(GeneratedLabelling):
    """Repeat ten symbols of eight after a pause of ``length`` steps."""

    symbols, labels = 10, 8


class Parity(GeneratedLabelling):
    """Say at each step whether the number of ones so far is odd."""

    symbols, labels = 2, 2


class TemporalOrder(Generated, Classification):
    """Tell in which order X and Y came."""

    classes = ("XX", "XY", "YX", "YY")
    features = 8

    def labels(self, split: str) -> np.ndarray:
        """Return the class numbers of a split."""
        return self.draw(split)[1]
