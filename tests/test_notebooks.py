"""Notebooks hold calls and prose: no outputs, no definitions, and a cell of parameters."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, TINY

from lstmlab.errors import LstmlabError
from lstmlab.reports.notebook import execute

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_in_git_is_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c for c in code if "parameters" in c.metadata.get("tags", [])]
    for cell in code:
        assert cell.outputs == []
        assert cell.execution_count is None
        nodes = list(ast.walk(ast.parse(cell.source)))
        assert not [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]


def test_a_run_can_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20_run shows scores, learning curve, answers, gates and gradient norm of any run, and leaves nothing behind."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    overrides = [*TINY, "cell=peephole", f"outputs={tmp_path}"]
    execute(ROOT / "notebooks" / "20_run.ipynb", tmp_path / "out.ipynb", {"overrides": overrides})
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    outputs = [o for c in cells if c.cell_type == "code" for o in c.outputs]
    assert sum("image/svg+xml" in o.get("data", {}) for o in outputs) == 4
    assert not [o for o in outputs if o.output_type == "error"]
    assert not list(here.iterdir())


def test_a_misspelt_parameter_is_refused_before_a_kernel_starts(tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match=r"no parameter 'studdy'. Did you mean 'study'"):
        execute(ROOT / "notebooks" / "30_compare.ipynb", tmp_path / "out.ipynb", {"studdy": "variants"})
    assert not (tmp_path / "out.ipynb").exists()


def test_a_cell_that_fails_is_named_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(LstmlabError, match="there is no study called 'nope'"):
        execute(ROOT / "notebooks" / "30_compare.ipynb", tmp_path / "out.ipynb", {"study": "nope"})
