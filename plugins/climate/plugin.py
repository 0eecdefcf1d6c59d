"""Weekly CO2 at Mauna Loa: a forecast of the next half year."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("climate")
def climate() -> type[Task]:
    """Forecast weekly CO2 at Mauna Loa several months ahead (MAE in ppm)."""
    from lstmlab.tasks.forecasting import Forecasting

    return Forecasting
