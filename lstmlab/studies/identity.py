"""What makes two runs the same: config, data version, and the code that decides numbers."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path

import torch

from lstmlab import paths, registry
from lstmlab.data import Dataset
from lstmlab.data.hashes import sha256
from lstmlab.plugins import NAMESPACE
from lstmlab.schema import RunConfig, TaskConfig

SHARED = ("lstmlab.tasks", "lstmlab.data")  # modules of families: a run depends on those that it imports
_versions: dict[str, str] = {}


@dataclass(frozen=True)
class Spec:
    """A run to be done: its config, and the id under which it is stored; equal ids are equal runs."""

    config: RunConfig = field(compare=False)
    id: str

    @property
    def name(self) -> str:
        """Name of the run's folder: readable first, then the id."""
        return f"{self.config.task.label}-{self.config.cell.name}-s{self.config.seed}-{self.id}"


def specify(config: RunConfig) -> Spec:
    """Return the run that ``config`` stands for.

    The id is a hash of the config, the content of the data, the torch version and the code of
    cell, task, engine and training. Comments, docstrings and layout of code do not count.
    """
    payload = {
        "config": asdict(config),
        "data": data_version(config.task),
        "files": _named_files(config.task),
        "code": _code_version(config.cell.name, config.task.name, config.task.dataset),
        "torch": torch.__version__.partition("+")[0],
    }
    return Spec(config, _hash(json.dumps(payload, sort_keys=True)))


def data_version(config: TaskConfig) -> str:
    """Return the version of the content of a task's dataset; one that cannot change is read once per process."""
    dataset: Dataset = registry.dataset.get(config.dataset)(config)
    if dataset.kind == "file":
        return dataset.version
    key = json.dumps(asdict(config), sort_keys=True)
    if key not in _versions:
        _versions[key] = dataset.version
    return _versions[key]


def _named_files(config: TaskConfig) -> dict[str, str]:
    """Return the hash of each file that a key of the task names: another file by that name is another run."""
    keys = [f.name for f in fields(config) if f.metadata.get("file") and getattr(config, f.name)]
    return {key: sha256(Path(getattr(config, key)).expanduser()) for key in keys}


@cache
def _code_version(cell: str, task: str, dataset: str) -> str:
    found = (registry.cell.get(cell), registry.task.get(task), registry.dataset.get(dataset))
    classes = [c for kind in found for c in kind.__mro__ if c.__module__.startswith(("lstmlab", NAMESPACE))]
    files = _reached({f for c in classes for f in _sources(c)})
    for shared in ("engine", "training"):
        files |= {f for kind in ("*.py", "*.c") for f in (paths.PACKAGE / shared).rglob(kind)}
    files |= set((paths.PACKAGE / "cells").glob("_*.py"))
    return _hash("\n".join(f"{f.parent.name}/{f.name} {_normalised(f)}" for f in sorted(files)))


def _sources(cls: type) -> list[Path]:
    """Return the file of a class; for a plugin, all of its modules but the tests."""
    file = Path(inspect.getsourcefile(cls) or "")
    if not cls.__module__.startswith(NAMESPACE):
        return [file]
    return [f for f in file.parent.glob("*.py") if not f.name.startswith("test_")]


def _reached(files: set[Path]) -> set[Path]:
    """Return ``files`` with all that they import, directly or not, from the packages of tasks and data."""
    found, todo = set(files), list(files)
    while todo:
        for node in ast.walk(ast.parse(todo.pop().read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(SHARED):
                new = {file for alias in node.names if (file := _home(str(node.module), alias.name))} - found
                found |= new
                todo += new
    return found


def _home(module: str, name: str) -> Path | None:
    """Return the file that ``from module import name`` takes the name from, through what a package exports."""
    place = paths.PACKAGE.parent.joinpath(*module.split("."))
    for file in (place.with_suffix(".py"), place / f"{name}.py"):
        if file.is_file():
            return file
    exported = ast.parse((place / "__init__.py").read_text(encoding="utf-8")).body
    homes = [n.module for n in exported if isinstance(n, ast.ImportFrom) and name in {a.name for a in n.names}]
    return _home(str(homes[0]), name) if homes else None


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
