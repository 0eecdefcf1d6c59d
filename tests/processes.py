"""Studies as real processes, which tests signal and kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

Start = Callable[..., subprocess.Popen[str]]
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")


@contextmanager
def starting() -> Iterator[Start]:
    """Give a starter of studies that leaves no process behind, whatever a test finds."""
    drivers: list[subprocess.Popen[str]] = []

    def start(
        outputs: Path,
        *overrides: str,
        command: Sequence[str] = ("study", "study=variants"),
        prefix: Sequence[str] = (),
        cwd: Path = ROOT,
        **options: Any,
    ) -> subprocess.Popen[str]:
        line = [*prefix, sys.executable, "-m", "lstmlab", *command, f"outputs={outputs}", *overrides]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        driver = subprocess.Popen(line, cwd=cwd, text=True, start_new_session=True, **pipes, **options)
        drivers.append(driver)
        return driver

    try:
        yield start
    finally:
        for driver in drivers:
            for pid in [*workers_of(driver.pid), driver.pid] if driver.poll() is None else []:
                os.kill(pid, signal.SIGKILL)
            driver.communicate()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def workers_of(pid: int) -> list[int]:
    """Return the children of a process."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in children for child in file.read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def at_work(outputs: Path, runs: int = 1) -> bool:
    """Whether so many runs have written a checkpoint and not ended."""
    return len(list(outputs.glob("runs/*/checkpoint.safetensors"))) >= runs


def finished(outputs: Path) -> dict[str, int]:
    """When each run that has ended did so, by folder name."""
    return {f.parent.name: f.stat().st_mtime_ns for f in outputs.glob("runs/*/result.json")}
