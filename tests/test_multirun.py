"""`lstmlab run -m` with Hydra's launchers: the runs of a study, in the same store, wherever they are done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TINY
from leaky import CELL, write_plugin
from slurm_cluster import slurm

from lstmlab import cli
from lstmlab.machine import cores

__all__ = ["slurm"]  # a fixture
TIMES = {"seconds", "seconds_per_step", "started", "wall_seconds"}
RUNS = [*TINY, "cell=leaky", "engine=reference", "seed=0,1", "train.steps=20"]
WILD = ["train.clip_norm=null", "train.schedule=constant"]


def lstmlab(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lstmlab", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def facts_of(outputs: Path) -> dict[str, dict[str, object]]:
    """What is the same wherever a run is done, by name of the run."""
    results = [json.loads(f.read_text()) | {"name": f.parent.name} for f in outputs.glob("runs/*/result.json")]
    return {r["name"]: {k: v for k, v in r.items() if k not in TIMES} for r in results if r["status"] == "done"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a plugin, and a study done in it."""
    folder = tmp_path_factory.mktemp("work")
    write_plugin(folder, "mine", CELL)
    done = lstmlab("study", *RUNS, *WILD, "train.learning_rate=0.01", "launch=serial", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    "launcher",
    [
        "basic",
        "joblib",
        pytest.param("submitit_local", marks=pytest.mark.slow),
        pytest.param("submitit_slurm", marks=pytest.mark.real),  # the same launcher on Slurm, and twenty seconds more
    ],
)
def test_launchers_do_the_runs_of_a_study(
    launcher: str, work: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Two of four jobs fail in training; one is done already, and one gives the numbers of the study."""
    if launcher == "submitit_slurm":
        request.getfixturevalue("slurm")
    studied = facts_of(work / "outputs")
    (there,) = (work / "outputs" / "runs").glob("*-s0-*")
    shutil.copytree(there, tmp_path / "runs" / there.name)
    before = (there / "result.json").read_bytes()
    options = [*RUNS, *WILD, "train.learning_rate=0.01,1e30", f"outputs={tmp_path}"]
    done = lstmlab("run", "-m", f"hydra/launcher={launcher}", *options, cwd=work)
    assert done.returncode == 1, "the worst of the four"
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("lstmlab: ")]
    assert len(errors) == 2
    assert all("became" in line for line in errors)
    assert done.stdout.count("adding · leaky · seed") == 2
    assert facts_of(tmp_path) == studied
    assert (tmp_path / "runs" / there.name / "result.json").read_bytes() == before, "what is done is not done again"
    assert {p.name for p in work.iterdir()} == {"plugins", "outputs"}
    assert {p.name for p in tmp_path.iterdir()} == {"runs", "multirun"}
    assert {p.name for p in (tmp_path / "multirun").iterdir()} <= {"multirun.yaml", ".submitit"}
    used = yaml.safe_load((tmp_path / "multirun" / "multirun.yaml").read_text())["hydra"]["launcher"]
    if launcher == "joblib":
        assert used["n_jobs"] == cores()
    if launcher.startswith("submitit"):
        assert used["cpus_per_task"] == 1


def test_a_launcher_that_is_not_installed_is_named(tmp_path: Path) -> None:
    arguments = ["run", "-m", "hydra/launcher=joblib", *TINY, f"outputs={tmp_path}"]
    code = f"import sys; sys.modules['hydra_plugins.hydra_joblib_launcher'] = None; sys.argv[1:] = {arguments}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; from lstmlab import cli; sys.exit(cli.main())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == "lstmlab: hydra/launcher=joblib needs a plugin: pip install 'lstmlab[multirun]'.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hydra/launcher=jobllib"], "jobllib"),
        (["hydra/launcher=joblib", "hydra.launcher.jobs=2"], "jobs"),
        (["hydra/launcher=joblib", "cell=vanilla,pephole"], "Did you mean 'peephole'"),
        (["launch=slurm"], "launchers are for studies"),
    ],
)
def test_every_job_is_checked_before_the_first_starts(
    arguments: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "-m", *arguments, *TINY, f"outputs={tmp_path}"]) in (1, 2)
    shown = capfd.readouterr()
    assert said in shown.err
    assert shown.err.startswith("lstmlab: ")
    assert "Traceback" not in shown.err
    assert not list(tmp_path.glob("runs/*"))
