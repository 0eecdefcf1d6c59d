"""A plugin is a folder: it works by lying there, and a broken one harms nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY
from leaky import CELL, write_plugin


def lstmlab(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LSTMLAB")}
    command = [sys.executable, "-m", "lstmlab", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("raise RuntimeError('half-way')", "half-way"),
        ("def broken(:", "SyntaxError"),
        (CELL + "\n1 / 0", "ZeroDivisionError"),
        (CELL.replace("leaky", "vanilla"), "registered twice"),
    ],
)
def test_a_broken_plugin_is_reported_and_left_out(tmp_path: Path, text: str, reason: str) -> None:
    write_plugin(tmp_path, "broken", text)
    listed = lstmlab(tmp_path, "list")
    assert listed.returncode == 0
    assert "left out" in listed.stdout
    assert reason in listed.stdout
    assert "peephole" in listed.stdout
    assert "leaky" not in listed.stdout


def test_an_outsiders_cell_trains_by_lying_in_the_folder(tmp_path: Path) -> None:
    """No YAML, no edit of the core: the cell is listed, sized to the budget, trained and compared."""
    write_plugin(tmp_path, "mine", CELL)
    assert "leaky" in lstmlab(tmp_path, "list").stdout
    done = lstmlab(tmp_path, "study", "study=variants", "cell=vanilla,leaky", *TINY, "seed=0,1")
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "outputs" / "variants" / "results.csv").read_text()
    assert table.count("leaky") == 2
    assert table.count("done") == 4


def test_of_two_folders_with_one_name_the_second_is_reported(tmp_path: Path) -> None:
    write_plugin(tmp_path, "climate", CELL)
    listed = lstmlab(tmp_path, "list")
    assert "another plugin folder of this name comes first" in listed.stdout
    assert "leaky" not in listed.stdout
    run = lstmlab(tmp_path, "run", "cell=leaky")
    assert "plugin left out" in run.stderr


def test_a_plugin_that_prints_disturbs_nobody_and_its_words_are_kept(tmp_path: Path) -> None:
    noisy = CELL.replace("f = sigmoid(f)", "print('in a step'); f = sigmoid(f)") + "\nprint('at import')\n"
    write_plugin(tmp_path, "noisy", noisy)
    # The reference path calls the step in every run, others only once, when the plugin is imported.
    done = lstmlab(tmp_path, "study", "study=variants", "cell=leaky", "engine=reference", *TINY, "seed=0")
    assert done.returncode == 0, done.stderr
    (log,) = tmp_path.glob("outputs/runs/*/log.txt")
    assert "in a step" in log.read_text()


def test_conf_of_a_plugin_joins_the_search_path(tmp_path: Path) -> None:
    write_plugin(tmp_path, "mine", '"""Only conf."""')
    study = tmp_path / "plugins" / "mine" / "conf" / "study"
    study.mkdir(parents=True)
    (study / "quick.yaml").write_text(
        "name: quick\nquestion: Is it found?\ntasks: [adding]\ncells: [vanilla]\nseeds: [0]\noverrides: []\n"
    )
    shown = lstmlab(tmp_path, "run", "--cfg", "job", "study=quick")
    assert "Is it found?" in shown.stdout, shown.stderr


def test_a_conf_file_that_is_no_yaml_is_refused_by_name(tmp_path: Path) -> None:
    write_plugin(tmp_path, "mine", '"""Only conf."""')
    study = tmp_path / "plugins" / "mine" / "conf" / "study"
    study.mkdir(parents=True)
    (study / "quick.yaml").write_text("name: [quick\nquestion: what\n")
    done = lstmlab(tmp_path, "study", "study=quick")
    assert done.returncode == 2
    assert "quick.yaml" in done.stderr
    assert "Traceback" not in done.stderr
