"""A file is the right one or there is an error that says what to do: over a real connection."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from data_server import CONTENT, Server

from lstmlab.data import Download, File
from lstmlab.data.fetch import fetch
from lstmlab.errors import LstmlabError

Make = Callable[..., File]


def test_a_download_is_kept_and_not_repeated(file: Make, server: Server, cache: Path) -> None:
    path = fetch(file("whole"))
    assert path.read_bytes() == CONTENT
    assert path.parent == cache
    assert path.name.endswith("numbers.bin")
    assert fetch(file("whole")) == path
    assert server.asked == [("whole", "")]
    assert not list(cache.glob("*.part"))


def test_a_cut_connection_is_resumed_where_it_was_cut(file: Make, server: Server) -> None:
    assert fetch(file("cut?81920")).read_bytes() == CONTENT
    assert server.asked == [("cut", ""), ("cut", "bytes=81920-"), ("cut", "bytes=163840-")]


def test_a_later_attempt_goes_on_where_a_former_one_stopped(file: Make, server: Server) -> None:
    with pytest.raises(LstmlabError, match="could not be downloaded"):
        fetch(file("short?50000"))
    server.asked.clear()
    assert fetch(file("whole")).read_bytes() == CONTENT
    assert server.asked == [("whole", "bytes=50000-")]


def test_a_server_without_ranges_sends_all_again(file: Make, server: Server) -> None:
    with pytest.raises(LstmlabError):
        fetch(file("short?50000"))
    assert fetch(file("noranges")).read_bytes() == CONTENT
    assert server.asked[-1] == ("noranges", "bytes=50000-")


def test_a_wrong_beginning_is_thrown_away(file: Make, server: Server, cache: Path) -> None:
    cache.mkdir(parents=True)
    made = file("whole")
    made.cached.with_name(f"{made.cached.name}.part").write_bytes(b"x" * 1000)
    assert fetch(made).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1000-", ""]


def test_mirrors_are_tried_in_order(file: Make, server: Server) -> None:
    assert fetch(file("missing", "other", "whole", "slow")).read_bytes() == CONTENT
    assert [how for how, _ in server.asked] == ["missing", "other", "whole"]


def test_when_all_mirrors_fail_each_says_why(file: Make, cache: Path) -> None:
    with pytest.raises(LstmlabError) as caught:
        fetch(file("missing", "other", "short?7", "long"))
    said = str(caught.value)
    assert "numbers.bin could not be downloaded" in said
    assert "404" in said
    digest = file().sha256
    assert f"instead of {digest}" in said
    assert "truncated: it has no more than 7 of 200,000 bytes" in said
    assert "more than 200,000 bytes" in said
    assert "LSTMLAB_DATA_DIR" in said
    assert not file().cached.exists()


def test_without_a_network_it_says_so(file: Make) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        made = File("a.bin", "0" * 64, 10, (f"http://127.0.0.1:{unused.getsockname()[1]}/a.bin",))
        with pytest.raises(LstmlabError, match=r"(?s)Connection refused.*is there a network\?"):
            fetch(made)


def test_a_file_that_cannot_be_downloaded_says_where_it_is_described(file: Make) -> None:
    with pytest.raises(LstmlabError, match=r"cannot be downloaded.*described at https://example.org.*LSTMLAB_DATA_DIR"):
        fetch(file(), described="https://example.org")


def test_a_full_disk_is_noticed_before_the_download(
    file: Make, server: Server, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(full_disk))
    with pytest.raises(LstmlabError, match=r"200,000 bytes, and .* has room for .*free some space"):
        fetch(file("whole"))
    assert server.asked == []


def test_a_cache_that_cannot_be_written_is_named(file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(LstmlabError, match="/dev/null/lstmlab/data cannot be written: Not a directory"):
        fetch(file("whole"))


def test_the_users_folder_is_searched_by_hash(
    file: Make, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own" / "deep"
    own.mkdir(parents=True)
    (own / "same size.bin").write_bytes(CONTENT[::-1])
    (own / "another name.dat").write_bytes(CONTENT)
    (own / "around").symlink_to(own.parent)
    monkeypatch.setenv("LSTMLAB_DATA_DIR", str(own.parent))
    assert fetch(file("whole")) == own / "another name.dat"
    assert server.asked == []
    (own / "another name.dat").rename(own / "moved.dat")
    assert fetch(file("whole")) == own / "moved.dat"


def test_a_users_folder_that_is_not_there_is_refused(file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMLAB_DATA_DIR", "/nowhere/at/all")
    with pytest.raises(LstmlabError, match="LSTMLAB_DATA_DIR=/nowhere/at/all: there is no such folder"):
        fetch(file("whole"))


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"x" + CONTENT[1:]], ids=["truncated", "changed"])
def test_a_damaged_file_in_the_cache_is_replaced_with_a_note(
    file: Make, capsys: pytest.CaptureFixture[str], damage: bytes
) -> None:
    path = fetch(file("whole"))
    os.utime(path, (0, 0))
    fetch(file("whole"))
    path.write_bytes(damage)
    assert fetch(file("whole")).read_bytes() == CONTENT
    assert "is damaged and downloaded again" in capsys.readouterr().err


def test_a_hash_is_computed_once_for_a_file_that_does_not_change(
    file: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch(file("whole"))
    os.utime(path, (0, 0))
    fetch(file("whole"))
    assert str(path) in (tmp_path / "cache" / "lstmlab" / "hashes.json").read_text()
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    assert fetch(file("whole")) == path


def test_two_processes_download_a_file_once(file: Make, server: Server) -> None:
    made = file("slow")
    code = f"from lstmlab.data.fetch import File, fetch; print(fetch({made!r}))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE) for _ in range(2)
    ]
    paths = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert paths == {str(made.cached)}
    assert made.cached.read_bytes() == CONTENT
    assert server.asked == [("slow", "")]


def test_a_dataset_of_files_knows_its_content_before_it_is_there(file: Make, capfd: pytest.CaptureFixture[str]) -> None:
    class Numbers(Download):
        source = "https://example.org"
        files = (file("whole"),)

    data = Numbers()
    assert data.location() == ""
    version = data.version
    assert data.paths() == {"numbers.bin": data.path("numbers.bin")}
    assert "100%" in capfd.readouterr().err
    assert data.location() == str(data.path("numbers.bin").parent)
    assert Numbers().version == version
    with pytest.raises(LstmlabError, match=r"no file 'nubmers.bin'. Did you mean 'numbers.bin'"):
        data.path("nubmers.bin")


def test_a_hash_that_is_none_is_refused_when_it_is_declared() -> None:
    with pytest.raises(ValueError, match="is not 64 digits"):
        File("a", "ABC", 1)


def test_many_files_are_hashed_with_few_writes_and_all_are_remembered(tmp_path: Path) -> None:
    """Writing what is remembered once a file would take longer than hashing thousands of them."""
    for i in range(300):
        (tmp_path / f"{i}.bin").write_bytes(bytes([i % 256, i // 256]))
        os.utime(tmp_path / f"{i}.bin", (1, 1))
    code = (
        "import sys, os\nfrom pathlib import Path\nfrom lstmlab.data import hashes\n"
        "writes = []\nreplace = os.replace\nos.replace = lambda *a: (writes.append(a), replace(*a))\n"
        f"[hashes.sha256(f) for f in Path({str(tmp_path)!r}).glob('*.bin')]\nprint(len(writes))"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(found.stdout) < 20
    assert len(json.loads((tmp_path / "cache" / "lstmlab" / "hashes.json").read_text())) == 300
