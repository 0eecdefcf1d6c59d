"""A study: each run once, and failures kept apart. What happens when something dies: tests/faults."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import TINY
from processes import finished as results

import lstmlab
from lstmlab.errors import LstmlabError
from lstmlab.studies.files import StorageError
from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.launch.process import Process

SLOW = [o for o in TINY if "steps" not in o] + ["train.steps=100000", "train.evaluate_every=100000"]


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
    assert "held results of 2 runs and will hold 1; no run is lost" in capfd.readouterr().err


def test_axes_narrow_a_study_and_duplicates_count_once(tmp_path: Path) -> None:
    study = lstmlab.study("variants", [*TINY, "cell=coupled,vanilla,coupled", "seed=range(3)", f"outputs={tmp_path}"])
    assert len(study.specs) == 6
    assert study.config.cells == ["coupled", "vanilla"]
