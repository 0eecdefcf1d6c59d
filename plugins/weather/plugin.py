"""Weather: forecasts with quantiles, of one or several series at once, with or without other variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data as data  # registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("weather")
def weather() -> type[Task]:
    """Forecast a series several steps ahead with quantiles (MAE in its unit)."""
    from lstmlab.tasks.forecasting import Forecasting

    return Forecasting
