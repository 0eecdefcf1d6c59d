"""The user's own files as datasets."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lstmlab.data._dataset import Dataset
from lstmlab.data.hashes import sha256
from lstmlab.data.tables import TableConfig, read_table
from lstmlab.errors import LstmlabError
from lstmlab.registry import dataset

if TYPE_CHECKING:
    from lstmlab.data.tables import TimeTable


class OwnFiles(Dataset):
    """A file of the user's own, or a folder of them: what ``task.path`` names.

    Attributes:
        expected: what the file or folder must be, in words that follow "expected": "a file of text<TAB>label lines".
        suffixes: of the files of a folder that count, in lower case; all files when empty.
    """

    kind = "file"
    licence = "the user's own"
    source = "what task.path names"
    citation = "none: the user's own"
    size = "as much as there is"
    expected: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()

    @property
    def path(self) -> Path:
        """The file or folder.

        Raises:
            LstmlabError: when the task names none, or it is not there.
        """
        given = getattr(self.config, "path", None)
        if not given:
            name = self.config.dataset if self.config else type(self).__name__
            raise LstmlabError(f"task.dataset={name} reads your own data: give task.path=…, {self.expected}")
        path = Path(given).expanduser()
        if not path.exists():
            raise LstmlabError(f"task.path={given} is not there: expected {self.expected}")
        return path

    def content(self) -> bytes:
        """Return the names and hashes of the files."""
        path = self.path
        if path.is_file():
            return sha256(path).encode()
        files = sorted(f for f in path.rglob("*") if f.is_file() and self._counts(f))
        return "\n".join(f"{f.relative_to(path)} {sha256(f)}" for f in files).encode()

    def _counts(self, file: Path) -> bool:
        return not self.suffixes or file.suffix.lower() in self.suffixes


@dataset("csv")
class CSV(OwnFiles):
    """Your own CSV file with a column of times: task.path=FILE task.target=COLUMN."""

    title = "A CSV file of the user's own"
    tasks = ("weather", "stocks", "anomaly")
    size = "as much as the file has"
    expected = "a CSV file with a header and a column of times"

    @property
    def path(self) -> Path:
        """The file.

        Raises:
            LstmlabError: when the task names none, or does not read tables.
        """
        if self.config is not None and not isinstance(self.config, TableConfig):
            raise LstmlabError(f"task {self.config.name!r} does not read tables, so it cannot use task.dataset=csv.")
        return super().path

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
        """Return the file's hash, and the keys that say how it is read."""
        content = super().content()
        keys = {key: getattr(self.config, key) for key in ("time", "target", "series", "known", "timezone")}
        return json.dumps(keys, sort_keys=True).encode() + content

    def notes(self) -> list[str]:
        return list(self._table.notes)
