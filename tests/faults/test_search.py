"""Faults of a search: the trials, and the settings that they lead to, are those of an undisturbed one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from disturbed import STUDY, Table, rerun
from processes import Start, at_work, finished, gone, needs_proc, wait_for, workers_of

pytestmark = [needs_proc, pytest.mark.slow]
SEARCH = [*STUDY, "seed=0", "study.search=tpe", "study.trials=10", "study.prune_after=2", "study.prune_warmup=0.3"]


def trials_of(outputs: Path) -> bytes:
    return (outputs / "variants" / "search.csv").read_bytes()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Table, bytes]:
    """The final table and the trials of a search that nothing disturbs."""
    outputs = tmp_path_factory.mktemp("searched")
    return rerun(outputs, *SEARCH).table, trials_of(outputs)


@pytest.mark.fault(
    "SIGKILL of the driver in a search",
    "a rerun asks for the same trials, takes those that have ended from the store, and comes to the same settings",
)
def test_a_killed_driver_of_a_search(tmp_path: Path, start: Start, searched: tuple[Table, bytes]) -> None:
    driver = start(tmp_path, *SEARCH)
    wait_for(lambda: len(finished(tmp_path)) > 8)  # in the second round
    pids = workers_of(driver.pid)
    os.kill(driver.pid, signal.SIGKILL)
    wait_for(lambda: all(map(gone, pids)))
    kept = finished(tmp_path)
    again = rerun(tmp_path, *SEARCH)
    assert (again.table, trials_of(tmp_path)) == searched
    assert {name: time for name, time in finished(tmp_path).items() if name in kept} == kept


@pytest.mark.fault(
    "SIGKILL of a worker process in a search",
    "its trial is tried once more, and the search comes to the same settings without a rerun",
)
def test_a_killed_worker_of_a_search(tmp_path: Path, start: Start, searched: tuple[Table, bytes]) -> None:
    driver = start(tmp_path, *SEARCH)
    wait_for(lambda: at_work(tmp_path))
    os.kill(workers_of(driver.pid)[0], signal.SIGKILL)
    said, shown = driver.communicate(timeout=180)
    assert driver.returncode == 0
    assert (said + shown).count("its worker process died: SIGKILL") == 1
    assert trials_of(tmp_path) == searched[1]
    assert rerun(tmp_path, *SEARCH).table == searched[0]


@pytest.mark.fault(
    "two drivers on one search, one of which is killed",
    "the other one does the rest of the trials that both asked for, none of them twice",
)
def test_a_killed_driver_beside_another(tmp_path: Path, start: Start, searched: tuple[Table, bytes]) -> None:
    first, second = start(tmp_path, *SEARCH), start(tmp_path, *SEARCH)
    wait_for(lambda: len(finished(tmp_path)) > 3)
    os.killpg(first.pid, signal.SIGKILL)
    second.communicate(timeout=180)
    assert second.returncode == 0
    assert trials_of(tmp_path) == searched[1]
    assert rerun(tmp_path, *SEARCH).table == searched[0]
