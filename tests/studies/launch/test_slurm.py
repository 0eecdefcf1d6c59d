"""launch=slurm: the same runs, with the same numbers, as jobs of a cluster."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import TINY
from processes import wait_for
from slurm_cluster import SlurmCluster, slurm

import lstmlab
from lstmlab.errors import LstmlabError

__all__ = ["slurm"]  # a fixture
TIMES = {"seconds", "seconds_per_step", "started", "wall_seconds"}
STUDY = [*[o for o in TINY if not o.startswith("workers")], "cell=vanilla", "seed=0,1,2", "workers=2"]


def runs_of(outputs: Path) -> dict[str, tuple[dict[str, object], bytes]]:
    """Results without times, and weights, by name of the run."""
    runs = {}
    for file in outputs.glob("runs/*/result.json"):
        result = {k: v for k, v in json.loads(file.read_text()).items() if k not in TIMES}
        runs[file.parent.name] = result, (file.parent / "weights.safetensors").read_bytes()
    return runs


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, object], bytes]]:
    outputs = tmp_path_factory.mktemp("serial")
    lstmlab.study("variants", [*STUDY, "launch=serial", f"outputs={outputs}"]).run()
    return runs_of(outputs)


@pytest.mark.parametrize("cluster", [pytest.param("local", marks=pytest.mark.slow), "slurm"])
def test_jobs_give_the_numbers_of_serial_and_leave_nothing_behind(
    cluster: str, request: pytest.FixtureRequest, tmp_path: Path, serial: dict[str, object]
) -> None:
    """Three runs in two jobs: one of them does two, with one start of its worker."""
    used = request.getfixturevalue("slurm") if cluster == "slurm" else None
    options = ["launch=slurm", f"launch.cluster={cluster}", 'launch.setup=["export SEEN=1", "touch $PWD/../seen"]']
    if cluster == "slurm":
        options.append('launch.options=["comment=tests"]')
    work = tmp_path / "work"
    work.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        study = lstmlab.study("variants", [*STUDY, *options, f"outputs={tmp_path}"])
        assert set(study.run().table()["status"]) == {"done"}
    assert runs_of(tmp_path) == serial
    assert (tmp_path / "seen").exists(), "the lines of launch.setup are done before a job"
    assert not (tmp_path / ".slurm").exists()
    assert not list(tmp_path.glob("runs/*/claim-*"))
    if used:
        wait_for(lambda: not used.jobs(), 20)
        assert used.call("squeue", "--noheader", "--array", "--states=all", "--format=%T").split() == ["COMPLETED"] * 2


def test_a_job_that_cannot_begin_ends_the_study_with_the_reason(slurm: SlurmCluster, tmp_path: Path) -> None:
    overrides = [*STUDY, "launch=slurm", 'launch.setup=["exit 3"]', f"outputs={tmp_path}"]
    study = lstmlab.study("variants", overrides).run()
    assert set(study.table()["status"]) == {"failed"}
    (reason,) = set(study.failures.values())
    assert reason.startswith("its job ended: FAILED")
    assert list(Path(reason.rpartition("logs are in ")[2]).glob("*_log.err"))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("launch.partition=nowhere", "cannot be submitted: .*invalid partition"),
        ('launch.options=["nonsense=1"]', "cannot be submitted: .*unrecognized option"),
    ],
)
def test_what_slurm_refuses_is_said_and_nothing_waits(
    option: str, said: str, slurm: SlurmCluster, tmp_path: Path
) -> None:
    study = lstmlab.study("variants", [*STUDY, "launch=slurm", option, f"outputs={tmp_path}"])
    with pytest.raises(LstmlabError, match=said):
        study.run()
    assert not slurm.jobs()
    assert not list(tmp_path.glob(".slurm/*"))


def test_where_there_is_no_slurm_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(shutil.which("true") or "").parent / "nowhere"))
    study = lstmlab.study("variants", [*STUDY, "launch=slurm", "launch.cluster=slurm", f"outputs={tmp_path}"])
    with pytest.raises(LstmlabError, match="there is no command sbatch here"):
        study.run()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("launch.cluster=sge", "expected one of slurm, local"),
        ("launch.minutes=1", "at least 5"),
        ("launch.pak=3", "launch.pack"),
    ],
)
def test_keys_are_checked_before_anything_starts(option: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match=said):
        lstmlab.study("variants", [*STUDY, "launch=slurm", option, f"outputs={tmp_path}"])
