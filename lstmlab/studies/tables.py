"""The results of a study as one table, in memory and as ``results.csv`` and ``results.parquet``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet

from lstmlab.studies.files import write
from lstmlab.studies.identity import Spec
from lstmlab.studies.store import Result

COLUMNS = {
    "task": "string",
    "cell": "string",
    "seed": "int64",
    "status": "string",
    "hidden_size": "int64",
    "parameters": "Int64",
    "metric": "string",
    "unit": "string",
    "value": "float64",
    "seconds": "float64",
    "seconds_per_step": "float64",
    "steps": "Int64",
    "best_step": "Int64",
    "reason": "string",
    "id": "string",
}


def as_table(results: Mapping[Spec, Result | None], more: Callable[[Spec], dict[str, Any]]) -> pd.DataFrame:
    """Return one row per run: `COLUMNS`, its other metrics, and what ``more`` says of it."""
    rows = []
    for spec, result in results.items():
        config = spec.config
        row = {"task": config.task.label, "cell": config.cell.name, "seed": config.seed, "id": spec.id}
        row |= {"status": "missing", "hidden_size": config.cell.hidden_size}
        row |= {k: v for k, v in (result or {}).items() if k in COLUMNS}
        others = (result or {}).get("scores", {}).get("test", {})
        row |= {k: v for k, v in others.items() if k != row["metric"]}
        rows.append(row | more(spec))
    frame = pd.DataFrame(rows)
    for column, kind in COLUMNS.items():
        frame[column] = (frame[column] if column in frame else pd.Series([None] * len(frame))).astype(kind)
    return frame[[*COLUMNS, *(c for c in frame if c not in COLUMNS)]]


def write_tables(folder: Path, frame: pd.DataFrame) -> None:
    """Write both files, each whole or not at all."""
    write(folder / "results.csv", frame.to_csv(index=False).encode())
    parquet = BytesIO()
    frame.to_parquet(parquet, index=False)
    write(folder / "results.parquet", parquet.getvalue())


def say_if_narrowed(folder: Path, runs: int) -> None:
    """Say that the files there will hold fewer runs than they do."""
    path = folder / "results.parquet"
    before = pyarrow.parquet.read_metadata(path).num_rows if path.exists() else 0
    if before > runs:
        print(
            f"note: {folder} held results of {before} runs and will hold {runs}; no run is lost. "
            "study.name=NAME writes a narrowed study elsewhere.",
            file=sys.stderr,
        )


class Sometimes:
    """Calls a function when it is called itself, unless that was less than ten seconds ago.

    A function that takes long is called less often: it gets a twentieth of the time at most.
    """

    def __init__(self, function: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self.function, self.clock, self.due = function, clock, clock()

    def __call__(self) -> None:
        """Call it if it is time."""
        began = self.clock()
        if began >= self.due:
            self.function()
            ended = self.clock()
            self.due = ended + max(10.0, 20 * (ended - began))
