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
from lstmlab.studies import claims
from lstmlab.studies.budget import build, count_parameters
from lstmlab.studies.checkpoint import History, drop_checkpoint, load_checkpoint, save_checkpoint
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec, data_version
from lstmlab.studies.search.pace import Left
from lstmlab.studies.store import Result, Store
from lstmlab.studies.terms import Terms
from lstmlab.studies.trackers import Tracking, to_stderr
from lstmlab.tasks import Task
from lstmlab.training import deterministic, fit
from lstmlab.training.loop import Make, Row, Training
from lstmlab.training.snapshot import Snapshot

LOG_EVERY = 2.0  # seconds between two additions to metrics.jsonl
Progress = Callable[[int, float], object]


class Elsewhere(Exception):  # noqa: N818  not an error
    """Another process works on the run, and is named."""


class Interrupted(BaseException):
    """Raised by ``progress`` to leave a run after this step; a checkpoint is written first."""


def execute_run(
    spec: Spec,
    store: Store,
    terms: Terms = Terms(),  # noqa: B008  frozen
    progress: Progress = lambda step, loss: None,
    begun: Callable[[], object] = lambda: None,
    say: Callable[[str], object] = to_stderr,
) -> Result:
    """Train, evaluate and record one run; whatever the run raises is recorded as its failure.

    A run that was interrupted goes on from its last checkpoint, and ends with the numbers that it would have
    ended with. One that raised begins anew; one that somebody has finished meanwhile is not done again.

    Args:
        spec: which run.
        store: where it is recorded.
        terms: how it is done.
        progress: called with step and loss after every step.
        begun: called when the run is ours, before anything of it happens.
        say: told what went wrong with trackers.

    Raises:
        Elsewhere: when another process works on it.
        Left: when it falls behind its pace; it has no result then, but a checkpoint.
        StorageError: when nothing can be recorded; training on would lose the work.
    """
    if spec.config.train.ranks > 1:
        from lstmlab.studies.ranks import execute_on_ranks  # torch's launcher takes a second to import

        return execute_on_ranks(spec, store, terms, progress, begun)
    folder = store.folder(spec)
    with claims.hold(folder, terms.stale) as claim:
        if claim is None:
            raise Elsewhere(claims.holder_name(folder))
        former = store.result(spec)
        if former is not None and former["status"] == "done":
            return former
        store.begin(spec)
        begun()
        tracking = Tracking(terms.trackers, spec, store, say)
        result = None
        try:
            records = Records(folder, claim, progress, spec.config.train.steps, terms, tracking)
            result = train(spec, store, records)
        except (StorageError, Elsewhere, Left):
            raise
        except LstmlabError as error:
            result = store.fail(spec, str(error))
        except Exception as error:  # a task or cell may raise anything; the study goes on
            result = store.fail(spec, f"{type(error).__name__}: {error}", traceback.format_exc())
        finally:
            tracking.end(result)
        drop_checkpoint(folder)
        return result


class Records:
    """Writes down how a training goes: its history every few seconds, a checkpoint every few minutes."""

    def __init__(
        self,
        folder: Path,
        claim: claims.Claim,
        progress: Progress,
        steps: int,
        terms: Terms,
        tracking: Tracking,
    ) -> None:
        self.folder, self.claim, self.progress, self.steps, self.tracking = folder, claim, progress, steps, tracking
        self.pace, self.pause = terms.pace, 60 * terms.checkpoint_minutes  # seconds
        self.logged = self.saved = time.monotonic()
        self.resume = self._former()
        self.rows: list[Row] = self.resume[1] if self.resume else []
        self.history = History(folder, self.rows)
        if self.pace is not None and (step := self.pace.behind(self.rows)):  # it was left before
            raise Left(step)
        tracking.begin(self.rows)

    def _former(self) -> tuple[Snapshot, list[Row]] | None:
        try:
            return load_checkpoint(self.folder)
        except StorageError as error:
            print(f"{error}. The run begins anew.", file=sys.stderr)
            drop_checkpoint(self.folder)
            return None

    def watch(self, training: Training) -> None:
        """Look at a training after each of its steps."""
        self.rows, now, p = training.history, time.monotonic(), training.progress
        if self.claim.lost:
            raise Elsewhere("another process, which took this one for dead")
        self.claim.tell(p.step, self.steps, p.loss)
        self.tracking.log(self.rows)
        due = self.due()
        if due or now - self.logged > LOG_EVERY:
            self.history.append(self.rows)
            self.logged = now
        if due:
            self.save(training)
        if self.pace is not None and self.rows[-1]["split"] == "validation" and (step := self.pace.behind(self.rows)):
            self.history.append(self.rows)
            self.save(training)
            raise Left(step)
        try:
            self.progress(p.step, p.loss)
        except Interrupted:
            self.history.append(self.rows)
            self.save(training)
            raise

    def due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        return time.monotonic() - self.saved > self.pause

    def close(self) -> None:
        """Write down what is left; a training that failed shows how it came to that."""
        self.history.append(self.rows)
        self.tracking.log(self.rows)

    def save(self, training: Training) -> None:
        """Write a checkpoint."""
        save_checkpoint(self.folder, training.snapshot())
        self.saved = time.monotonic()  # however long writing takes, training takes most of the time


def train(spec: Spec, store: Store, records: Records, make: Make | None = None) -> Result:
    """Train, evaluate and record a run that is claimed; ``make`` as in `fit`."""
    config, started = spec.config, time.time()
    task: Task = registry.task.get(config.task.name)(config.task)
    with deterministic(config.seed, config.train.threads):
        model = build(task, config.cell, config.engine)
        random = np.random.default_rng(config.seed)
        try:
            done = fit(task, model, config.train, random, records.watch, records.resume, make)
        finally:
            records.close()
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
