"""One run on several devices when a rank dies, raises, or is stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import gone, needs_proc, wait_for
from shared_runs import RUN, Start, checkpoint, ranks_of, same, starting

import lstmlab
from lstmlab.errors import LstmlabError

pytestmark = needs_proc
ONE = ["task=adding", "cell=vanilla", "seed=0", "workers=1"]  # a study of the same run


@pytest.fixture
def start() -> Iterator[Start]:
    with starting() as start:
        yield start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> lstmlab.Run:
    return lstmlab.run([*RUN, "train.devices=2", f"outputs={tmp_path_factory.mktemp('undisturbed')}"])


@pytest.mark.slow
@pytest.mark.fault(
    "SIGKILL of one of the processes that share a run",
    "the others end, the run is recorded as failed; the same command goes on from the last checkpoint of all",
)
def test_a_rank_that_is_killed_fails_the_run_which_then_goes_on_as_if_nothing_had_been(
    undisturbed: lstmlab.Run, start: Start, tmp_path: Path
) -> None:
    driver = start("run", tmp_path)
    wait_for(lambda: checkpoint(tmp_path))
    ranks = ranks_of(driver)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "rank 1 died: SIGKILL (out of memory?)" in said
    assert all(gone(pid) for pid in ranks)
    assert not list(tmp_path.glob("runs/*/claim-*"))
    assert checkpoint(tmp_path)
    again = lstmlab.run([*RUN, "train.devices=2", f"outputs={tmp_path}"])
    assert same(again.folder, undisturbed.folder)


@pytest.mark.fault(
    "Ctrl-C while several processes share a run",
    "all leave after the same step with a checkpoint; the same command goes on, to the same bits",
)
@pytest.mark.slow
@pytest.mark.parametrize(("command", "signals"), [("run", 1), ("study", 2)])
def test_an_interrupt_leaves_a_checkpoint_of_all_ranks(
    undisturbed: lstmlab.Run, start: Start, tmp_path: Path, command: str, signals: int
) -> None:
    driver = start(command, tmp_path, "checkpoint_minutes=1", *(ONE if command == "study" else []))
    wait_for(lambda: any(f.stat().st_size for f in tmp_path.glob("runs/*/metrics.jsonl")))
    ranks = ranks_of(driver)
    for _ in range(signals):
        driver.send_signal(signal.SIGINT)
        time.sleep(0.5)
    driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert all(gone(pid) for pid in ranks)
    assert checkpoint(tmp_path)
    again = lstmlab.run([*RUN, "train.devices=2", f"outputs={tmp_path}"])
    assert same(again.folder, undisturbed.folder)


@pytest.mark.fault(
    "processes that share a run exceed `launch.memory_limit` together", "all are ended; the run is recorded as failed"
)
@pytest.mark.slow
def test_limits_count_all_ranks_and_end_them(start: Start, tmp_path: Path) -> None:
    # the worker or one rank alone would stay below
    driver = start(
        "study", tmp_path, "launch.memory_limit=0.7", *ONE, "train.steps=100000", "train.evaluate_every=100000"
    )
    seen: set[int] = set()
    wait_for(lambda: seen.update(ranks_of(driver)) or driver.poll() is not None, 100)
    _, said = driver.communicate()
    assert "more than launch.memory_limit=0.7" in said
    assert len(seen) == 2
    assert all(gone(pid) for pid in seen)


@pytest.mark.fault(
    "an error in processes that share a run", "all end, and the run's failure says what the first one raised"
)
@pytest.mark.slow
def test_what_a_rank_raises_is_the_runs_failure(tmp_path: Path) -> None:
    wild = ["train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant"]
    with pytest.raises(LstmlabError, match=r"failed: the (loss|gradient norm) became (nan|inf) at step \d+"):
        lstmlab.run([*RUN, *wild, "train.devices=2", f"outputs={tmp_path}"])
    assert not checkpoint(tmp_path)
