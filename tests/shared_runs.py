"""A run on two devices that tests disturb, and its processes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from conftest import ROOT, TINY

from lstmlab.studies.checkpoint import NAME

RUN = [
    *[o for o in TINY if not o.startswith("train.") and not o.startswith("workers")],
    "train.steps=300",
    "train.evaluate_every=100",
    "train.learning_rate=0.001",  # steep ground, which larger ones reach, makes much of a rounding
    "checkpoint_minutes=0.002",
]
Start = Callable[..., psutil.Popen]


@contextmanager
def starting() -> Iterator[Start]:
    """Give a starter of commands that share devices; none of their processes is left behind."""
    drivers: list[psutil.Popen] = []

    def start(command: str, outputs: Path, *overrides: str) -> psutil.Popen:
        line = [sys.executable, "-m", "lstmlab", command, *RUN, "train.devices=2", f"outputs={outputs}", *overrides]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        drivers.append(psutil.Popen(line, cwd=ROOT, text=True, start_new_session=True, **pipes))
        return drivers[-1]

    try:
        yield start
    finally:
        for driver in drivers:
            for process in [*children(driver), driver]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            driver.communicate()


def ranks_of(driver: psutil.Popen) -> list[int]:
    """Return the processes that train, the first rank first."""
    found = []
    for process in children(driver):
        with contextlib.suppress(psutil.Error):  # it has just ended
            found += [process.pid] if "lstmlab.studies.rank" in process.cmdline() else []
    return found


def children(driver: psutil.Popen) -> list[psutil.Process]:
    """Return what a process has started, none when it has ended."""
    with contextlib.suppress(psutil.Error):
        return driver.children(recursive=True)
    return []


def checkpoint(outputs: Path) -> bool:
    """Whether a run can be gone on with."""
    return any(outputs.glob(f"runs/*/{NAME}"))


def same(one: Path, other: Path) -> bool:
    """Whether two runs came to the same, to the last bit."""
    kept = [json.loads((folder / "result.json").read_text()) for folder in (one, other)]
    facts = [{k: r[k] for k in ("id", "status", "scores", "steps", "best_step", "parameters")} for r in kept]
    files = [[(f / name).read_bytes() for name in ("weights.safetensors", "metrics.jsonl")] for f in (one, other)]
    return facts[0] == facts[1] and files[0] == files[1]
