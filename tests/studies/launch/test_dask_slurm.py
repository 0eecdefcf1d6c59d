"""launch=dask with launch.jobqueue=slurm, on a real Slurm of one node."""

from __future__ import annotations

from pathlib import Path

import dask
import dask_jobqueue  # noqa: F401  it adds to Dask's configuration
import pytest
from conftest import TINY
from processes import wait_for

import lstmlab

slurm_cluster = pytest.importorskip("slurm_cluster")
slurm = slurm_cluster.slurm
STUDY = [*TINY, "cell=vanilla", "seed=0,1,2"]


def weights(outputs: Path) -> dict[str, bytes]:
    return {f.parent.name: f.read_bytes() for f in outputs.glob("runs/*/weights.safetensors")}


def test_workers_in_jobs_give_what_serial_gives_and_leave_no_job_behind(
    slurm: slurm_cluster.SlurmCluster, tmp_path: Path
) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    lstmlab.study("variants", [*STUDY, "launch=serial", f"outputs={alone}"]).run()
    loopback = {"interface": "lo", "scheduler-options": {"dashboard_address": "127.0.0.1:0"}}
    jobs = ["launch=dask", "launch.jobqueue=slurm", "workers=2", "launch.cpus=1", "launch.memory=1", "launch.minutes=5"]
    with dask.config.set({f"jobqueue.slurm.{key}": value for key, value in loopback.items()}):
        done = lstmlab.study("variants", [*STUDY, *jobs, f"outputs={together}"]).run()
    assert set(done.table()["status"]) == {"done"}
    assert weights(together) == weights(alone)
    wait_for(lambda: not slurm.jobs(), 30)
    assert len(slurm.call("squeue", "--noheader", "--array", "--states=all", "--format=%i").split()) >= 2
