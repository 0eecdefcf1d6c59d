"""launch=dask with launch.jobqueue=slurm, on a real Slurm of one node."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask_jobqueue  # noqa: F401  it adds to Dask's configuration
import pytest
from conftest import TINY
from processes import wait_for

import lstmlab
from lstmlab.errors import LstmlabError

slurm_cluster = pytest.importorskip("slurm_cluster")
slurm = slurm_cluster.slurm
JOBS = ["launch=dask", "launch.jobqueue=slurm", "workers=2", "launch.cpus=1", "launch.memory=1", "launch.minutes=5"]


@pytest.fixture(autouse=True)
def loopback() -> Iterator[None]:
    """Dask's own settings for this cluster."""
    own = {"interface": "lo", "scheduler-options": {"dashboard_address": "127.0.0.1:0"}}
    settings: dict[str, Any] = {f"jobqueue.slurm.{key}": value for key, value in own.items()}
    with dask.config.set(settings | {"distributed.deploy.lost-worker-timeout": "1s"}):
        yield


STUDY = [*TINY, "cell=vanilla", "seed=0,1,2"]


def weights(outputs: Path) -> dict[str, bytes]:
    return {f.parent.name: f.read_bytes() for f in outputs.glob("runs/*/weights.safetensors")}


@pytest.mark.slow
def test_workers_in_jobs_give_what_serial_gives_and_leave_no_job_behind(
    slurm: slurm_cluster.SlurmCluster, tmp_path: Path
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    lstmlab.study("variants", [*STUDY, "launch=serial", f"outputs={alone}"]).run()
    done = lstmlab.study("variants", [*STUDY, *JOBS, f"outputs={together}"]).run()
    assert set(done.table()["status"]) == {"done"}
    assert weights(together) == weights(alone)
    assert list(together.glob(".dask/*.err")), "what jobs print is kept beside the runs"
    wait_for(lambda: not slurm.jobs(), 30)
    assert len(slurm.call("squeue", "--noheader", "--array", "--states=all", "--format=%i").split()) >= 2


def test_a_job_that_is_refused_ends_the_study_with_what_slurm_says(
    slurm: slurm_cluster.SlurmCluster, tmp_path: Path
) -> None:
    with pytest.raises(LstmlabError, match=r"could not be submitted.*(?s:.)*invalid partition"):
        lstmlab.study("variants", [*STUDY, *JOBS, "launch.queue=nowhere", f"outputs={tmp_path}"]).run()
    assert not slurm.jobs()


@pytest.mark.slow
def test_a_job_that_is_cancelled_is_replaced_and_its_run_goes_on(
    slurm: slurm_cluster.SlurmCluster, tmp_path: Path
) -> None:
    """As at the end of its time."""
    study = lstmlab.study("variants", [*STUDY, *JOBS, "workers=1", "train.steps=400", f"outputs={tmp_path}"])
    thread = threading.Thread(target=study.run, daemon=True)
    thread.start()
    wait_for(lambda: list(tmp_path.glob("runs/*/config.yaml")))
    (first,) = slurm.jobs()
    slurm.call("scancel", first)
    thread.join(120)
    assert set(study.table()["status"]) == {"done"}
    jobs = slurm.call("squeue", "--noheader", "--states=all", "--format=%i %T").splitlines()
    assert f"{first} CANCELLED" in jobs
    assert len(jobs) >= 2, "it and the one in its place"
