"""The user's own file as a dataset."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lstmlab.data._dataset import Dataset
from lstmlab.data.tables import TableConfig, read_table
from lstmlab.errors import LstmlabError
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from lstmlab.data.tables import TimeTable


@dataset("csv")
class CSV(Dataset):
    """Your own CSV file with a column of times: task.path=FILE task.target=COLUMN."""

    title = "A CSV file of the user's own"
    kind = "file"
    licence = "the user's own"
    source = "the file that task.path names"
    tasks = ("weather", "stocks", "anomaly")
    size = "as much as the file has"
    citation = "none: the user's own"

    @property
    def path(self) -> Path:
        """The file.

        Raises:
            LstmlabError: when the task names none, or does not read tables.
        """
        if self.config is None:
            raise LstmlabError("The dataset 'csv' needs a task that names a file: task.dataset=csv task.path=FILE.")
        if not isinstance(self.config, TableConfig):
            raise LstmlabError(f"task {self.config.name!r} does not read tables, so it cannot use task.dataset=csv.")
        if not self.config.path:
            raise LstmlabError("task.dataset=csv needs a file: task.path=FILE.")
        return Path(self.config.path).expanduser()

    @cached_property
    def _table(self) -> TimeTable:
        return read_table(self.path, self.config)

    @property
    def quantity(self) -> str:  # type: ignore[override]
        return self._table.quantity

    def load(self) -> TimeTable:
        """Return the file's series."""
        return self._table

    def content(self) -> bytes:
        """Return the file's bytes, and the keys that say how they are read."""
        path = self.path
        try:
            data = path.read_bytes()
        except OSError:
            self.load()  # says what is wrong
            raise
        keys = {key: getattr(self.config, key) for key in ("time", "target", "series", "known", "timezone")}
        return json.dumps(keys, sort_keys=True).encode() + data

    def notes(self) -> list[str]:
        return list(self._table.notes)
