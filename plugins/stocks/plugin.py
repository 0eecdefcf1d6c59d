"""Daily prices: tomorrow's return and volatility, compared with what needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.registry import task

from . import data  # noqa: F401  registers the datasets

if TYPE_CHECKING:
    from lstmlab.tasks import Task


@task("stocks")
def stocks() -> type[Task]:
    """Forecast the next day's return and variance of a daily price (QLIKE of the variance)."""
    from .task import Stocks

    return Stocks
