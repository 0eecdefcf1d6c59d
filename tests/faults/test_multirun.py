"""Faults of Hydra's launchers."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from disturbed import STUDY, Table, rerun
from processes import Start, at_work, finished, needs_proc, wait_for

pytestmark = needs_proc


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of a process of Hydra's joblib launcher (`lstmlab run -m hydra/launcher=joblib`)",
    "joblib gives up the whole sweep, which one line says; runs that are done are kept, and the others done by a rerun",
)
def test_a_killed_process_of_joblib_ends_the_sweep_with_a_line(
    tmp_path: Path, start: Start, undisturbed: Table
) -> None:
    sweep = start(tmp_path, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *STUDY, command=("run", "-m"))
    wait_for(lambda: finished(tmp_path) and at_work(tmp_path))
    claim, *_ = tmp_path.glob("runs/*/claim-*.json")
    os.kill(json.loads(claim.read_text())["pid"], signal.SIGKILL)
    _, said = sweep.communicate(timeout=60)
    assert sweep.returncode == 1
    assert "Traceback" not in said
    assert said.count("lstmlab: TerminatedWorkerError: ") == 1
    kept = finished(tmp_path)
    assert 1 <= len(kept) < 4
    assert rerun(tmp_path).table == undisturbed
    assert {name: time for name, time in finished(tmp_path).items() if name in kept} == kept
