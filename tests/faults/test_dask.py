"""Faults of a Dask cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dask_cluster import QUICK, DaskCluster, dask_cluster
from disturbed import STUDY, Table, rerun
from processes import Start, at_work, finished, gone, needs_proc, wait_for

pytestmark = needs_proc


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler and two workers, each of which a nanny process watches."""
    with dask_cluster(tmp_path, workers=2) as cluster:
        cluster.wait()
        yield cluster


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


def below(pid: int, module: str) -> list[psutil.Process]:
    """Processes of a module that a process has started, directly or not."""
    return [p for p in psutil.Process(pid).children(recursive=True) if module in " ".join(p.cmdline())]


def on(cluster: DaskCluster, *more: str) -> list[str]:
    return [*STUDY[:-1], "launch=dask", f"launch.address={cluster.address}", *more]


RUNS = "lstmlab.studies.launch.worker"


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of the Dask scheduler",
    "the driver says so and ends; workers write checkpoints and end; a rerun, with Dask or without, does the rest",
)
def test_a_killed_scheduler_loses_nothing(
    outputs: Path, cluster: DaskCluster, start: Start, undisturbed: Table
) -> None:
    driver = start(outputs, *on(cluster), env={**os.environ, **QUICK})
    wait_for(lambda: at_work(outputs))
    runs = [p for worker in cluster.processes[1:] for p in below(worker.pid, RUNS)]
    assert runs
    os.kill(cluster.scheduler.pid, signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 2, said
    assert "the connection to the Dask scheduler" in said
    assert f"the Dask scheduler {cluster.address} is gone. Finished runs are kept" in said
    assert "repeat the command when a scheduler and workers are there, or with launch=processes" in said
    assert "Traceback" not in said
    wait_for(lambda: all(gone(p.pid) for p in runs))
    kept = finished(outputs)
    assert len(kept) < 4
    assert not list(outputs.glob("runs/.dask-*"))
    assert rerun(outputs).table == undisturbed
    assert {name: at for name, at in finished(outputs).items() if name in kept} == kept


@pytest.mark.fault(
    "SIGKILL of a Dask worker",
    "another one does its runs, without training twice what the killed one's process still finishes",
)
def test_a_killed_dask_worker_costs_nothing(
    outputs: Path, cluster: DaskCluster, start: Start, undisturbed: Table
) -> None:
    driver = start(outputs, *on(cluster))
    wait_for(lambda: at_work(outputs))
    nanny = next(w for w in cluster.processes[1:] if below(w.pid, RUNS))
    (run,) = below(nanny.pid, RUNS)
    worker = run.parent()
    assert worker is not None
    assert worker.pid != nanny.pid
    worker.kill()
    _, said = driver.communicate(timeout=100)
    assert driver.returncode == 0, said
    assert "Traceback" not in said
    assert len(finished(outputs)) == 4
    again = rerun(outputs)
    assert again.trained == set()
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "SIGTERM of a Dask worker, as at the end of its job's time",
    "its run writes a checkpoint and goes on from there on another worker",
)
def test_a_dask_worker_that_is_stopped_hands_its_run_on(
    outputs: Path, cluster: DaskCluster, start: Start, undisturbed: Table
) -> None:
    driver = start(outputs, *on(cluster, "checkpoint_minutes=100"))
    wait_for(lambda: len(list(outputs.glob("runs/*/metrics.jsonl"))) >= 2)
    worker = cluster.processes[1]
    runs = below(worker.pid, RUNS)
    worker.terminate()
    wait_for(lambda: all(gone(run.pid) for run in runs) and at_work(outputs), 30)
    _, said = driver.communicate(timeout=100)
    assert driver.returncode == 0, said
    again = rerun(outputs)
    assert again.trained == set()
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of the driver of a Dask cluster",
    "each worker finishes the run that it is at and begins no further one; a rerun on the same cluster does the others",
)
def test_a_killed_driver_leaves_the_cluster_in_order(
    outputs: Path, cluster: DaskCluster, start: Start, undisturbed: Table
) -> None:
    driver = start(outputs, *on(cluster, "workers=1"))
    claimed: list[int] = []

    def second() -> bool:
        claimed.append(len({file.parent for file in outputs.glob("runs/*/claim-*.json")}))
        return bool(finished(outputs)) and at_work(outputs)

    wait_for(second)
    assert max(claimed) == 1, "one run at a time, whatever the cluster has"
    driver.kill()
    driver.wait(timeout=10)
    wait_for(lambda: not at_work(outputs))
    kept = finished(outputs)
    assert 2 <= len(kept) < 4
    time.sleep(2)
    assert finished(outputs) == kept, "nothing further is begun"
    again = start(outputs, *on(cluster))
    _, said = again.communicate(timeout=100)
    assert again.returncode == 0, said
    assert {name: at for name, at in finished(outputs).items() if name in kept} == kept
    assert rerun(outputs).table == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.fault(
    "Ctrl-C once, and twice, with launch=dask",
    "as with processes; what workers have not begun is taken back, and no process is left on them",
)
def test_ctrl_c_with_dask(times: int, outputs: Path, cluster: DaskCluster, start: Start, undisturbed: Table) -> None:
    driver = start(outputs, *on(cluster), "checkpoint_minutes=100")
    wait_for(lambda: len(list(outputs.glob("runs/*/metrics.jsonl"))) >= 2)
    at = {f.parent.name for f in outputs.glob("runs/*/claim-*.json")}
    for _ in range(times):
        os.kill(driver.pid, signal.SIGINT)
        time.sleep(0.1)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "Traceback" not in said
    assert [p for worker in cluster.processes[1:] for p in below(worker.pid, RUNS)] == []
    assert not list(outputs.glob("runs/*/claim-*"))
    assert not list(outputs.glob("runs/.dask-*"))
    kept = len(finished(outputs))
    assert at_work(outputs) == (times == 2)
    assert kept == len(at) if times == 1 else kept < len(at)
    again = rerun(outputs)
    assert len(again.trained) == 4 - kept
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "Ctrl-C once, while runs wait for a Dask worker that is busy with another study",
    "they are taken back at once, and never begun",
)
def test_what_waits_behind_another_study_is_taken_back(outputs: Path, tmp_path: Path, start: Start) -> None:
    with dask_cluster(tmp_path, workers=1) as cluster:
        other = start(tmp_path / "other", *on(cluster), "train.steps=1000000", "cell=vanilla", "seed=0")
        wait_for(lambda: at_work(tmp_path / "other"))
        driver = start(outputs, *on(cluster))
        wait_for(lambda: list(outputs.glob("runs/.dask-*")))
        time.sleep(3)
        os.kill(driver.pid, signal.SIGINT)
        driver.communicate(timeout=10)
        assert driver.returncode == 130
        assert other.poll() is None
        for _ in range(2):
            other.send_signal(signal.SIGINT)
            time.sleep(0.2)
        other.communicate(timeout=30)
        assert not list(outputs.glob("runs/*/"))
