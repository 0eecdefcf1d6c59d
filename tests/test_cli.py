"""The command line as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from lstmlab import cli


def lstmlab(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lstmlab", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_teaches() -> None:
    said = lstmlab("--help").stdout
    for text in (
        "lstmlab report study=variants",
        "lstmlab run task=climate cell=peephole seed=1",
        "-m cell=",
        "lstmlab bench",
    ):
        assert text in said


def test_list_shows_names_and_origins() -> None:
    said = lstmlab("list").stdout
    for text in ("vanilla", "peephole", "coupled", "climate", "language_model", "adding", "co2", "cells/vanilla.py:"):
        assert text in said


def test_a_run_prints_its_score_beside_the_baselines_and_is_not_repeated(tiny: list[str]) -> None:
    first = lstmlab("run", "cell=peephole", "seed=1", *tiny)
    assert first.returncode == 0, first.stderr
    assert "adding · peephole · seed 1" in first.stdout
    assert "constant: 0.1" in first.stdout
    assert "step" in first.stderr, "progress is shown"
    second = lstmlab("run", "cell=peephole", "seed=1", *tiny)
    assert second.stdout == first.stdout
    assert second.stderr == ""


def test_multirun_is_hydra_s_own_and_writes_to_outputs_only(tiny: list[str], tmp_path: Path) -> None:
    before = set(ROOT.iterdir())
    done = lstmlab("run", "-m", "cell=vanilla,peephole", "seed=0,1", *tiny)
    assert done.returncode == 0, done.stderr
    assert [line.split(" · ")[1:3] for line in done.stdout.splitlines() if " · seed" in line] == [
        [cell, f"seed {seed}"] for cell in ("vanilla", "peephole") for seed in (0, 1)
    ]
    assert {p.name for p in set(ROOT.iterdir()) - before} <= {"outputs"}
    assert (tmp_path / "outputs" / "multirun" / "multirun.yaml").exists()


def test_cfg_job_shows_the_config_and_trains_nothing(tmp_path: Path) -> None:
    done = lstmlab("run", "--cfg", "job", "task=adding", "train.steps=7", f"outputs={tmp_path}")
    assert "steps: 7" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "cell=pephole"], "Did you mean 'peephole'"),
        (["run", "-m", "cell=vanilla,pephole"], "Did you mean 'peephole'"),
        (["run", "-m", "cell=vanilla", "train.steps=4,x"], "train.steps='x'"),
        (["run", "task=weather", "task.path=my.csv"], "Add task.dataset=csv."),
        (["study", "study=varaints"], "Did you mean 'variants'"),
        (["study", "study=variants", "--force"], "'--force' is not known here"),
        (["report", "task=adding", "trian.steps=3"], "no key 'trian.steps'"),
        (["report", "task=adding", "study.notebook=30_comapre.ipynb"], "Did you mean '30_compare.ipynb'"),
        (["report", "outputs=/dev/null/x", "task=adding"], "cannot be written: Not a directory"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_input_ends_with_a_message_and_no_traceback(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    shown = capfd.readouterr()
    assert said in shown.err
    assert shown.err.startswith("lstmlab: ")
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_a_process_ends_with_the_code_of_its_command() -> None:
    """Hydra, which starts a run, passes on what it met."""
    done = lstmlab("run", "outputs=/dev/null/x", "task=adding")
    assert done.returncode == 2
    assert done.stderr.startswith("lstmlab: /dev/null/x/")
    assert "cannot be written: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_failed_training_says_why_and_ends_with_one(tiny: list[str], tmp_path: Path) -> None:
    wild = ["train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant", "train.steps=20"]
    done = lstmlab("run", *tiny, *wild)
    assert done.returncode == 1
    assert "became" in done.stderr
    assert "Traceback" not in done.stderr
    (result,) = tmp_path.glob("outputs/runs/*/result.json")
    assert json.loads(result.read_text())["status"] == "failed"
    assert '"gradient_norm"' in (result.parent / "metrics.jsonl").read_text(), "how it came to that is kept"


def test_an_unknown_command_names_the_known_ones() -> None:
    done = lstmlab("stduy")
    assert done.returncode == 2
    assert "study" in done.stderr
