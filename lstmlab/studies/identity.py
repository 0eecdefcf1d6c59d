"""What makes two runs the same: config, data version, and the code that decides numbers."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import torch

from lstmlab import paths, registry
from lstmlab.plugins import NAMESPACE
from lstmlab.schema import RunConfig


@dataclass(frozen=True)
class Spec:
    """A run to be done: its config, and the id under which it is stored; equal ids are equal runs."""

    config: RunConfig = field(compare=False)
    id: str

    @property
    def name(self) -> str:
        """Name of the run's folder: readable first, then the id."""
        return f"{self.config.task.name}-{self.config.cell.name}-s{self.config.seed}-{self.id}"


def specify(config: RunConfig) -> Spec:
    """Return the run that ``config`` stands for.

    The id is a hash of the config, the content of the data, the torch version and the code of
    cell, task, engine and training. Comments, docstrings and layout of code do not count.
    """
    payload = {
        "config": asdict(config),
        "data": data_version(config.task.dataset),
        "code": _code_version(config.cell.name, config.task.name),
        "torch": torch.__version__.partition("+")[0],
    }
    return Spec(config, _hash(json.dumps(payload, sort_keys=True)))


@cache
def data_version(dataset: str) -> str:
    """Return the version of a dataset's content, read once per process."""
    version: str = registry.dataset.get(dataset)().version
    return version


@cache
def _code_version(cell: str, task: str) -> str:
    classes = registry.cell.get(cell).__mro__ + registry.task.get(task).__mro__
    files = {f for c in classes if c.__module__.startswith(("lstmlab", NAMESPACE)) for f in _sources(c)}
    for shared in ("engine", "training"):
        files |= {f for kind in ("*.py", "*.c") for f in (paths.PACKAGE / shared).rglob(kind)}
    files.add(paths.PACKAGE / "tasks" / "models.py")
    files |= set((paths.PACKAGE / "cells").glob("_*.py"))
    return _hash("\n".join(f"{f.parent.name}/{f.name} {_normalised(f)}" for f in sorted(files)))


def _sources(cls: type) -> list[Path]:
    """Return the file of a class; for a plugin, all of its modules but the tests."""
    file = Path(inspect.getsourcefile(cls) or "")
    if not cls.__module__.startswith(NAMESPACE):
        return [file]
    return [f for f in file.parent.glob("*.py") if not f.name.startswith("test_")]


def _normalised(file: Path) -> str:
    if file.suffix != ".py":
        return file.read_text(encoding="utf-8")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
