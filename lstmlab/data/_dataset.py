"""What every dataset says about itself."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, ClassVar


class Dataset:
    """Named data with its facts; reading it waits for `load`.

    Attributes:
        kind: "embedded" (ships in a library that this project uses) or "generated".
        quantity: what the values are, with their unit, as an axis shows it.
    """

    title: ClassVar[str]
    kind: ClassVar[str]
    licence: ClassVar[str]
    source: ClassVar[str]
    citation: ClassVar[str] = ""
    quantity: ClassVar[str] = ""

    def load(self) -> Any:
        """Return the data as its task expects it."""
        raise TypeError(f"{type(self).__name__} has no load()")

    def content(self) -> bytes:
        """Return bytes that change when the data do."""
        raise TypeError(f"{type(self).__name__} has no content()")

    @cached_property
    def version(self) -> str:
        """The first 12 digits of the SHA-256 of the content: part of every run's identity."""
        return hashlib.sha256(self.content()).hexdigest()[:12]
