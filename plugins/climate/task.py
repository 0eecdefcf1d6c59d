"""The climate task: what is particular about weekly CO2."""

from __future__ import annotations

from lstmlab.tasks import Metric
from lstmlab.tasks.forecasting import Forecasting


class Climate(Forecasting):
    """Multi-step forecast of weekly CO2."""

    metrics = (Metric("MAE", "ppm"), Metric("MASE"))
