"""The study that faults disturb, and how its end is compared with that of an undisturbed one."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from conftest import TINY

import lstmlab

# Two cells and two seeds of a training that takes two seconds or so, with a checkpoint every tenth of a second.
STUDY = [
    *[o for o in TINY if not o.startswith("train.")],
    "cell=vanilla,peephole",
    "seed=0,1",
    "train.steps=300",
    "train.evaluate_every=100",
    "checkpoint_minutes=0.002",
]
TIMES = ("seconds", "seconds_per_step")

Table = list[dict[str, str]]


def table_of(outputs: Path) -> Table:
    """Return results.csv as text, without times."""
    text = (outputs / "variants" / "results.csv").read_text(encoding="utf-8")
    return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(io.StringIO(text))]


def rerun(outputs: Path, *overrides: str, study: Sequence[str] = STUDY) -> tuple[Table, set[str]]:
    """Repeat the study; return its final table, and the names of the runs that were trained for it."""
    before = {f.parent.name: f.read_bytes() for f in outputs.glob("runs/*/result.json")}
    done = lstmlab.study("variants", [*study, *overrides, f"outputs={outputs}"]).run()
    assert set(done.table()["status"]) == {"done"}
    assert not list(outputs.glob("runs/*/claim-*")), "nobody claims a run that is over"
    after = {f.parent.name: f.read_bytes() for f in outputs.glob("runs/*/result.json")}
    return table_of(outputs), {name for name in after if after[name] != before.get(name)}
