"""What every dataset says about itself."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, ClassVar

SPLITS = ("train", "validation", "test")
KINDS = ("embedded", "generated", "download", "file")


class Dataset:
    """Named data with its facts; reading it waits for `load`.

    Args:
        config: the group ``task`` that names the dataset. Most datasets need nothing of it; one that reads
            the user's own file takes its path and columns from there.

    Attributes:
        kind: "embedded" (ships in a library that this project uses), "generated", "download" (verified
            by SHA-256), or "file" (the user's own).
        tasks: registered tasks that it is meant for.
        size: how much there is, in the words of the field: "2,284 weeks", "229 + 76 + 77 chorales".
        quantity: what the values are, with their unit, as an axis shows it.
    """

    title: ClassVar[str]
    kind: ClassVar[str]
    licence: ClassVar[str]
    source: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = ()
    size: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    quantity: ClassVar[str] = ""

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def load(self) -> Any:
        """Return the data as its task expects it."""
        raise TypeError(f"{type(self).__name__} has no load()")

    def content(self) -> bytes:
        """Return bytes that change when the data do."""
        raise TypeError(f"{type(self).__name__} has no content()")

    def location(self) -> str:
        """Return where the data are on this machine, "" when they have to be fetched first."""
        return {"embedded": "installed", "generated": "generated", "file": "your own"}[self.kind]

    def notes(self) -> list[str]:
        """Return what reading did to the data that a report must say: skipped, filled, cut."""
        return []

    @cached_property
    def version(self) -> str:
        """The first 12 digits of the SHA-256 of the content: part of every run's identity."""
        return hashlib.sha256(self.content()).hexdigest()[:12]
