"""How well a trial has to do on its way in order not to be left: decided by its history and by earlier trials alone.

The rule is that of Optuna's MedianPruner. What it compares with, though, are the trials of earlier rounds only, so
that neither the number of workers nor the order in which they end decides which trials are left.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmlab.studies.files import StorageError


class Left(Exception):  # noqa: N818  not an error
    """A run was left after an evaluation since it was behind; it goes on from there if it is needed to its end."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


@dataclass(frozen=True)
class Pace:
    """What a run is held against.

    Attributes:
        metric: name of the validation metric that is watched.
        better: "lower" or "higher".
        values: evaluation steps, and the value that the best so far must not be worse than.
    """

    metric: str
    better: str
    values: Sequence[tuple[int, float]] = ()

    def behind(self, rows: Iterable[dict[str, Any]]) -> int:
        """Return the first evaluation of a history at which the run is behind, 0 when it never is."""
        limits, sign = {int(step): value for step, value in self.values}, 1 if self.better == "lower" else -1
        best = float("nan")
        for row in rows:
            if row["split"] != "validation":
                continue
            value = sign * row[self.metric]
            best = value if best != best else min(best, value) if value == value else best
            limit = limits.get(row["step"])
            if limit is not None and not best <= sign * limit:
                return int(row["step"])
        return 0


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """Return the evaluations in a run's history, none where it has not begun.

    Raises:
        StorageError: when the history is damaged.
    """
    path = folder / "metrics.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # the last one may be cut: its process was killed
        return [row for row in map(json.loads, whole) if row["split"] == "validation"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged: {error}. Delete {folder} to train this run again.") from None
