"""Trackers see what a run records, and whatever they do the run is the same."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TINY
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lstmlab
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.studies.budget import within_budget
from lstmlab.studies.display import Display
from lstmlab.studies.execute import Interrupted, execute_run
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.launch import Event
from lstmlab.studies.run import Run
from lstmlab.studies.store import Store
from lstmlab.studies.terms import Terms
from lstmlab.studies.trackers import Trackers, settle, tracker, tracking

BOTH = Trackers(("tensorboard", "mlflow"), "things")
STEPS = 20
RUN = [*(o for o in TINY if "steps" not in o), f"train.steps={STEPS}", "train.evaluate_every=5"]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return specify(within_budget(check(compose([*RUN, "seed=3"])).run))


@pytest.fixture(scope="module")
def plain(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run, watched by nobody."""
    store = Store(tmp_path_factory.mktemp("plain"))
    execute_run(spec, store)
    return Run(store.folder(spec))


@pytest.fixture(scope="module")
def tracked(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The run, watched by both trackers, interrupted after step 8 and gone on with."""
    store = Store(tmp_path_factory.mktemp("tracked"))

    def leave(step: int, loss: float) -> None:
        if step == 8:
            raise Interrupted

    with pytest.raises(Interrupted):
        execute_run(spec, store, Terms(trackers=BOTH), leave)
    settle()
    assert [run.info.status for run in mlflow_runs(store)] == ["KILLED"]
    execute_run(spec, store, Terms(trackers=BOTH))
    settle()
    return store


def mlflow_runs(store: Store, experiment: str = BOTH.experiment) -> list[object]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{store.outputs / 'mlflow' / 'mlflow.db'}")
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def same(folder: Path, plain: Run) -> bool:
    """Whether a run has the numbers of the one that nobody watched, to the last bit."""
    files = ("weights.safetensors", "metrics.jsonl")
    return all((folder / f).read_bytes() == (plain.folder / f).read_bytes() for f in files)


def test_a_run_that_is_watched_has_the_same_id_and_the_same_numbers_to_the_last_bit(
    spec: Spec, tracked: Store, plain: Run
) -> None:
    assert same(tracked.folder(spec), plain)
    watched = check(compose([*RUN, "seed=3", "trackers=[mlflow,tensorboard]"]))
    assert watched.trackers == ["mlflow", "tensorboard"]
    assert specify(within_budget(watched.run)) == spec


def test_tensorboard_shows_every_row_once_although_the_run_was_interrupted(
    spec: Spec, tracked: Store, plain: Run
) -> None:
    folder = tracked.outputs / "tensorboard" / spec.name
    assert len(list(folder.iterdir())) == 2, "one file for each part"
    events = EventAccumulator(str(folder)).Reload()
    shown = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    rows = plain.metrics
    train, validation = (rows[rows.split == split] for split in ("train", "validation"))
    assert set(shown) >= {"train/loss", "train/gradient_norm", "validation/MSE", "test/MSE"}
    assert [step for step, _ in shown["train/loss"]] == list(range(1, STEPS + 1))
    assert [v for _, v in shown["train/loss"]] == pytest.approx(list(train.loss), rel=1e-6)
    assert [v for _, v in shown["train/gradient_norm"]] == pytest.approx(list(train.gradient_norm), rel=1e-6)
    assert [v for _, v in shown["validation/MSE"]] == pytest.approx(list(validation.MSE), rel=1e-6)
    assert shown["test/MSE"] == [(plain.result["best_step"], pytest.approx(plain.result["value"], rel=1e-6))]
    texts = {tag: events.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in ("config", "status")}
    assert f"train.steps: {STEPS}" in texts["config"]
    assert texts["status"] == "done"


def test_mlflow_goes_on_with_the_same_run(spec: Spec, tracked: Store, plain: Run) -> None:
    from mlflow.tracking import MlflowClient

    (run,) = mlflow_runs(tracked)
    client = MlflowClient(f"sqlite:///{tracked.outputs / 'mlflow' / 'mlflow.db'}")
    history = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    rows = plain.metrics
    assert (run.info.status, run.info.run_name) == ("FINISHED", spec.name)
    assert run.data.params["train.steps"] == str(STEPS)
    assert run.data.params["cell.name"] == "vanilla"
    assert [m.step for m in history["train/loss"]] == list(range(1, STEPS + 1))
    assert [m.value for m in history["train/loss"]] == list(rows[rows.split == "train"].loss)
    assert [m.value for m in history["validation/MSE"]] == list(rows[rows.split == "validation"].MSE)
    assert run.data.metrics["test/MSE"] == plain.result["value"]
    assert not list(tracked.folder(spec).glob("mlflow.json"))


def test_mlflow_reports_to_nobody() -> None:
    from mlflow.telemetry.utils import is_telemetry_disabled

    from lstmlab.studies.trackers import mlflow  # noqa: F401  sets what that reads

    assert is_telemetry_disabled()


class Bad:
    """A tracker that does in one of its methods what no tracker should."""

    where = ""
    free = threading.Event()

    def __init__(self, run: object) -> None:
        self.do("init")

    def do(self, where: str) -> None:
        if where == self.where:
            raise RuntimeError(f"no {where}")
        if self.where == f"hang in {where}":
            self.free.wait()

    def begin(self, rows: object) -> None:
        self.do("begin")

    def log(self, rows: object) -> None:
        self.do("log")

    def end(self, result: object) -> None:
        self.do("end")


@pytest.fixture
def bad(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bad]]:
    monkeypatch.setattr(tracking, "load", lambda name: Bad)
    Bad.free.clear()
    yield Bad
    Bad.free.set()
    settle()


@pytest.mark.parametrize("where", ["init", "begin", "log", "end"])
def test_a_tracker_that_raises_costs_one_line(
    spec: Spec, plain: Run, bad: type[Bad], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad, "where", where)
    store, said = Store(tmp_path), list[str]()
    execute_run(spec, store, Terms(trackers=Trackers(("mlflow",))), say=said.append)
    settle()
    assert same(store.folder(spec), plain)
    (line,) = said
    assert line.startswith("mlflow: nothing")
    assert f"RuntimeError: no {where}" in line
    assert spec.name in line


def test_a_tracker_that_hangs_is_not_waited_for_and_what_it_misses_is_counted(
    spec: Spec, plain: Run, bad: type[Bad], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad, "where", "hang in begin")
    monkeypatch.setattr(tracking, "ROOM", 10)
    store, said = Store(tmp_path), list[str]()
    began = time.monotonic()
    execute_run(spec, store, Terms(trackers=Trackers(("mlflow",))), say=said.append)
    assert time.monotonic() - began < tracking.PATIENCE
    assert same(store.folder(spec), plain)
    bad.free.set()
    settle()
    rows = len(plain.metrics)
    assert said == [f"mlflow: {rows - 10} rows were left out, because it takes them too slowly ({spec.name})"]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A server that takes MLflow's calls and never answers; when it is closed nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield server


@pytest.mark.parametrize("listens", [True, False])
def test_a_server_that_does_not_answer_costs_no_time(
    listens: bool, spec: Spec, plain: Run, silent: socket.socket, tmp_path: Path
) -> None:
    if not listens:
        silent.close()
    store, said = Store(tmp_path), list[str]()
    began = time.monotonic()
    execute_run(spec, store, Terms(trackers=Trackers(("mlflow",))), say=said.append)
    assert time.monotonic() - began < 1
    settle()
    assert same(store.folder(spec), plain)
    (line,) = said
    assert line.startswith("mlflow: nothing more is logged")
    assert ("timed out" if listens else "Connection refused") in line


def test_a_full_disk_ends_the_tracker_and_not_the_run(spec: Spec, plain: Run, full_disk: Path, tmp_path: Path) -> None:
    (full_disk / "filler").write_bytes(bytes(62_000))
    (tmp_path / "tensorboard").symlink_to(full_disk)
    store, said = Store(tmp_path), list[str]()
    execute_run(spec, store, Terms(trackers=Trackers(("tensorboard",))), say=said.append)
    settle()
    assert same(store.folder(spec), plain)
    (line,) = said
    assert "No space left on device" in line


def test_a_worker_says_in_log_txt_what_went_wrong_and_hands_over_before_it_ends(
    silent: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Event] = []
    monkeypatch.setattr(Display, "hear", lambda display, event: heard.append(event))
    trackers = "trackers=[tensorboard,mlflow]"
    study = lstmlab.study("variants", [*RUN, "cell=vanilla,peephole", "seed=0", trackers, f"outputs={tmp_path}"]).run()
    assert list(study.table().status) == ["done", "done"]
    for spec in study.specs:
        assert next(event for event in heard if event.spec == spec) == Event(spec), "it tells at once that it begins"
        log = (study.store.folder(spec) / "log.txt").read_text()
        assert log.count("mlflow: nothing more is logged") == 1, "although the study was over before that was known"
        events = EventAccumulator(str(tmp_path / "tensorboard" / spec.name)).Reload()
        assert len(events.Scalars("train/loss")) == STEPS
        assert events.Tensors("status")


def test_a_run_that_fails_is_failed_in_the_trackers_too(tracked: Store) -> None:
    wild = ["train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant"]
    spec = specify(within_budget(check(compose([*RUN, *wild])).run))
    reason = execute_run(spec, tracked, Terms(trackers=Trackers(BOTH.names, "failures")))["reason"]
    settle()
    (run,) = mlflow_runs(tracked, "failures")
    assert (run.info.status, run.data.tags["reason"]) == ("FAILED", reason)
    assert run.data.metrics["train/loss"], "what led there is shown"
    events = EventAccumulator(str(tracked.outputs / "tensorboard" / spec.name)).Reload()
    assert events.Tensors("status")[0].tensor_proto.string_val[0].decode() == f"failed: {reason}"


@pytest.mark.parametrize(
    ("trackers", "said"),
    [("[tensorbord]", "Did you mean 'tensorboard'"), ("tensorboard", "a list of tensorboard, mlflow")],
)
def test_unknown_trackers_are_refused(trackers: str, said: str, tiny: list[str]) -> None:
    with pytest.raises(LstmlabError, match=said):
        lstmlab.study("variants", [*tiny, f"trackers={trackers}"])


@pytest.mark.parametrize("begin", [lstmlab.run, lambda o: lstmlab.study("variants", o)], ids=["run", "study"])
def test_a_missing_extra_is_refused_before_work_starts(
    begin: object, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "find_spec", lambda name: None)
    with pytest.raises(LstmlabError, match=r"pip install 'lstmlab\[mlflow\]'"):
        begin([*tiny, "trackers=[mlflow]"])
    assert not list(tmp_path.iterdir())
