"""A run as a handle: what it was, how it went, and its model."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from lstmlab import paths, registry
from lstmlab.config import Settings, check, check_run, compose
from lstmlab.engine import RNN
from lstmlab.errors import LstmlabError, TrainingError, nearest
from lstmlab.progress import bar
from lstmlab.schema import RunConfig
from lstmlab.studies import claims
from lstmlab.studies.budget import build, within_budget
from lstmlab.studies.devices import refuse_devices
from lstmlab.studies.execute import Elsewhere, Interrupted, execute_run
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec, specify
from lstmlab.studies.interrupts import first_interrupt
from lstmlab.studies.store import Result, Store, read_result
from lstmlab.studies.terms import Terms
from lstmlab.studies.trackers import Trackers, require
from lstmlab.tasks import Task
from lstmlab.training.determinism import check_device

LOOK_EVERY = 1.0  # seconds between two looks at a run that another process is at


def run(overrides: Sequence[str] = ()) -> Run:
    """Train one run, or take it from the store where it is finished.

    >>> lstmlab.run(["task=climate", "cell=peephole", "seed=1"]).result["value"]  # doctest: +SKIP

    Raises:
        LstmlabError: for a wrong config, before anything starts; `TrainingError` when training fails.
    """
    return run_settings(check(compose(overrides)))


def run_settings(settings: Settings, patient: bool = False) -> Run:
    """Do what `run` does with a config that is checked already.

    Args:
        settings: of the run.
        patient: wait for a run that another process is at, rather than raise `TrainingError`.
    """
    require(settings.trackers)
    refuse_devices(settings.run, settings.rendezvous)
    check_device(settings.run.train)
    spec = specify(within_budget(settings.run))
    store = Store(paths.outputs(settings.outputs))
    result = store.result(spec)
    if result is None or result["status"] != "done":
        store.prepare()
        result = _execute(spec, store, settings, patient)
        if result["status"] != "done":
            raise TrainingError(f"{spec.name} failed: {result['reason']} ({store.folder(spec)})")
    return Run(store.folder(spec))


def _execute(spec: Spec, store: Store, settings: Settings, patient: bool) -> Result:
    """Do a run in this process, with a bar; Ctrl-C writes a checkpoint before it ends the run."""
    stopping = threading.Event()
    trackers = Trackers(tuple(settings.trackers), spec.config.task.label)
    terms = Terms(settings.checkpoint_minutes, trackers=trackers, rendezvous=settings.rendezvous)

    def progress(step: int, loss: float) -> None:
        shown.update(step - shown.n)
        if stopping.is_set():
            raise Interrupted

    with bar(spec.config.train.steps, spec.name.rpartition("-")[0], "step") as shown, first_interrupt(stopping.set):
        while True:
            try:
                return execute_run(spec, store, terms, progress)
            except Interrupted:
                raise KeyboardInterrupt from None
            except Elsewhere as other:
                if not patient:
                    raise TrainingError(
                        f"{spec.name} is being trained by {other}; wait for it, or end that first"
                    ) from None
                print(f"{spec.name} is being trained by {other}: waiting for it", file=sys.stderr)
            terms = replace(terms, stale=_await(store.folder(spec), stopping))


def _await(folder: Path, stopping: threading.Event) -> int:
    """Wait until nobody works on a run; return which claim on it may be taken over, where its holder died."""
    observer = claims.Observer()
    while observer.alive(folder) is not None:
        if stopping.wait(LOOK_EVERY):
            raise KeyboardInterrupt
    return observer.silent(folder)


def load_run(id: str, outputs: str | None = None) -> Run:
    """Return a finished run of the store.

    Args:
        id: its id or the name of its folder, as `lstmlab run` and `study.table()` show them, the beginning of
            either, or the path of the folder.
        outputs: the folder that holds the store; None for the one that runs are written to.

    Raises:
        LstmlabError: when no run, or more than one, is called that.
    """
    runs = Store(paths.outputs(outputs)).runs
    if "/" in id and Path(id).is_dir():
        return Run(Path(id))
    names = sorted(f.parent.name for f in runs.glob("*/result.json"))
    found = [n for n in names if id and (n.startswith(id) or n.rpartition("-")[2].startswith(id))]
    if len(found) != 1:
        which = f"{len(found)} runs begin with it: {', '.join(found[:5])}" if found else f"{runs} has no such run"
        close = nearest(id, [*names, *(n.rpartition("-")[2] for n in names)])
        raise LstmlabError(f"run {id!r}: {which}.{close} `lstmlab run` prints it; results.csv lists a study's.")
    return Run(runs / found[0])


class Run:
    """A run that has ended, read from its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        result = read_result(folder)
        if result is None:
            raise StorageError(f"{folder} holds no finished run: result.json is missing")
        self.result: Result = result

    @cached_property
    def config(self) -> RunConfig:
        """The config that the run was made with, checked again."""
        path = self.folder / "config.yaml"
        stored: Any = OmegaConf.to_container(OmegaConf.load(path))
        try:
            return check_run(stored, files=False)
        except LstmlabError as error:
            raise self._of_other_code(path, error) from None

    @cached_property
    def task(self) -> Task:
        """The run's task, with its data."""
        task: Task = registry.task.get(self.config.task.name)(self.config.task)
        task.fitted = json.loads(self._read("fitted.json"))
        return task

    @cached_property
    def model(self) -> nn.Module:
        """The model with the best weights, ready to answer."""
        model = build(self.task, self.config.cell, self.config.engine)
        path = self.folder / "weights.safetensors"
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise StorageError(f"{path} cannot be read: {error}. Delete {self.folder} and run it again.") from None
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise self._of_other_code(path, error) from None
        return model.eval()

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row per training step and evaluation, as in metrics.jsonl."""
        lines = self._read("metrics.jsonl").splitlines()
        return pd.DataFrame([json.loads(line) for line in lines])

    @cached_property
    def gates(self) -> pd.DataFrame:
        """Gate activations and states of the first layer while it reads one test sequence.

        Looked at is the model's `RNN` called ``rnn``, or its first one. What it reads is what the model's
        ``embedding``, a layer or a method, makes of the inputs.
        """
        from lstmlab.training.probes import probe  # SymPy is slow to import, and few runs are probed

        inputs = self.task.example().inputs
        embedding = getattr(self.model, "embedding", None)
        rnn = getattr(self.model, "rnn", None) or next(m for m in self.model.modules() if isinstance(m, RNN))
        return probe(rnn, (embedding(inputs).detach() if embedding else inputs)[0])

    def predict(self, source: str | Path) -> pd.DataFrame:
        """Return the model's answers to new data.

        Args:
            source: a file of the kind that the run's own data have; the README of its task says more.

        Raises:
            LstmlabError: when the file is missing or not what the model was trained for.
        """
        path = Path(source).expanduser()
        if not path.exists():
            raise LstmlabError(f"{path} is not there: give the file that holds the new data")
        return self.task.predict(self.model, path)

    def _of_other_code(self, path: Path, error: Exception) -> StorageError:
        made_by = self.result.get("machine", {}).get("lstmlab", "another version")
        return StorageError(
            f"{path} does not fit what is installed here: {error}\nThe run's result and metrics can be read. For its "
            f"model, train it again, or install what made it: lstmlab {made_by}, and its plugins as they were then."
        )

    def _read(self, name: str) -> str:
        path = self.folder / name
        try:
            return path.read_text(encoding="utf-8")
        except OSError as error:
            raise StorageError(
                f"{path} cannot be read: {error.strerror}. Delete {self.folder} and run it again."
            ) from None

    def __repr__(self) -> str:
        r = self.result
        value = f"{r['metric']} {r['value']:.4g} {r['unit']}".strip() if r["status"] == "done" else r["reason"]
        return f"Run({r['task']}, {r['cell']}, seed {r['seed']}: {r['status']}, {value})"
