"""What a Dask worker does: it has each run done by a warm process of its own, as every launcher has.

A study's processes end with the study, with the Dask worker, or when nothing has come for a minute because the
driver was killed. The Dask worker itself imports no task and no cell: a worker that has been up for weeks
serves a plugin that was edited a minute ago. What it is sent and returns is JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import uuid
from dataclasses import fields
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

from lstmlab.machine import describe
from lstmlab.schema import CellConfig, EngineConfig, LaunchConfig, RunConfig, TaskConfig, TrainConfig
from lstmlab.studies.files import StorageError
from lstmlab.studies.identity import Spec
from lstmlab.studies.launch.events import Event, Given, Job, Options
from lstmlab.studies.launch.process import Process, stop_all
from lstmlab.studies.store import Store

IDLE = 60.0  # seconds after which a process without work ends
PATIENCE = 5.0  # seconds for a file to appear that another machine has just written
PLUGIN = "lstmlab"


async def enter(study: str, probe: str, dask_worker: Any) -> dict[str, str]:
    """Make a worker ready for a study.

    Args:
        study: what tells the study apart from others, whose drivers may use the worker too.
        probe: a file that the driver has made in the store, which holds the study.
        dask_worker: given by Dask.

    Returns:
        ``host``, versions of software, and why the store cannot be used as ``trouble``, if so.
    """
    _pools.setdefault(study, _Pool())
    if PLUGIN not in dask_worker.plugins:
        await dask_worker.plugin_add(_Ending(), PLUGIN)
    trouble = await asyncio.to_thread(_trouble, Path(probe), study)
    return {"host": socket.gethostname(), "trouble": trouble, **describe()}


def do(study: str, request: str) -> str:
    """Do a run.

    Args:
        study: as in `enter`.
        request: what `Job.request` gives, with ``launch``, the limits of a run; as JSON.

    Returns:
        The final event without its run, as JSON; empty when the study has left this worker.
    """
    pool, given = _pools.get(study), json.loads(request)
    if pool is None:
        return "{}"
    options = Options(LaunchConfig(**given.pop("launch")))
    try:
        event = pool.run(Given(_spec(given), given=given), Store(Path(given["outputs"])), options)
    except StorageError as error:
        return json.dumps({"storage": str(error)})
    answer = {key: getattr(event, key, None) for key in ("result", "elsewhere", "storage", "left", "refused")}
    return json.dumps({key: value for key, value in answer.items() if value})


async def leave(study: str) -> None:
    """End a study's processes on a worker; what they are at is gone on with from a checkpoint, some other time."""
    pool = _pools.pop(study, None)
    if pool is not None:
        await asyncio.to_thread(pool.stop)


class _Ending(WorkerPlugin):
    """Ends all processes when their Dask worker ends."""

    async def teardown(self, worker: Any) -> None:
        await asyncio.gather(*(leave(study) for study in list(_pools)))


class _Pool:
    """The processes of one study: as many as runs are done here at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Process, threading.Timer] = {}
        self._busy: set[Process] = set()
        self._stopped = False

    def run(self, job: Job, store: Store, options: Options) -> Event | None:
        """Have a run done and return its final event; None when it was stopped before."""
        heard: list[Event] = []
        with self._lock:
            if self._stopped:
                return None
            process = self._take() or Process(store, options)
            self._busy.add(process)
        try:
            process.run(job, lambda event: heard.append(event) if event.final else None)
        finally:
            with self._lock:
                self._busy.discard(process)
                if not self._stopped:
                    self._keep(process)
        return heard[-1] if heard else None

    def stop(self) -> None:
        """End all processes; a run in hand writes a checkpoint first."""
        with self._lock:
            self._stopped = True
            for timer in self._idle.values():
                timer.cancel()
            stopping = [*self._idle, *self._busy]
        stop_all(stopping)

    def _take(self) -> Process | None:
        if not self._idle:
            return None
        process, timer = self._idle.popitem()
        timer.cancel()
        return process

    def _keep(self, process: Process) -> None:
        timer = threading.Timer(IDLE, self._drop, (process,))
        timer.daemon = True
        timer.start()
        self._idle[process] = timer

    def _drop(self, process: Process) -> None:
        with self._lock:
            found = self._idle.pop(process, None)
        if found is not None:
            process.stop()


_pools: dict[str, _Pool] = {}


def _spec(given: dict[str, Any]) -> Spec:
    """Return as much of a run as its folder and the record of a failure need; the task's own keys are left out."""
    config = given["config"]
    task = TaskConfig(**{key.name: config["task"][key.name] for key in fields(TaskConfig)})
    cell, train, engine = CellConfig(**config["cell"]), TrainConfig(**config["train"]), EngineConfig(**config["engine"])
    return Spec(RunConfig(cell, task, train, engine, config["seed"]), given["id"])


def _trouble(probe: Path, study: str) -> str:
    """Return why this worker cannot record runs where the driver looks for them; nothing if it can."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if probe.read_text(encoding="utf-8") == study:
                break
            return f"{probe.parent} is another folder there than here"
        except OSError as error:
            if time.monotonic() > end:
                return f"it does not see this machine's {probe.parent} ({error.strerror})"
        time.sleep(0.2)
    own = probe.with_name(f"{probe.name}-{uuid.uuid4().hex}")
    try:
        own.touch()
        own.unlink()
    except OSError as error:
        return f"it cannot write to {probe.parent} ({error.strerror})"
    return ""
