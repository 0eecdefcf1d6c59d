"""The study that faults disturb, and how its end is compared with that of an undisturbed one."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT

# Two cells and two seeds of a training that takes a second, with a checkpoint every tenth of a second.
STUDY = [
    "task=adding",
    "task.samples=50",
    "task.epoch=64",
    "task.length=10",
    "cell=vanilla,peephole",
    "seed=0,1",
    "train.steps=300",
    "train.evaluate_every=100",
    "checkpoint_minutes=0.002",
    "workers=1",
]
TRAP = ["task=trap", *STUDY[1:]]  # the same of a plugin that misbehaves once
TIMES = ("seconds", "seconds_per_step")

Table = list[dict[str, str]]


@dataclass(frozen=True)
class Rerun:
    """A study that was repeated after a fault.

    Attributes:
        table: results.csv as text, without times.
        trained: names of the runs that ended anew.
        said: what the command wrote to stderr.
    """

    table: Table
    trained: set[str]
    said: str


def rerun(outputs: Path, *overrides: str, cwd: Path = ROOT) -> Rerun:
    """Repeat the command of a study, in one process, and see that all of it is done then."""
    before = _results(outputs)
    command = [sys.executable, "-m", "lstmlab", "study", "study=variants", *(overrides or STUDY)]
    done = subprocess.run(
        [*command, "launch=serial", f"outputs={outputs}"], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not list(outputs.glob("runs/*/claim-*")), "nobody claims a run that is over"
    after = _results(outputs)
    assert {json.loads(result)["status"] for result in after.values()} == {"done"}
    trained = {name for name in after if after[name] != before.get(name)}
    return Rerun(table_of(outputs), trained, done.stderr)


def table_of(outputs: Path) -> Table:
    """Return results.csv as text, without times."""
    text = (outputs / "variants" / "results.csv").read_text(encoding="utf-8")
    return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(io.StringIO(text))]


def failures(outputs: Path) -> list[str]:
    """Return the reasons of the runs that failed."""
    results = [json.loads(result) for result in _results(outputs).values()]
    return [result["reason"] for result in results if result["status"] == "failed"]


def _results(outputs: Path) -> dict[str, bytes]:
    return {f.parent.name: f.read_bytes() for f in outputs.glob("runs/*/result.json")}
