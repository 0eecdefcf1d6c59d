"""Faults of the jobs of a Slurm cluster, and of the driver that submitted them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from disturbed import STUDY, Table, failures, rerun, table_of
from processes import Start, finished, wait_for, workers_of
from slurm_cluster import SlurmCluster, slurm

__all__ = ["slurm"]  # a fixture
JOBS = [*STUDY, "launch=slurm", "launch.cluster=slurm"]  # one job, which does four runs


def at_work(outputs: Path) -> bool:
    """Whether the job is at its second run."""
    return bool(finished(outputs)) and bool(list(outputs.glob("runs/*/checkpoint.safetensors")))


def tasks_of(outputs: Path) -> list[int]:
    """Return the processes that submitit started in jobs."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        words = file.read_bytes().split(b"\0") if file.exists() else []
        if b"submitit.core._submit" in words and str(outputs).encode() in b" ".join(words):
            found.append(int(file.parent.name))
    return [pid for pid in found if b"srun" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.fault(
    "a job is put back into the queue by its cluster, as upon preemption",
    "its run writes a checkpoint; started again, the job goes on from there and does the others; nothing fails",
)
def test_a_job_that_is_requeued_goes_on(slurm: SlurmCluster, tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *JOBS)
    wait_for(lambda: at_work(tmp_path))
    (job,) = slurm.jobs()
    slurm.call("scontrol", "requeue", job)
    wait_for(lambda: slurm.jobs("--states=PENDING") == [job])
    kept = finished(tmp_path)
    assert 1 <= len(kept) < 4
    assert list(tmp_path.glob("runs/*/checkpoint.safetensors"))
    slurm.start_now(job)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    assert {name: time for name, time in finished(tmp_path).items() if name in kept} == kept
    assert table_of(tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "a job's time runs out: Slurm sends the signal that was asked for",
    "its run writes a checkpoint, the job queues itself again, and goes on from there",
)
def test_a_job_whose_time_runs_out_queues_itself_again(
    slurm: SlurmCluster, tmp_path: Path, start: Start, undisturbed: Table
) -> None:
    driver = start(tmp_path, *JOBS)
    wait_for(lambda: at_work(tmp_path))
    (job,) = slurm.jobs()
    slurm.call("scancel", "--signal=USR2", job)
    wait_for(lambda: slurm.jobs("--states=PENDING") == [job])
    assert list(tmp_path.glob("runs/*/checkpoint.safetensors"))
    slurm.start_now(job)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    assert table_of(tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "the processes of a job are killed, as when its node runs out of memory",
    "the run at work is recorded as failed with the job's state, its other runs are submitted again",
)
def test_a_killed_job_costs_the_run_that_it_was_at(
    slurm: SlurmCluster, tmp_path: Path, start: Start, undisturbed: Table
) -> None:
    driver = start(tmp_path, *JOBS)
    wait_for(lambda: at_work(tmp_path))
    tasks = tasks_of(tmp_path)
    for pid in [*tasks, *(worker for task in tasks for worker in workers_of(task))]:
        os.kill(pid, signal.SIGKILL)
    _, said = driver.communicate(timeout=90)
    assert driver.returncode == 1
    assert len(finished(tmp_path)) == 4
    (reason,) = failures(tmp_path)
    assert reason.startswith("its job ended: FAILED")
    assert said.count("failed: adding/") == 1
    assert list(Path(reason.rpartition("logs are in ")[2]).glob("*_log.err"))
    again = rerun(tmp_path)
    assert len(again.trained) == 1
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "an administrator cancels a job",
    "its runs are recorded as failed with that reason, and not submitted against anybody's will; a rerun does them, "
    "the one at work from its checkpoint",
)
def test_a_cancelled_job_fails_its_runs(slurm: SlurmCluster, tmp_path: Path, start: Start, undisturbed: Table) -> None:
    driver = start(tmp_path, *JOBS)
    wait_for(lambda: at_work(tmp_path))
    slurm.call("scancel", *slurm.jobs())
    _, said = driver.communicate(timeout=90)
    assert driver.returncode == 1, said
    assert not slurm.jobs()
    reasons = failures(tmp_path)
    assert 1 <= len(reasons) < 4
    assert all(reason.startswith("its job ended: CANCELLED") for reason in reasons)
    assert list(tmp_path.glob("runs/*/checkpoint.safetensors"))
    again = rerun(tmp_path)
    assert len(again.trained) == len(reasons)
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "a study is started again while jobs that another driver has submitted wait or run, be that one killed or alive",
    "the jobs go on; the new driver finds them, submits nothing twice and takes their results",
)
@pytest.mark.parametrize("killed", [True, False])
def test_a_driver_finds_the_jobs_of_another(killed: bool, slurm: SlurmCluster, tmp_path: Path, start: Start) -> None:
    longer = [*JOBS, "train.steps=1200"]  # than it takes to start a driver
    first = start(tmp_path, *longer)
    wait_for(lambda: list(tmp_path.glob("runs/*/checkpoint.safetensors")))
    jobs = slurm.jobs()
    if killed:
        os.kill(first.pid, signal.SIGKILL)
        first.wait(timeout=10)
    second = start(tmp_path, *longer)
    _, said = second.communicate(timeout=90)
    assert second.returncode == 0, said
    assert killed or first.wait(60) == 0
    every = slurm.call("squeue", "--noheader", "--array", "--states=all", "--format=%i").split()
    assert max(map(int, every)) == int(*jobs), "no further job was submitted"
    assert len(finished(tmp_path)) == 4
    assert not list(tmp_path.glob(".slurm/*"))


@pytest.mark.slow
@pytest.mark.fault(
    "Ctrl-C once, and twice, with jobs on a cluster",
    "once: jobs that wait are cancelled and runs at work end; twice: they write a checkpoint and leave the queue",
)
@pytest.mark.parametrize("cluster", ["slurm", "local"])
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_runs_or_jobs(
    times: int, cluster: str, slurm: SlurmCluster, tmp_path: Path, start: Start, undisturbed: Table
) -> None:
    steps = "train.steps=300" if times == 1 else "train.steps=20000"
    options = [*STUDY, "launch=slurm", f"launch.cluster={cluster}", "launch.pack=2", "workers=1", steps]
    driver = start(tmp_path, *options)
    wait_for(lambda: list(tmp_path.glob("runs/*/checkpoint.safetensors")))
    for _ in range(times):
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to all that it started
        time.sleep(1)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "Traceback" not in said
    wait_for(lambda: not slurm.jobs(), 20)
    assert tasks_of(tmp_path) == []
    assert not list(tmp_path.glob("runs/*/claim-*"))
    assert not list(tmp_path.glob(".slurm/*"))
    assert failures(tmp_path) == []
    if times == 1:
        assert 1 <= len(finished(tmp_path)) < 3
        assert rerun(tmp_path).table == undisturbed
    else:
        assert finished(tmp_path) == {}
        assert list(tmp_path.glob("runs/*/checkpoint.safetensors"))
