"""Loading a cell's kernels: Triton compiles them from the file of a module, so their source becomes one."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path
from types import ModuleType

from lstmlab import paths
from lstmlab.cells import Cell
from lstmlab.engine.compiler import CompilerError
from lstmlab.engine.gpu import code
from lstmlab.memo import memo


@memo
def load(cell: type[Cell]) -> ModuleType:
    """Return a module with the kernels ``forward`` and ``backward`` of a cell.

    Triton reads a kernel's source from its file, so there is one, in the user's cache folder.

    Raises:
        CompilerError: when the file cannot be written, or Triton does not import.
    """
    text = code.source(cell)
    name = f"{cell.__name__.lower()}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    file = paths.cache() / "kernels" / f"{name}.py"
    try:
        if not file.is_file():
            _save(text, file)
    except OSError as error:
        raise CompilerError(f"a kernel could not be written to {file.parent}: {error}") from None
    spec = importlib.util.spec_from_file_location(f"lstmlab_kernel_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise CompilerError(f"Triton cannot be imported: {error}") from None
    return module


def _save(text: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        written = Path(folder) / file.name
        written.write_text(text, encoding="utf-8")
        os.replace(written, file)
