"""Files that hold piano rolls as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lstmlab.errors import some
from lstmlab.tasks.task import SPLITS

from .pieces import BadPieceError, Pieces, collect, files_below

MATLAB = dict(zip(("traindata", "validdata", "testdata"), SPLITS, strict=True))  # Boulanger-Lewandowski et al. 2012


def read_rolls(path: Path) -> Pieces:
    """Read a ``.mat`` or ``.npz`` file of piano rolls, or all of a folder.

    ``.mat`` files are those of Boulanger-Lewandowski et al. (2012): ``traindata``, ``validdata`` and
    ``testdata``, a cell array of (frames, 88) matrices each. ``.npz`` files hold an array per piece; where
    every name begins with train, valid or test, that is its split.
    """
    found: list[tuple[str, Any, str | None]] = []
    for file in files_below(path, (".mat", ".npz")):
        found += _read_mat(file) if file.suffix.lower() == ".mat" else _read_npz(file)
    return collect(found, path)


def _read_mat(file: Path) -> list[tuple[str, Any, str | None]]:
    from scipy.io import loadmat

    try:
        content = loadmat(file)
    except NotImplementedError:
        raise BadPieceError(f"{file}: MATLAB's format 7.3 is not read; save it with save(name, '-v7')") from None
    except Exception as error:  # scipy raises many kinds on damaged files
        raise BadPieceError(f"{file} cannot be read as a .mat file: {error}") from None
    missing = [v for v in MATLAB if v not in content]
    if missing:
        names = [k for k in content if not k.startswith("__")]
        raise BadPieceError(
            f"{file}: the variable {missing[0]} is missing; expected the cell arrays {', '.join(MATLAB)}, as in "
            f"JSB_Chorales.mat. There are: {some(names) or 'none'}."
        )
    return [
        (f"{file.name}: {variable}[{i}]", roll, part)
        for variable, part in MATLAB.items()
        for i, roll in enumerate(content[variable].ravel())
    ]


def _read_npz(file: Path) -> list[tuple[str, Any, str | None]]:
    try:
        with np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except ValueError as error:
        raise BadPieceError(
            f"{file} cannot be read: {error}. Arrays of objects are pickles, which may run code and are refused; "
            "save one array per piece: np.savez(file, piece0=..., piece1=...)."
        ) from None
    except Exception as error:  # zipfile and numpy raise many kinds on damaged files
        raise BadPieceError(f"{file} cannot be read as an .npz file: {error}") from None
    parts = {name: next((p for p in SPLITS if name.lower().startswith(p[:5])), None) for name in arrays}
    named = all(parts.values())
    return [(f"{file.name}: {name}", roll, parts[name] if named else None) for name, roll in arrays.items()]
