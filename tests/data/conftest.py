"""A cache of its own for every test, and a server to download from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from data_server import CONTENT, Server, serving

from lstmlab.data import File


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LSTMLAB_DATA_DIR", raising=False)
    return tmp_path / "cache" / "lstmlab" / "data"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as made:
        yield made


@pytest.fixture
def file(server: Server) -> Callable[..., File]:
    """Return a function that makes the file of the server, with mirrors that behave as their paths say."""

    def make(*paths: str) -> File:
        digest = hashlib.sha256(CONTENT).hexdigest()
        return File("numbers.bin", digest, len(CONTENT), tuple(map(server.url, paths)))

    return make
