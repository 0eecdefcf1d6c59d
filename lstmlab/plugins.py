"""Finding what can be registered: our own cells and datasets, plugin folders, installed plugins.

A plugin is a folder with a ``plugin.py`` (and a ``conf/`` that joins Hydra's search path), or an
installed package that names such a module in the entry-point group ``lstmlab.plugins``. One that
cannot be imported is left out, and its reason is kept in `failures`.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from lstmlab import paths, registry

NAMESPACE = "lstmlab_plugins"  # plugin folders are sub-packages of it: relative imports work there
CELLS = "vanilla peephole coupled odyssey gru janet minimal slstm normalised"  # in the order of lists and colours
BUILT_IN = (*(f"lstmlab.cells.{name}" for name in CELLS.split()), "lstmlab.data")

failures: dict[str, str] = {}
_modules: list[ModuleType] = []


@cache
def discover() -> None:
    """Import every plugin once; called by the registries on first use."""
    for module in BUILT_IN:
        importlib.import_module(module)
    for name, folder in folders().items():
        _load(f"{NAMESPACE}.{name}.plugin", str(folder))
    for point in entry_points(group="lstmlab.plugins"):
        _load(point.value, f"entry point {point.name!r}")


def folders() -> dict[str, Path]:
    """Return the plugin folders by name; of two with the same name the first found counts."""
    found: dict[str, Path] = {}
    for root in paths.plugin_roots():
        for file in sorted(root.glob("*/plugin.py")):
            first = found.setdefault(file.parent.name, file.parent)
            if first != file.parent:
                failures[str(file.parent)] = f"another plugin folder of this name comes first: {first}; rename one"
    return found


def conf_folders() -> list[Path]:
    """Return the ``conf`` folders of all plugins that could be imported."""
    discover()
    files = [Path(str(module.__file__)) for module in _modules]
    return [conf for file in files if (conf := file.parent / "conf").is_dir()]


def _load(module: str, where: str) -> None:
    _namespace()
    try:
        _modules.append(importlib.import_module(module))
    except Exception as error:  # whatever a plugin raises, the rest goes on
        for kind in registry.KINDS.values():
            kind.discard_module(module)
        sys.modules.pop(module, None)
        last = traceback.extract_tb(error.__traceback__)[-1]
        failures[where] = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"


def _namespace() -> None:
    if NAMESPACE not in sys.modules:
        package = ModuleType(NAMESPACE, "Plugin folders, importable.")
        package.__path__ = [str(root) for root in paths.plugin_roots()]
        sys.modules[NAMESPACE] = package
