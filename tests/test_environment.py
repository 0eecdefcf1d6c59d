"""One source of truth for versions, and set-up that a newcomer can rely on."""

from __future__ import annotations

import re
import tomllib

import yaml
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return dict(line.lower().split("==") for line in lines)


def test_every_constraint_is_an_exact_pin() -> None:
    for line in (ROOT / "constraints.txt").read_text().split("\n"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+|", line), line


def test_torch_is_pinned_to_the_version_that_figures_were_measured_with() -> None:
    assert pins()["torch"] == "2.13.0"


def test_every_declared_dependency_is_pinned() -> None:
    declared = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    names = {re.match(r"[A-Za-z0-9._-]+", d)[0].lower() for d in declared}  # type: ignore[index]
    assert names <= set(pins())


def test_conda_users_get_the_same_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, section = environment["dependencies"]
    assert python.startswith("python=3.")
    assert tuple(map(int, python.removeprefix("python=").split("."))) >= (3, 11)
    assert pip == "pip"
    *listed, project = section["pip"]
    assert sorted(listed) == sorted((ROOT / "constraints.txt").read_text().split())
    assert project == "-e .[test]"


def test_ci_calls_make_test_and_nothing_cleverer() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "make test"
    assert len(lines) <= 4
