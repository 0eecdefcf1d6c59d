"""What trackers are told, and which there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from lstmlab.errors import LstmlabError
from lstmlab.studies.identity import Spec
from lstmlab.studies.store import Result, Store

Row = dict[str, Any]  # one line of metrics.jsonl
# Name, which is the extra's too -> the modules that it needs.
TRACKERS = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}


@dataclass(frozen=True)
class Trackers:
    """Which trackers watch a run.

    Attributes:
        names: of `TRACKERS`.
        experiment: what the run belongs to: a study or a task.
    """

    names: tuple[str, ...] = ()
    experiment: str = ""


@dataclass(frozen=True)
class Tracked:
    """A run that trackers watch."""

    spec: Spec
    store: Store
    experiment: str

    @property
    def folder(self) -> Path:
        """The run's folder in the store."""
        return self.store.folder(self.spec)

    def settings(self) -> dict[str, Any]:
        """Return the run's config as one level of keys, as in ``train.steps``."""
        return dict(_flat(asdict(self.spec.config), ""))


class Tracker(Protocol):
    """One run in one tool. Whatever it raises ends it and nothing else; however long it takes, nothing waits."""

    def __init__(self, run: Tracked) -> None: ...

    def begin(self, rows: Sequence[Row]) -> None:
        """Begin, or go on where the run was interrupted, with its history so far."""

    def log(self, rows: Sequence[Row]) -> None:
        """Take in what has been added to the history."""

    def end(self, result: Result | None) -> None:
        """End, with the run's result; None: it was interrupted and will go on."""


def require(names: Sequence[str]) -> None:
    """Refuse trackers that are not installed."""
    for name in names:
        missing = [module for module in TRACKERS[name] if find_spec(module) is None]
        if missing:
            raise LstmlabError(
                f"trackers=[{name}] needs {' and '.join(missing)}, not installed here: pip install 'lstmlab[{name}]'"
            )


def load(name: str) -> type[Tracker]:
    """Return a tracker, importing what it needs."""
    if name == "tensorboard":
        from lstmlab.studies.trackers.tensorboard import TensorBoard

        return TensorBoard
    from lstmlab.studies.trackers.mlflow import MLflow

    return MLflow


def values(row: Row) -> dict[str, float]:
    """Return the numbers of a row by the names that trackers show: ``train/loss``, ``validation/MSE``."""
    return {f"{row['split']}/{k}": v for k, v in row.items() if k != "step" and isinstance(v, int | float)}


def final(result: Result) -> Row:
    """Return the scores of a finished run's best weights on the test split as a row."""
    return {"step": result["best_step"], "split": "test", **result["scores"]["test"]}


def _flat(given: dict[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
