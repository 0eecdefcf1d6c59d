"""Anomalies in sensor data: learn normal behaviour, raise an alarm where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data  # noqa: F401  (registers the datasets)

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("anomaly")
def anomaly() -> type[Task]:
    """Find anomalies in sensor data with a forecaster or an autoencoder (F1 of ranges)."""
    from .task import Anomaly

    return Anomaly
