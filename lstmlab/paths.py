"""Where conf, notebooks and plugins lie: at the top of a clone, or inside an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def clone() -> Path | None:
    """Return the root of the clone that this package is imported from, or None for a wheel."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "conf").is_dir() else None


def assets(folder: str) -> Path:
    """Return the folder ``conf``, ``notebooks`` or ``plugins`` of this installation."""
    root = clone() or PACKAGE / "_assets"
    return root / folder


def plugin_roots() -> list[Path]:
    """Return the folders whose sub-folders are plugins: ours, then ``plugins/`` where the user works."""
    roots = [assets("plugins"), Path.cwd() / "plugins"]
    return list(dict.fromkeys(root for root in roots if root.is_dir()))


def outputs(setting: str | None) -> Path:
    """Return the folder that everything is written to.

    ``setting`` is the config key ``outputs``. Without it, results go to ``outputs/`` of the clone
    when the work is done inside that clone (a notebook's working directory is ``notebooks/``),
    and to ``outputs/`` of the working directory otherwise.
    """
    if setting:
        return Path(os.path.expanduser(setting)).absolute()
    root, here = clone(), Path.cwd()
    return (root if root and here.is_relative_to(root) else here) / "outputs"


def cache() -> Path:
    """Return the user's cache folder for what can be made again: compiled kernels, downloads."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)).absolute() / "lstmlab"
