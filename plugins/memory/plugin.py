"""Classic tests of memory: adding, copying, temporal order, parity, and images read bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data  # noqa: F401  registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("adding")
def adding() -> type[Task]:
    """Add the two marked numbers of a generated sequence (MSE)."""
    from .problems import Adding

    return Adding


@task("copying")
def copying() -> type[Task]:
    """Repeat ten symbols after a long pause (accuracy of the repeated symbols)."""
    from .problems import Copying

    return Copying


@task("temporal_order")
def temporal_order() -> type[Task]:
    """Tell in which order two symbols came that are far apart (accuracy over four classes)."""
    from .problems import TemporalOrder

    return TemporalOrder


@task("parity")
def parity() -> type[Task]:
    """Say at each step whether the number of ones so far is odd (accuracy)."""
    from .problems import Parity

    return Parity


@task("digits")
def digits() -> type[Task]:
    """Name a handwritten digit that is read row by row, or pixel by pixel (accuracy)."""
    from .digits import Digits

    return Digits
