"""One run, one process at work: claims are exclusive, live ones are respected, dead and silent ones taken over."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lstmlab.studies import claims
from lstmlab.studies.claims import Observer, generation, hold, holder
from lstmlab.studies.files import StorageError


def elsewhere(folder: Path, beat: int = 0, generation: int = 1) -> None:
    """Write the claim of a process of another machine."""
    folder.mkdir(exist_ok=True)
    facts = {"host": "far", "machine": "far/1", "pid": 1, "born": "7", "beat": beat}
    (folder / f"claim-{generation}.json").write_text(json.dumps(facts))


def test_a_claim_is_held_by_one_and_given_free(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with hold(run) as mine:
        assert mine is not None
        found = holder(run)
        assert found is not None
        assert found.pid == os.getpid()
        with hold(run) as other:
            assert other is None
    assert holder(run) is None
    assert list(run.iterdir()) == []


def _try(folder: Path, start: float, won: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    time.sleep(max(0.0, start - time.time()))
    with hold(folder) as claim:
        won.put(claim is not None)
        time.sleep(1)


def test_of_many_processes_one_gets_it(tmp_path: Path) -> None:
    """Also where all of them find the claim of a dead one."""
    context = multiprocessing.get_context("fork")
    dead = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
from pathlib import Path
from lstmlab.studies.claims import hold
claim = hold(Path({str(tmp_path / "stale")!r}))
claim.__enter__()
import os; os._exit(0)""",
        ]
    )
    dead.wait()
    assert holder(tmp_path / "stale") is not None
    for folder in (tmp_path / "fresh", tmp_path / "stale"):
        won = context.Queue()
        start = time.time() + 0.2
        processes = [context.Process(target=_try, args=(folder, start, won)) for _ in range(8)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert sorted(won.get() for _ in processes) == [False] * 7 + [True]


def test_a_claim_of_another_machine_is_stale_when_it_no_longer_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE", 0.3)
    observer = Observer()
    elsewhere(tmp_path)
    for beat in range(1, 5):  # it lives: each look finds a new beat, and a new wait begins
        assert observer.alive(tmp_path) is not None
        time.sleep(0.2)
        elsewhere(tmp_path, beat)
    assert observer.alive(tmp_path) is not None
    time.sleep(0.4)
    assert observer.alive(tmp_path) is None
    with hold(tmp_path) as claim:
        assert claim is None, "who sees it for the first time does not know that it is silent"
    with hold(tmp_path, stale=generation(tmp_path)) as claim:
        assert claim is not None
        assert claim.path.name == "claim-2.json"


def test_the_age_of_a_file_says_nothing(tmp_path: Path) -> None:
    """Clocks of other machines may be wrong, and ours may be set back."""
    for clock in (0, time.time() + 1e6):
        elsewhere(tmp_path)
        os.utime(tmp_path / "claim-1.json", (clock, clock))
        assert Observer().alive(tmp_path) is not None


def test_who_was_taken_for_dead_and_wakes_up_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT", 0.05)
    with hold(tmp_path) as claim:
        assert claim is not None
        claim.tell(3, 10, 0.5)
        deadline = time.monotonic() + 5
        while (holder(tmp_path) or claim.holder).step != 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        elsewhere(tmp_path, generation=2)
        while not claim.lost:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert (tmp_path / "claim-2.json").exists(), "what is another's is left alone"


def test_a_process_number_that_is_used_again_is_not_the_holder(tmp_path: Path) -> None:
    with hold(tmp_path) as claim:
        assert claim is not None
        facts = json.loads(claim.path.read_text())
    (tmp_path / "claim-1.json").write_text(json.dumps(facts | {"born": "1"}))
    assert Observer().alive(tmp_path) is None


def test_a_claim_that_is_cut_belongs_to_somebody_until_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE", 0.1)
    (tmp_path / "claim-1.json").write_text('{"host": ')
    observer = Observer()
    assert observer.alive(tmp_path) is not None
    time.sleep(0.2)
    assert observer.alive(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"), hold(tmp_path / "file"):
        pass
