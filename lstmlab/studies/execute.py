"""One run from spec to result: the same code for a worker, a notebook and the command line."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

import numpy as np

from lstmlab import registry
from lstmlab.errors import LstmlabError
from lstmlab.machine import describe
from lstmlab.studies.budget import build, count_parameters
from lstmlab.studies.identity import Spec, data_version
from lstmlab.studies.store import Result, StorageError, Store
from lstmlab.tasks import Task
from lstmlab.training import deterministic, fit
from lstmlab.training.loop import Row

LOG_EVERY = 2.0  # seconds between two writes of metrics.jsonl


def execute_run(spec: Spec, store: Store, progress: Callable[[int], object] = lambda step: None) -> Result:
    """Train, evaluate and record one run; whatever the run raises is recorded as its failure.

    Args:
        spec: which run.
        store: where it is recorded.
        progress: called with the step after every step.

    Raises:
        StorageError: when nothing can be recorded; training on would lose the work.
    """
    store.begin(spec)
    try:
        return _train(spec, store, progress)
    except StorageError:
        raise
    except LstmlabError as error:
        return store.fail(spec, str(error))
    except Exception as error:  # a task or cell may raise anything; the study goes on
        return store.fail(spec, f"{type(error).__name__}: {error}", traceback.format_exc())


def _train(spec: Spec, store: Store, progress: Callable[[int], object]) -> Result:
    config, started, logged = spec.config, time.time(), time.monotonic()
    rows: list[Row] = []

    def watch(history: list[Row], step: int) -> None:
        nonlocal logged, rows
        rows = history
        progress(step)
        if time.monotonic() - logged > LOG_EVERY:
            store.log(spec, history)
            logged = time.monotonic()

    task: Task = registry.task.get(config.task.name)(config.task)
    with deterministic(config.seed, config.train.threads):
        model = build(task, config.cell, config.engine)
        try:
            done = fit(task, model, config.train, np.random.default_rng(config.seed), watch)
        finally:
            store.log(spec, rows)  # a training that fails shows how it came to that
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
