"""The plugins of docs/plugins.md do what the page says, as an author types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from example_plugins import write_plugins

from lstmlab import cli
from lstmlab.testing import cell_checks, task_checks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("author")
    shown = write_plugins(root)
    assert {Path(path).parts[1] for path in shown} == {"sunspots", "mine"}
    return root


def lstmlab(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lstmlab", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("name", "checks"), [("sunspots", task_checks()), ("leaky", cell_checks())])
def test_a_line_for_each_check(folder: Path, name: str, checks: list[tuple[str, object]]) -> None:
    done = lstmlab(folder, "check", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[1].rstrip(":") for line in done.stdout.splitlines()] == [check for check, _ in checks]
    assert "failed" not in done.stdout


def test_what_fails_is_said_with_what_to_do_and_an_exit_code(folder: Path, tmp_path: Path) -> None:
    write_plugins(tmp_path)
    file = tmp_path / "plugins" / "sunspots" / "task.py"
    file.write_text(file.read_text().replace('self.part("train").std()', "self.dataset.load().std()"))
    done = lstmlab(tmp_path, "check", "sunspots", "--cell", "gru")
    assert done.returncode == 1, done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert failed == ["failed   no_leak_from_test_data: `fitted` changes when validation and test data do: scale"]
    assert "what to do: fit scales" in done.stdout


@pytest.mark.parametrize("arguments", [["climat"], ["climate", "--cell", "vanila"]], ids=["name", "cell"])
def test_unknown_names_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", *arguments]) == 2
    assert "Did you mean" in capsys.readouterr().err


def test_the_page_lists_every_check() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name, check in (*task_checks(), *cell_checks()):
        assert f"| `{name}` | {' '.join(str(check.__doc__).split())} |" in page
