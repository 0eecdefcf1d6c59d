"""Runs travel in one file: hashes are checked, nothing finished is overwritten, damage is refused whole."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from conftest import TINY

import lstmlab
from lstmlab.cli import main
from lstmlab.errors import LstmlabError
from lstmlab.studies.archive import export_runs, import_runs

OVERRIDES = [*TINY, "cell=vanilla", "seed=0,1", "launch=serial"]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two finished runs and one that failed."""
    folder = tmp_path_factory.mktemp("store")
    lstmlab.study("variants", [*OVERRIDES, f"outputs={folder}"]).run()
    failed = folder / "runs" / "adding-vanilla-s7-0123456789abcdef"
    failed.mkdir()
    (failed / "result.json").write_text(json.dumps({"status": "failed", "reason": "it rained"}))
    return folder


@pytest.fixture
def archive(outputs: Path, tmp_path: Path) -> Path:
    names = [f.name for f in (outputs / "runs").iterdir()]
    assert len(export_runs(outputs / "runs", names, tmp_path / "runs.tar")) == 2
    return tmp_path / "runs.tar"


def files(runs: Path) -> dict[str, bytes]:
    return {str(f.relative_to(runs)): f.read_bytes() for f in runs.rglob("*") if f.is_file()}


def test_an_archive_gives_every_byte_to_another_store_once(outputs: Path, archive: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    took = import_runs(archive, there / "runs")
    assert len(took.new) == 2
    wanted = {name: content for name, content in files(outputs / "runs").items() if "s7" not in name}
    assert files(there / "runs") == wanted
    assert len(import_runs(archive, there / "runs").known) == 2
    table = lstmlab.study("variants", [*OVERRIDES, f"outputs={there}"]).table()
    assert set(table.status) == {"done"}, "a study finds them"


def test_a_finished_run_with_another_result_is_kept(archive: Path, tmp_path: Path) -> None:
    runs = tmp_path / "there" / "runs"
    name = import_runs(archive, runs).new[0]
    path = runs / name / "result.json"
    result = json.loads(path.read_text())
    result["scores"]["test"]["MSE"] += 1.0
    path.write_text(json.dumps(result))
    took = import_runs(archive, runs)
    assert took.different == [name]
    assert json.loads(path.read_text()) == result
    assert main(["study", "import", str(archive), f"outputs={tmp_path / 'there'}"]) == 1


def test_what_was_begun_and_not_finished_gives_way(archive: Path, tmp_path: Path) -> None:
    runs = tmp_path / "there" / "runs"
    name = import_runs(archive, runs).new[0]
    (runs / name / "result.json").unlink()
    assert import_runs(archive, runs).new == [name]


def _rewritten(archive: Path, change: str) -> None:
    with tarfile.open(archive) as tar:
        entries = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    name, content = entries[-1]
    if change == "a byte":
        entries[-1] = (name, content[:-1] + bytes([content[-1] ^ 1]))
    elif change == "a file less":
        del entries[-1]
    elif change == "a file more":
        entries.append((name.replace("weights.safetensors", "evil.py"), b"boom"))
    elif change == "a way out":
        entries.append(("../../evil.py", b"boom"))
    elif change == "newer":
        entries[0] = (entries[0][0], json.dumps({"format": 99, "files": {}}).encode())
    with tarfile.open(archive, "w") as tar:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("a byte", "has another SHA-256"),
        ("a file less", "is missing"),
        ("a file more", "does not belong into it"),
        ("a way out", "does not belong into it"),
        ("newer", "a newer lstmlab wrote it"),
        ("cut", "cannot be imported"),
        ("no archive", "cannot be imported"),
        ("nothing", "is not there"),
    ],
)
def test_a_damaged_archive_is_refused_and_nothing_is_taken(
    archive: Path, tmp_path: Path, change: str, said: str
) -> None:
    if change == "cut":
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    elif change == "no archive":
        archive.write_text("hello")
    elif change == "nothing":
        archive.unlink()
    else:
        _rewritten(archive, change)
    with pytest.raises(LstmlabError, match=said):
        import_runs(archive, tmp_path / "there" / "runs")
    assert list((tmp_path / "there" / "runs").iterdir()) == []


def test_a_disk_that_is_full_leaves_no_half_archive(outputs: Path, full_disk: Path) -> None:
    target = full_disk / "runs.tar"
    names = [f.name for f in (outputs / "runs").iterdir()]
    with pytest.raises(LstmlabError, match="No space left"):
        export_runs(outputs / "runs", names, target)
    assert list(full_disk.iterdir()) == []


def test_prune_lists_what_no_study_has_and_deletes_it_when_told(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(outputs, tmp_path / "copy")
    arguments = ["study", "prune", f"outputs={tmp_path / 'copy'}"]
    assert main(arguments) == 0
    assert "adding-vanilla-s7-0123456789abcdef\n1 runs, 0.0 MB, would be deleted" in capsys.readouterr().out
    assert main([*arguments, "--delete"]) == 0
    left = {f.name for f in (tmp_path / "copy" / "runs").iterdir()}
    assert len(left) == 2
    assert all("s7" not in name for name in left)
