"""Executing the report's notebook with papermill, and rendering it."""

from __future__ import annotations

import ast
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from lstmlab import paths
from lstmlab.errors import LstmlabError, nearest
from lstmlab.reports import html
from lstmlab.studies.study import Study


@dataclass(frozen=True)
class Rendered:
    """The files of a rendered report."""

    notebook: Path
    html: Path


def render(study: Study) -> Rendered:
    """Execute the report notebook for ``study``, whose runs are done, and export it.

    The study's folder receives ``report.ipynb`` and ``report.html``.
    """
    source = find(study.config.notebook)
    target = study.folder / "report.ipynb"
    kept = [o for o in study.overrides if o.partition("=")[0] != "outputs"]
    overrides = [*kept, f"outputs={study.store.outputs}"]
    execute(source, target, {"study": study.name, "overrides": overrides, "retry": False})
    page = target.with_suffix(".html")
    html.export(target, page, f"lstmlab: {study.config.name}")
    return Rendered(target, page)


def find(name: str) -> Path:
    """Return the path of one of the notebooks.

    Raises:
        LstmlabError: when there is none of that name.
    """
    folder = paths.assets("notebooks")
    known = [path.name for path in sorted(folder.glob("*.ipynb"))]
    if name not in known:
        raise LstmlabError(f"study.notebook={name!r}: {folder} has {', '.join(known)}.{nearest(name, known)}")
    return folder / name


def parameters_of(notebook: Path) -> list[str]:
    """Return the names that the cell tagged ``parameters`` assigns."""
    cells = nbformat.read(notebook, as_version=4).cells
    tagged = [c.source for c in cells if "parameters" in c.metadata.get("tags", [])]
    nodes = [node for source in tagged for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return [target.id for node in nodes for target in node.targets if isinstance(target, ast.Name)]


def execute(source: Path, target: Path, parameters: dict[str, Any]) -> None:
    """Run ``source`` with ``parameters`` and save it with its outputs as ``target``.

    Raises:
        LstmlabError: for a parameter that the notebook does not have (papermill only warns), or
            when a cell of it fails.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)
    known = parameters_of(source)
    for key in parameters:
        if key not in known:
            raise LstmlabError(
                f"{source.name} has no parameter {key!r}.{nearest(key, known)} It has: {', '.join(known)}."
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            # Socket files instead of TCP ports, which other users of the machine could reach.
            ipc = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
            papermill.execute_notebook(str(source), str(target), parameters, progress_bar=False, config=ipc)
    except PapermillExecutionError as error:
        raise LstmlabError(f"{target}: cell {error.exec_count} failed with {error.ename}: {error.evalue}") from None
