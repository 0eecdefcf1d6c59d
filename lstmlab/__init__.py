"""lstmlab: a workbench for comparing recurrent cells.

>>> import lstmlab
>>> study = lstmlab.study("variants", ["task=climate", "seed=0,1"]).run()  # doctest: +SKIP
>>> study.table()  # doctest: +SKIP

The names below are the public ones; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstmlab.api import Run, Study, load_run, run, study
    from lstmlab.cells import Cell, CellError, exp, log_sigmoid, maximum, relu, sigmoid, tanh
    from lstmlab.data import Dataset
    from lstmlab.data.listing import datasets
    from lstmlab.engine import RNN
    from lstmlab.engine.tracing import trace
    from lstmlab.errors import LstmlabError
    from lstmlab.registry import cell, dataset, task
    from lstmlab.tasks import Batch, Metric, Task

_HOMES = {
    "lstmlab.api": ("Run", "Study", "load_run", "run", "study"),
    "lstmlab.cells": ("Cell", "CellError", "exp", "log_sigmoid", "maximum", "relu", "sigmoid", "tanh"),
    "lstmlab.data": ("Dataset",),
    "lstmlab.data.listing": ("datasets",),
    "lstmlab.engine": ("RNN",),
    "lstmlab.engine.tracing": ("trace",),
    "lstmlab.errors": ("LstmlabError",),
    "lstmlab.registry": ("cell", "dataset", "task"),
    "lstmlab.tasks": ("Batch", "Metric", "Task"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "RNN",
    "Batch",
    "Cell",
    "CellError",
    "Dataset",
    "LstmlabError",
    "Metric",
    "Run",
    "Study",
    "Task",
    "cell",
    "dataset",
    "datasets",
    "exp",
    "load_run",
    "log_sigmoid",
    "maximum",
    "relu",
    "run",
    "sigmoid",
    "study",
    "tanh",
    "task",
    "trace",
]
__version__ = _version("lstmlab")


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'lstmlab' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
