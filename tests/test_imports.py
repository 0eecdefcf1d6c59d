"""Dependencies point one way, and light commands stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "lstmlab"
LAYERS = [
    "cells",
    "engine",
    "data",
    "tasks",
    "training",
    "studies",
    "testing",
    "reports",
]  # each may use those before it
ASIDE = {"bench": ["cells", "engine", "studies"]}  # what nothing but the top uses, and what it may use
BASE = {
    "registry",
    "plugins",
    "schema",
    "errors",
    "paths",
    "progress",
    "config",
    "validation",
    "machine",
}  # below all layers
TOP = {"api", "cli", "commands", "hydra_app", "__init__"}  # above all layers


def imported(file: Path) -> set[str]:
    """Names of the parts of lstmlab that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
            found |= {n.split(".")[1] for n in names if n.startswith("lstmlab.")}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("lstmlab.")}
    return found


def part(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_nothing_imports_what_is_above_it(file: Path) -> None:
    own, parts = part(file), imported(file)
    parts &= {*LAYERS, *ASIDE, *BASE, *TOP}
    if own in LAYERS:
        allowed = {*LAYERS[: LAYERS.index(own) + 1], *BASE}
    elif own in ASIDE:
        allowed = {own, *ASIDE[own], *BASE}
    elif own in BASE:
        allowed = BASE
    else:
        allowed = {*LAYERS, *ASIDE, *BASE, *TOP}
    assert parts <= allowed, f"{file.name} imports {sorted(parts - allowed)} from above"


def test_the_core_never_imports_a_plugin() -> None:
    names = {f.parent.name for f in (ROOT / "plugins").glob("*/plugin.py")}
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        modules = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not {m for m in modules if m.split(".")[0] in {"plugins", "lstmlab_plugins"}}, file
    assert names


@pytest.mark.parametrize(
    "code", ["import lstmlab", "from lstmlab import cli; cli.main(['list'])", "import lstmlab; dir(lstmlab)"]
)
def test_light_commands_do_not_import_heavy_libraries(code: str) -> None:
    heavy = ["torch", "pandas", "numpy", "hydra", "sympy", "matplotlib", "statsmodels"]
    check = f"{code}\nimport sys\nassert not (found := [m for m in {heavy} if m in sys.modules]), found"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, cwd=ROOT)


def test_a_study_does_not_import_the_compiler_of_torch_nor_what_searches() -> None:
    """Each takes time in every notebook, worker and command; few need them."""
    check = "import sys, lstmlab.engine, lstmlab.studies.study\nassert not {'torch._dynamo', 'optuna'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, cwd=ROOT)
