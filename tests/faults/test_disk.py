"""Faults of the disk that a store is on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from disturbed import STUDY, Table, rerun
from processes import Start, at_work, finished, needs_proc, wait_for

pytestmark = needs_proc
OBEYING = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")  # root without the right to write anywhere


def resize(folder: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def refused(start: Start, outputs: Path, *overrides: str) -> str:
    """Return what a study said that could not go on for want of space."""
    driver = start(outputs, *STUDY, *overrides)
    _, said = driver.communicate(timeout=90)
    assert driver.returncode == 2, said
    assert "No space left" in said
    assert "Finished runs are kept; free some space" in said
    assert "Traceback" not in said
    return said


@pytest.mark.slow
@pytest.mark.fault(
    "the disk is full when a checkpoint is written",
    "the study stops with what to do; once there is room, a rerun does the rest",
)
def test_a_checkpoint_that_does_not_fit(full_disk: Path, start: Start, undisturbed: Table) -> None:
    assert "checkpoint.safetensors" in refused(start, full_disk)
    resize(full_disk, "8m")
    assert rerun(full_disk).table == undisturbed


@pytest.mark.fault(
    "the disk is full when the result of a run is written",
    "the study stops with what to do, and all results before it are kept; once there is room, a rerun does the rest",
)
def test_a_result_that_does_not_fit(full_disk: Path, start: Start, undisturbed: Table) -> None:
    resize(full_disk, "200k")
    refused(start, full_disk, "checkpoint_minutes=100")
    kept = finished(full_disk)
    assert 1 <= len(kept) < 4
    resize(full_disk, "8m")
    again = rerun(full_disk)
    assert len(again.trained) == 4 - len(kept)
    assert again.table == undisturbed
    assert {name: at for name, at in finished(full_disk).items() if name in kept} == kept


@pytest.mark.slow
@pytest.mark.fault(
    "the disk is full when the tables of a study are written",
    "the command says so; no run is lost, and a rerun writes them",
)
def test_an_index_that_does_not_fit(full_disk: Path, start: Start, undisturbed: Table) -> None:
    resize(full_disk, "8m")
    rerun(full_disk)
    (full_disk / "variants" / "results.csv").unlink()
    filler = full_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], capture_output=True)  # to the last page
    assert "/variants/" in refused(start, full_disk)
    filler.unlink()
    again = rerun(full_disk)
    assert again.trained == set()
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "the folder turns read-only while a study is at work",
    "the study stops with what to do; once it can be written again, a rerun does the rest",
)
def test_a_folder_that_turns_read_only(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    outputs = tmp_path / "outputs"
    driver = start(outputs, *STUDY, prefix=OBEYING if os.getuid() == 0 else ())
    wait_for(lambda: finished(outputs))
    folders = [outputs / "runs", *outputs.glob("runs/*")]
    for folder in folders:
        folder.chmod(0o555)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 2, said
    assert "cannot be written: Permission denied" in said
    assert "Traceback" not in said
    for folder in folders:
        folder.chmod(0o755)
    assert rerun(outputs).table == undisturbed


def interrupted(start: Start, outputs: Path) -> Path:
    """Return the folder of a run that was left with a checkpoint."""
    driver = start(outputs, *STUDY)
    wait_for(lambda: at_work(outputs))
    os.kill(driver.pid, signal.SIGINT)
    time.sleep(0.3)
    os.kill(driver.pid, signal.SIGINT)
    driver.communicate(timeout=30)
    (checkpoint,) = outputs.glob("runs/*/checkpoint.safetensors")
    return checkpoint.parent


@pytest.mark.slow
@pytest.mark.fault("a checkpoint is cut off", "its run says so in log.txt and begins anew, with the same numbers")
def test_a_truncated_checkpoint(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    run = interrupted(start, tmp_path)
    checkpoint = run / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    again = rerun(tmp_path)
    assert "checkpoint.safetensors is damaged" in again.said
    assert "The run begins anew" in again.said
    assert again.table == undisturbed


@pytest.mark.slow
@pytest.mark.fault(
    "a result is cut off",
    "the study names the file and what to do before anything starts; without that folder, a rerun trains that run only",
)
def test_a_truncated_result(tmp_path: Path, start: Start, undisturbed: Table) -> None:
    rerun(tmp_path)
    first, *_ = sorted(tmp_path.glob("runs/*/result.json"))
    first.write_bytes(first.read_bytes()[:-40])
    before = finished(tmp_path)
    driver = start(tmp_path, *STUDY)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 2
    assert f"{first} is damaged" in said
    assert f"Delete the folder {first.parent}" in said
    assert finished(tmp_path) == before
    for file in first.parent.iterdir():
        file.unlink()
    first.parent.rmdir()
    again = rerun(tmp_path)
    assert again.trained == {first.parent.name}
    assert again.table == undisturbed
