"""Data sets of files that are fetched when they are needed, and known by their hashes before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from lstmlab.data._dataset import Dataset
from lstmlab.data.fetch import File, fetch, find
from lstmlab.errors import LstmlabError, nearest


class Download(Dataset):
    """A dataset of files that a subclass names, and reads in `load`.

    As in::

    class Chorales(Download):
        files = (File("jsb.pickle", sha256="04f2…", size=96_095, urls=("https://…", "https://mirror…")),)

        def load(self):
            return read(self.path("jsb.pickle"))
    """

    kind = "download"
    files: ClassVar[tuple[File, ...]]

    def path(self, name: str) -> Path:
        """Return where the file called ``name`` is on this machine, after fetching it if need be.

        Raises:
            LstmlabError: when it cannot be had, with the reasons.
        """
        known = {file.name: file for file in self.files}
        if name not in known:
            raise LstmlabError(f"{type(self).__name__} has no file {name!r}.{nearest(name, known)}")
        return fetch(known[name], self.source)

    def paths(self) -> Mapping[str, Path]:
        """Return where all files are, by name, after fetching what is missing with one progress bar."""
        from lstmlab.progress import bar

        missing = sum(file.size for file in self.files if find(file) is None)
        if not missing:
            return {file.name: fetch(file, self.source) for file in self.files}
        with bar(missing, type(self).__name__, unit="B") as shown:
            return {file.name: fetch(file, self.source, shown) for file in self.files}

    def content(self) -> bytes:
        """Return the files' hashes: nothing has to be fetched to know what will be read."""
        return "\n".join(f"{file.name} {file.sha256}" for file in self.files).encode()

    def location(self) -> str:
        found = [path for file in self.files if (path := find(file)) is not None]
        if not found:
            return ""
        folder = os.path.commonpath([path.parent for path in found])
        return folder if len(found) == len(self.files) else f"{len(found)} of {len(self.files)} files in {folder}"
