"""A study: each run once, failures kept apart, and nothing lost whatever dies. Real processes, real signals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, TINY

import lstmlab
from lstmlab.errors import LstmlabError
from lstmlab.studies.files import StorageError
from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.launch.process import Process

SLOW = [o for o in TINY if "steps" not in o] + ["train.steps=100000", "train.evaluate_every=100000"]


def results(outputs: Path) -> dict[str, float]:
    """When each run was finished, by folder name."""
    return {f.parent.name: f.stat().st_mtime_ns for f in outputs.glob("runs/*/result.json")}


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """A starter of studies that leaves no process behind, whatever a test finds."""
    drivers: list[subprocess.Popen[str]] = []

    def start(outputs: Path, *overrides: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
        command = [*prefix, sys.executable, "-m", "lstmlab", "study", "study=variants", f"outputs={outputs}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        driver = subprocess.Popen([*command, *overrides], cwd=ROOT, text=True, start_new_session=True, **pipes)
        drivers.append(driver)
        return driver

    yield start
    for driver in drivers:
        for pid in [*workers_of(driver), driver.pid] if driver.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        driver.wait()


def wait_for(condition, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def workers_of(driver: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{driver.pid}/task").glob("*/children")
    return [int(pid) for file in children for pid in file.read_text().split()]


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers through /proc")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of a study of three cells and two seeds, done by a pool of two workers."""
    outputs = tmp_path_factory.mktemp("finished")
    lstmlab.study("variants", [*TINY, "seed=0,1", "workers=2", f"outputs={outputs}"]).run()
    return outputs


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    """Outputs that hold the runs of that study, and no table yet."""
    shutil.copytree(finished / "runs", tmp_path / "runs")
    return tmp_path


def test_a_study_runs_every_run_once_and_gives_one_tidy_row_each(finished: Path) -> None:
    overrides = [*TINY, "seed=0,1", f"outputs={finished}"]
    table = lstmlab.study("variants", overrides).table()
    assert list(table.status) == ["done"] * 6
    assert set(zip(table.cell, table.seed, strict=True)) == {
        (c, s) for c in ("vanilla", "peephole", "coupled") for s in (0, 1)
    }
    assert {"task", "cell", "seed", "status", "parameters", "metric", "value", "seconds"} <= set(table.columns)
    assert table.value.notna().all()
    before = results(finished)
    again = lstmlab.study("variants", overrides).run()
    assert results(finished) == before, "a second call trains nothing"
    pd.testing.assert_frame_equal(again.table(), table)
    written = pd.read_parquet(finished / "variants" / "results.parquet")
    pd.testing.assert_frame_equal(written, table)
    assert len(pd.read_csv(finished / "variants" / "results.csv")) == 6


def test_a_study_s_run_is_the_same_as_a_single_one_to_the_last_bit(finished: Path, tmp_path: Path) -> None:
    """Worker or notebook, pool or alone: equal metrics, equal weights."""
    pooled = lstmlab.study("variants", [*TINY, "cell=peephole", "seed=1", f"outputs={finished}"])
    alone = lstmlab.run([*TINY, "cell=peephole", "seed=1", f"outputs={tmp_path}"])
    (other,) = pooled.runs("adding", "peephole")
    assert other.result["value"] == alone.result["value"]
    weights = "weights.safetensors"
    assert (other.folder / weights).read_bytes() == (alone.folder / weights).read_bytes()


def test_one_failing_run_does_not_take_the_others_along_and_is_retried(tmp_path: Path) -> None:
    wild = ["train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant", "train.steps=20"]
    overrides = [*TINY, *wild, "cell=vanilla", "seed=0,1", f"outputs={tmp_path}"]
    study = lstmlab.study("variants", overrides).run()
    assert list(study.table().status) == ["failed", "failed"]
    assert all("became" in reason for reason in study.failures.values())
    before = results(tmp_path)
    lstmlab.study("variants", overrides).run(retry=False)
    assert results(tmp_path) == before
    lstmlab.study("variants", overrides).run()
    assert results(tmp_path) != before


@needs_proc
def test_a_killed_worker_costs_its_run_only(tmp_path: Path, start: Start) -> None:
    driver = start(tmp_path, *SLOW, "cell=vanilla", "seed=0")
    wait_for(lambda: list(tmp_path.glob("runs/*/config.yaml")) and workers_of(driver))
    os.kill(workers_of(driver)[0], signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "its worker process died: SIGKILL" in said
    (failed,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(failed.read_text())["status"] == "failed"


@needs_proc
def test_a_killed_driver_loses_nothing_and_a_rerun_continues(tmp_path: Path, start: Start) -> None:
    options = [o for o in TINY if not o.startswith("train.")] + ["train.steps=150", "seed=0,1,2,3"]
    driver = start(tmp_path, *options, "cell=vanilla")
    wait_for(lambda: len(results(tmp_path)) >= 1)
    pids = workers_of(driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait(timeout=10)
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids))
    kept = results(tmp_path)
    assert 1 <= len(kept) < 4
    done = lstmlab.study("variants", [*options, "cell=vanilla", f"outputs={tmp_path}"]).run()
    assert list(done.table().status) == ["done"] * 4
    after = results(tmp_path)
    assert {k: after[k] for k in kept} == kept, "what was finished is not trained again"


IGNORING = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")  # as a script's `command &` starts it


@needs_proc
def test_ctrl_c_once_finishes_what_runs_and_begins_nothing_more(tmp_path: Path, start: Start) -> None:
    """Also where the signal was ignored when the study was started."""
    options = [o for o in TINY if not o.startswith("train.")] + ["train.steps=300", "cell=vanilla", "seed=0,1,2,3,4"]
    driver = start(tmp_path, *options, prefix=IGNORING)
    wait_for(lambda: len(list(tmp_path.glob("runs/*/config.yaml"))) == 1)
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "the runs at work are finished first" in said
    assert "interrupted; finished runs are kept" in said
    assert "Traceback" not in said
    assert [json.loads(f.read_text())["status"] for f in tmp_path.glob("runs/*/result.json")] == ["done"]
    assert not list(tmp_path.glob("runs/*/claim-*"))


@needs_proc
def test_ctrl_c_twice_stops_now_and_a_rerun_goes_on_from_there(tmp_path: Path, start: Start) -> None:
    options = [*SLOW, "cell=vanilla", "seed=0,1,2", "workers=2"]
    driver = start(tmp_path, *options)
    wait_for(lambda: len([f for f in tmp_path.glob("runs/*/metrics.jsonl") if f.stat().st_size]) == 2)
    pids = workers_of(driver)
    os.kill(driver.pid, signal.SIGINT)
    time.sleep(0.5)
    os.kill(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert "Traceback" not in said
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    assert len(pids) == 2
    assert results(tmp_path) == {}
    assert len(list(tmp_path.glob("runs/*/checkpoint.safetensors"))) == 2
    assert not list(tmp_path.glob("runs/*/claim-*"))


def test_a_worker_that_is_being_started_can_be_stopped(tmp_path: Path) -> None:
    """What interrupts a study while a process starts ends that process too."""
    study = lstmlab.study("variants", [*SLOW, "cell=vanilla", "seed=0", f"outputs={tmp_path}"])
    entered = threading.Event()

    class Slow(Process):
        def _spawn(self) -> subprocess.Popen[bytes]:
            entered.set()
            time.sleep(0.2)
            return super()._spawn()

    process = Slow(study.store, Options(study.settings.launch))
    heard: list[Event] = []
    thread = threading.Thread(target=process.run, args=(Job(study.specs[0]), heard.append), daemon=True)
    thread.start()
    entered.wait()
    process.stop()
    thread.join(timeout=20)
    assert process._process is not None
    assert process._process.poll() is not None
    assert not thread.is_alive()
    assert not any(event.final for event in heard)


def test_a_disk_that_fills_up_stops_a_study_with_what_to_do_and_a_rerun_continues(
    full_disk: Path, start: Start
) -> None:
    """64 KiB hold the first run's files, not those of all three."""
    options = [*TINY, "cell.hidden_size=40", "cell=vanilla", "seed=0,1,2"]
    driver = start(full_disk, *options)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 2
    assert "No space left" in said
    assert "Finished runs are kept; free some space" in said
    assert "Traceback" not in said
    kept = results(full_disk)
    assert 1 <= len(kept) < 3
    assert all(json.loads(f.read_text())["status"] == "done" for f in full_disk.glob("runs/*/result.json"))
    subprocess.run(["mount", "-o", "remount,size=8m", full_disk], check=True)
    done = lstmlab.study("variants", [*options, f"outputs={full_disk}"]).run()
    assert list(done.table().status) == ["done"] * 3
    assert {k: v for k, v in results(full_disk).items() if k in kept} == kept


def test_a_damaged_result_stops_a_study_before_it_starts(runs: Path) -> None:
    first, *_ = runs.glob("runs/*/result.json")
    first.write_text("{")
    before = results(runs)
    with pytest.raises(StorageError, match="is damaged"):
        lstmlab.study("variants", [*TINY, "seed=0,1,2", f"outputs={runs}"]).run()
    assert results(runs) == before


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["cell=vanila"], "Did you mean 'vanilla'"),
        (["seed=a"], "seed=a: expected whole numbers"),
        (["task=adding,nope"], "there is no task called 'nope'"),
        (["study.seeds=[]"], "study.seeds is empty"),
        (["study.sedes=[1]"], "Did you mean 'study.seeds'"),
        (["train.steps=5,6"], "holds several values"),
    ],
)
def test_bad_overrides_are_refused_before_anything_starts(tmp_path: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(LstmlabError, match=said.replace("[", r"\[")):
        lstmlab.study("variants", [*overrides, f"outputs={tmp_path}"])
    assert not list(tmp_path.iterdir())


def test_a_narrowed_study_says_that_the_table_holds_less_than_before(
    runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    overrides = [*TINY, "cell=vanilla", f"outputs={runs}"]
    lstmlab.study("variants", [*overrides, "seed=0,1"]).run()
    assert "note:" not in capfd.readouterr().err
    lstmlab.study("variants", [*overrides, "seed=0"]).run()
    assert "held results of 2 runs and now holds 1; no run is lost" in capfd.readouterr().err


def test_axes_narrow_a_study_and_duplicates_count_once(tmp_path: Path) -> None:
    study = lstmlab.study("variants", [*TINY, "cell=coupled,vanilla,coupled", "seed=range(3)", f"outputs={tmp_path}"])
    assert len(study.specs) == 6
    assert study.config.cells == ["coupled", "vanilla"]
