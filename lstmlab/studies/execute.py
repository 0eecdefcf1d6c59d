"""One run from spec to result: the same code for a worker, a notebook and the command line."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lstmlab import registry
from lstmlab.errors import LstmlabError
from lstmlab.machine import describe
from lstmlab.studies.budget import build, count_parameters
from lstmlab.studies.checkpoint import History, drop_checkpoint, load_checkpoint, save_checkpoint
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec, data_version
from lstmlab.studies.store import Result, Store
from lstmlab.tasks import Task
from lstmlab.training import deterministic, fit
from lstmlab.training.loop import Row, Training
from lstmlab.training.snapshot import Snapshot

LOG_EVERY = 2.0  # seconds between two additions to metrics.jsonl


def execute_run(
    spec: Spec, store: Store, progress: Callable[[int], object] = lambda step: None, checkpoint_minutes: float = 1.0
) -> Result:
    """Train, evaluate and record one run; whatever the run raises is recorded as its failure.

    A run that was interrupted goes on from its last checkpoint, and ends with the numbers that it would have
    ended with. One that raised begins anew.

    Args:
        spec: which run.
        store: where it is recorded.
        progress: called with the step after every step.
        checkpoint_minutes: between two checkpoints.

    Raises:
        StorageError: when nothing can be recorded; training on would lose the work.
    """
    store.begin(spec)
    try:
        result = _train(spec, store, progress, checkpoint_minutes)
    except StorageError:
        raise
    except LstmlabError as error:
        result = store.fail(spec, str(error))
    except Exception as error:  # a task or cell may raise anything; the study goes on
        result = store.fail(spec, f"{type(error).__name__}: {error}", traceback.format_exc())
    drop_checkpoint(store.folder(spec))
    return result


class _Records:
    """Writes down how a training goes: its history every few seconds, a checkpoint every few minutes."""

    def __init__(self, folder: Path, progress: Callable[[int], object], checkpoint_minutes: float) -> None:
        self.folder, self.progress, self.pause = folder, progress, 60 * checkpoint_minutes
        self.logged = self.saved = time.monotonic()
        self.resume = self._former()
        self.rows: list[Row] = self.resume[1] if self.resume else []
        self.history = History(folder, self.rows)

    def _former(self) -> tuple[Snapshot, list[Row]] | None:
        try:
            return load_checkpoint(self.folder)
        except StorageError as error:
            print(f"{error}. The run begins anew.", file=sys.stderr)
            drop_checkpoint(self.folder)
            return None

    def watch(self, training: Training) -> None:
        """Look at a training after each of its steps."""
        self.rows, now = training.history, time.monotonic()
        self.progress(training.progress.step)
        due = now - self.saved > self.pause
        if due or now - self.logged > LOG_EVERY:
            self.history.append(self.rows)
            self.logged = now
        if due:
            save_checkpoint(self.folder, training.snapshot())
            self.saved = time.monotonic()  # however long writing takes, training takes most of the time


def _train(spec: Spec, store: Store, progress: Callable[[int], object], checkpoint_minutes: float) -> Result:
    config, started = spec.config, time.time()
    task: Task = registry.task.get(config.task.name)(config.task)
    records = _Records(store.folder(spec), progress, checkpoint_minutes)
    with deterministic(config.seed, config.train.threads):
        model = build(task, config.cell, config.engine)
        random = np.random.default_rng(config.seed)
        try:
            done = fit(task, model, config.train, random, records.watch, records.resume)
        finally:
            records.history.append(records.rows)  # a training that fails shows how it came to that
        scores = {split: task.evaluate(model, split) for split in ("validation", "test")}
    result = {
        "status": "done",
        "parameters": count_parameters(model),
        "metric": task.metric.name,
        "unit": task.metric.unit,
        "better": task.metric.better,
        "value": scores["test"][task.metric.name],
        "scores": scores,
        "steps": done.steps,
        "best_step": done.best_step,
        "seconds": done.seconds,
        "seconds_per_step": done.seconds / done.steps,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "wall_seconds": time.time() - started,
        "data_version": data_version(config.task),
        "machine": describe(),
    }
    return store.finish(spec, result, dict(model.state_dict()), task.fitted)
