"""Faults of the driver and its worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from disturbed import STUDY, Table, rerun, table_of
from jupyter_client.manager import KernelManager
from processes import Start, at_work, finished, gone, needs_proc, wait_for, workers_of

pytestmark = needs_proc
IGNORING = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")  # as a script's `command &` starts it


@pytest.mark.fault(
    "SIGKILL of a worker process",
    "its run is recorded as failed with the reason, a new worker does the others, and a rerun trains that run only",
)
def test_a_killed_worker_costs_its_run_only(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *STUDY)
    wait_for(lambda: at_work(tmp_path))
    os.kill(workers_of(driver.pid)[0], signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert said.count("failed: its worker process died: SIGKILL") == 1
    assert len(finished(tmp_path)) == 4
    again = rerun(tmp_path)
    assert len(again.trained) == 1
    assert again.table == undisturbed


@pytest.mark.fault(
    "SIGKILL of the driver",
    "each worker finishes the run that it is at, and records it; a rerun does the others",
)
def test_a_killed_driver_loses_nothing(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *STUDY)
    wait_for(lambda: finished(tmp_path) and at_work(tmp_path))
    pids = workers_of(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    wait_for(lambda: all(map(gone, pids)))
    kept = finished(tmp_path)
    assert 2 <= len(kept) < 4, "the run at work was finished, and no further one begun"
    assert [row["status"] for row in table_of(tmp_path)] == ["done", "missing", "missing", "missing"], "so far"
    assert rerun(tmp_path).table == undisturbed
    assert {name: time for name, time in finished(tmp_path).items() if name in kept} == kept


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of the driver and of its workers at once, as when the machine goes down",
    "the runs at work go on from their checkpoints in a rerun, at once and without a minute's wait",
)
def test_all_processes_die_at_once(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *STUDY)
    wait_for(lambda: finished(tmp_path) and at_work(tmp_path))
    for pid in [*workers_of(driver.pid), driver.pid]:
        os.kill(pid, signal.SIGKILL)
    driver.wait(timeout=10)
    done = len(finished(tmp_path))
    (unfinished,) = tmp_path.glob("runs/*/checkpoint.safetensors")
    began = time.monotonic()
    again = rerun(tmp_path)
    assert time.monotonic() - began < 60, "a claim of a process that is known to be dead holds nobody up"
    assert unfinished.parent.name in again.trained
    assert len(again.trained) == 4 - done
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of the kernel of a notebook that runs a study",
    "as for the driver; a notebook is nothing else",
)
def test_a_killed_kernel_loses_nothing(tmp_path: Path, undisturbed: Table) -> None:
    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel()
    try:
        client = kernel.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute(f"import lstmlab; lstmlab.study('variants', {[*STUDY, f'outputs={tmp_path}']}).run()")
        wait_for(lambda: finished(tmp_path) and at_work(tmp_path))
        pid = kernel.provisioner.pid
        workers = workers_of(pid)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: all(map(gone, workers)))
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    kept = len(finished(tmp_path))
    assert 2 <= kept < 4
    again = rerun(tmp_path)
    assert len(again.trained) == 4 - kept
    assert again.table == undisturbed


@pytest.mark.fault(
    "Ctrl-C once",
    "the runs at work are finished and nothing more is begun, also where a script had the signal ignored",
)
def test_ctrl_c_once_finishes_what_runs(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *STUDY, prefix=IGNORING)
    wait_for(lambda: at_work(tmp_path))
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "the runs at work are finished first" in said
    assert "interrupted; finished runs are kept" in said
    assert "Traceback" not in said
    assert len(finished(tmp_path)) == 1
    assert not list(tmp_path.glob("runs/*/claim-*"))
    again = rerun(tmp_path)
    assert len(again.trained) == 3
    assert again.table == undisturbed


@pytest.mark.fault(
    "Ctrl-C twice",
    "the runs at work write a checkpoint and end, no process is left, and a rerun goes on from the checkpoints",
)
def test_ctrl_c_twice_stops_now(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *STUDY, "workers=2", "checkpoint_minutes=100")
    wait_for(lambda: len(list(tmp_path.glob("runs/*/metrics.jsonl"))) >= 2)
    pids = workers_of(driver.pid)
    os.kill(driver.pid, signal.SIGINT)
    time.sleep(0.3)
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert "Traceback" not in said
    assert len(pids) == 2
    assert all(map(gone, pids))
    kept = len(finished(tmp_path))
    assert at_work(tmp_path, 1)
    assert not list(tmp_path.glob("runs/*/claim-*"))
    again = rerun(tmp_path)
    assert len(again.trained) == 4 - kept
    assert again.table == undisturbed


@pytest.mark.fault("two drivers on one store", "each run is trained once; each driver waits for the runs of the other")
def test_two_drivers_share_a_store(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    first = start(tmp_path, *STUDY)
    wait_for(lambda: at_work(tmp_path))
    (worker,) = workers_of(first.pid)
    os.kill(worker, signal.SIGSTOP)  # so that the other meets it
    second = start(tmp_path, *STUDY)
    times: dict[str, set[int]] = {}
    while first.poll() is None or second.poll() is None:
        for name, at in finished(tmp_path).items():
            times.setdefault(name, set()).add(at)
        if len(times) >= 3 and not gone(worker):
            os.kill(worker, signal.SIGCONT)
        time.sleep(0.02)
    said = [driver.communicate(timeout=60) for driver in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert f"process {worker}: adding/" in "".join(said[1])
    assert len(times) == 4
    assert all(len(at) == 1 for at in times.values()), "no result was written twice"
    again = rerun(tmp_path)
    assert again.trained == set()
    assert again.table == undisturbed


CLOCK = """
import os, time
_now = time.time
time.time = lambda: _now() + float(open(os.environ["CLOCK"]).read())
"""


@pytest.mark.slow
@pytest.mark.fault(
    "the clock is set back by two hours while two drivers are at work",
    "nothing: no decision compares the clocks of two processes or two times of day",
)
def test_a_clock_that_is_set_back_does_no_harm(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    """The clock is the one that every Python process of the study reads."""
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    clock = tmp_path / "clock"
    clock.write_text("0")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "CLOCK": str(clock)}
    outputs = tmp_path / "outputs"
    first = start(outputs, *STUDY, env=environment)
    wait_for(lambda: at_work(outputs))
    clock.write_text("-7200")
    second = start(outputs, *STUDY, env=environment)
    for driver in (first, second):
        _, said = driver.communicate(timeout=90)
        assert driver.returncode == 0, said
    assert rerun(outputs).table == undisturbed
