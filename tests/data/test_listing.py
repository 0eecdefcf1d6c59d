"""Which datasets there are, and where."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

import lstmlab
from lstmlab import registry
from lstmlab.cli import main
from lstmlab.data import Download, File
from lstmlab.errors import LstmlabError


@pytest.fixture
def numbers(file: Callable[..., File], monkeypatch: pytest.MonkeyPatch) -> type[Download]:
    """A dataset of one file, registered as ``numbers``."""

    class Numbers(Download):
        """Two hundred thousand bytes."""

        title = "Numbers"
        licence = "CC0"
        source = "https://example.org"
        size = "200,000 numbers"
        tasks = ("adding",)
        files = (file("whole"),)

    monkeypatch.setattr(registry.dataset, "_entries", dict(registry.dataset._entries))
    list(registry.dataset)
    registry.dataset("numbers")(Numbers)
    return Numbers


def test_a_download_is_listed_fetched_and_listed_with_its_place(
    numbers: type[Download], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    for fact in (
        "numbers\n  Two hundred thousand bytes.\n  download · 200,000 numbers (0.2 MB) · for adding\n  licence: CC0",
        "not here yet: lstmlab data get numbers",
        "co2\n  Weekly CO2 at Mauna Loa",
        "embedded · 2,284 weeks · for climate",
        "licence: PSF-2.0",
    ):
        assert fact in said
    assert lstmlab.datasets().loc["numbers", "location"] == ""
    assert main(["data", "get", "numbers"]) == 0
    path = numbers().path("numbers.bin")
    assert f"numbers.bin: {path}" in capsys.readouterr().out
    assert main(["data", "list"]) == 0
    assert str(path.parent) in capsys.readouterr().out
    table = lstmlab.datasets()
    assert table.loc["numbers", ["kind", "bytes", "tasks"]].tolist() == ["download", 200_000, "adding"]
    assert table.loc["numbers", "location"] == str(path.parent)


@pytest.mark.parametrize(
    ("name", "said"), [("co", "Did you mean 'co2'"), ("co2", "needs no fetching"), ("csv", "it is your own file")]
)
def test_what_cannot_be_fetched_says_why(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "get", name]) == 2
    assert said in capsys.readouterr().err


def test_a_broken_dataset_leaves_the_rest_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry.dataset, "_entries", dict(registry.dataset._entries))

    @registry.dataset("broken")
    def broken() -> type[Download]:
        """Never there."""
        raise LstmlabError("needs pip install 'lstmlab[broken]'")

    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    assert "broken\n  Never there.\n  cannot be loaded: LstmlabError: needs pip install 'lstmlab[broken]'" in said
    assert "co2\n" in said
    assert "needs pip install" in lstmlab.datasets().loc["broken", "location"]


def test_listing_stays_light(tmp_path: Path) -> None:
    code = "from lstmlab.cli import main; import sys; main(['data', 'list'])\n"
    check = "assert not (found := {'torch', 'pandas', 'numpy', 'pooch', 'statsmodels'} & {*sys.modules}), found"
    subprocess.run([sys.executable, "-c", code + check], check=True, cwd=ROOT, timeout=60)
