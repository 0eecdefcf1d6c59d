"""What datasets there are, and which of them are on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab import registry
from lstmlab.data.download import Download
from lstmlab.errors import LstmlabError

if TYPE_CHECKING:
    import pandas as pd

    from lstmlab.data._dataset import Dataset

COLUMNS = ("name", "title", "kind", "size", "bytes", "tasks", "licence", "citation", "source", "location")


def datasets() -> pd.DataFrame:
    """Return a table of all datasets with their facts; ``location`` is "" for what has to be fetched first."""
    import pandas as pd

    rows = []
    for name in registry.dataset:
        data = _load(name)
        facts = {"location": data} if isinstance(data, str) else {key: _fact(data, key) for key in COLUMNS[1:]}
        rows.append({"name": name, **facts})
    return pd.DataFrame(rows, columns=COLUMNS).set_index("name")


def _load(name: str) -> Dataset | str:
    """Return a dataset, or why it cannot be loaded: one that is broken leaves the rest alone."""
    try:
        made: Dataset = registry.dataset.get(name)()
    except Exception as error:  # whatever a plugin raises
        return f"cannot be loaded: {type(error).__name__}: {error}"
    return made


def _fact(data: Dataset, column: str) -> str | int:
    if column == "bytes":
        return sum(file.size for file in data.files) if isinstance(data, Download) else 0
    if column == "location":
        return data.location()
    return ", ".join(data.tasks) if column == "tasks" else str(getattr(data, column))


def describe(name: str) -> str:
    """Return a few lines on a dataset: summary, facts, where it is."""
    summary, data = registry.dataset.entry(name).summary, _load(name)
    if isinstance(data, str):
        return f"{summary}\n{data}"
    size = int(_fact(data, "bytes"))
    facts = [data.kind, data.size + (f" ({_megabytes(size)})" if size else ""), f"for {', '.join(data.tasks)}"]
    where = data.location() or f"not here yet: lstmlab data get {name}"
    return f"{summary}\n{' · '.join(facts)}\nlicence: {data.licence}\n{where}"


def get(name: str) -> list[str]:
    """Fetch a dataset and return, a line each, where its files are.

    Raises:
        LstmlabError: when it cannot be had, or has no files.
    """
    data: Dataset = registry.dataset.get(name)()
    if isinstance(data, Download):
        return [f"{file}: {path}" for file, path in data.paths().items()]
    why = {"embedded": "it ships in what is installed", "generated": "it is generated", "file": "it is your own file"}
    raise LstmlabError(f"The dataset {name!r} needs no fetching: {why[data.kind]}.")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
