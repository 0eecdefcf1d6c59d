"""Faults of the driver and its worker processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from disturbed import STUDY, Table, rerun
from processes import Start, finished, needs_proc, wait_for, workers_of

pytestmark = needs_proc


@pytest.mark.fault(
    "SIGKILL of a worker process",
    "its run is recorded as failed with the reason, a new worker does the others, and a rerun trains that run only",
)
def test_a_killed_worker_costs_its_run_only(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *STUDY)
    wait_for(lambda: list(tmp_path.glob("runs/*/checkpoint.safetensors")))
    os.kill(workers_of(driver.pid)[0], signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert said.count("failed: its worker process died: SIGKILL") == 1
    assert len(finished(tmp_path)) == 4
    table, trained = rerun(tmp_path)
    assert len(trained) == 1
    assert table == undisturbed
