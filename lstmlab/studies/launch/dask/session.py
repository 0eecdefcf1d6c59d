"""Runs on a Dask cluster.

The driver hands each worker what it has room for, and no more: however long a study is, scheduler and driver hold a
few runs of it, and nothing waits behind a long run while another worker is idle.
Workers record the results in the store, which they must see as the driver does. Whatever is lost on the
way, workers with the runs that they were at, is done by others; claims keep a run from being done twice.
"""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from lstmlab.errors import LstmlabError
from lstmlab.schema import DaskConfig
from lstmlab.studies import claims
from lstmlab.studies.files import write
from lstmlab.studies.launch.claimed import progress
from lstmlab.studies.launch.dask.cluster import connected, describe, fill, say
from lstmlab.studies.launch.dask.crew import Crew
from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.store import Store, parse

LOGS = ".dask"  # the folder of outputs for what jobs of a queue print
LOOK_EVERY = 1.0  # seconds between two looks at the workers and at the claims of runs
PATIENCE = 10.0  # seconds for the answer of a run that has ended; after that it is asked for again


def dask(jobs: Sequence[Job], store: Store, options: Options) -> Generator[Event]:
    """Do the runs on the workers of the cluster that ``options.config`` describes.

    Raises:
        LstmlabError: when there is no scheduler, or it is lost, or no worker can do the runs.
    """
    config = cast(DaskConfig, options.config)
    threads = max(job.spec.config.train.cores for job in jobs)
    name = uuid.uuid4().hex
    with connected(config, options, threads, store.outputs / LOGS) as client, _probe(store, name) as probe:
        say(describe(client))
        yield from _Session(client, Crew(client, name, probe, config, threads), jobs, store, options).events()


@contextmanager
def _probe(store: Store, name: str) -> Iterator[Path]:
    """Make a file by which workers can tell that they see the same store."""
    path = store.runs / f".dask-{name}"
    write(path, name.encode())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


class _Session:
    """One study's work on a cluster."""

    def __init__(self, client: Any, crew: Crew, jobs: Sequence[Job], store: Store, options: Options) -> None:
        # Imported here because Dask is an extra.
        from lstmlab.studies.launch.dask import worker

        self.client, self.crew, self.store, self.options = client, crew, store, options
        self.remote = worker
        self.todo = deque(jobs)
        self.working: dict[Any, tuple[Job, str]] = {}  # future -> what it does, and where
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.looked = 0.0
        self.ending = self.lost = False

    def events(self) -> Iterator[Event]:
        """Yield what happens until all runs are over, or those at work are, once the user wants to stop."""
        try:
            while self.working or (self.todo and not self.options.stopping.is_set()):
                if self.options.stopping.is_set():
                    self._end()
                if time.monotonic() - self.looked > LOOK_EVERY:
                    self._look()
                    yield from progress([job.spec for job, _ in self.working.values()], self.store)
                self._hand_out()
                with suppress(queue.Empty):
                    yield from self._take_in(self.ended.get(timeout=LOOK_EVERY / 4))
        finally:
            self._leave()

    def _hand_out(self) -> None:
        limit = self.options.asked if self.crew.config.address else None
        while self.todo and not self.options.stopping.is_set() and self.client.status == "running":
            address = self.crew.free(Counter(address for _, address in self.working.values()))
            if address is None or (limit is not None and len(self.working) >= limit):
                return
            self._submit(self.todo.popleft(), address)

    def _submit(self, job: Job, address: str) -> None:
        request = job.request(self.store, self.options) | {"verify": True, "launch": self.options.limits}
        future = self.client.submit(
            self.remote.do,
            self.crew.study,
            json.dumps(request),
            key=f"{job.spec.name}-{uuid.uuid4().hex}",
            workers=[address],
            resources=self.crew.config.resources,
            pure=False,
        )
        self.working[future] = job, address
        future.add_done_callback(self.ended.put)

    def _take_in(self, future: Any) -> Iterator[Event]:
        """Yield what a run ended with; one that was lost, or that nobody has begun, is to be done again."""
        if future not in self.working:  # taken back meanwhile
            return
        job, address = self.working.pop(future)
        try:
            answer = parse(future.result(timeout=PATIENCE))
        except Exception as error:
            if future.status == "error":  # not the run's: whatever that does is in the answer
                self.crew.refuse(address, f"{type(error).__name__}: {error}")
            answer = {}
        if "refused" in answer:
            self.crew.refuse(address, answer["refused"])
        elif answer:
            yield Event(job.spec, **answer)
            return
        else:
            self.crew.forget(address)
        self.todo.appendleft(job)

    def _look(self) -> None:
        """Look at the connection and the workers; the runs of workers that have gone are done by others."""
        self.looked = time.monotonic()
        if self.client.status != "running":
            self._await_connection()
            return
        try:
            gone = set(self.crew.look(self.remote.enter))
        except OSError:  # the connection breaks just now, which its status will tell
            return
        lost = [future for future, (_, address) in self.working.items() if address in gone]
        self.todo.extendleft(self.working.pop(future)[0] for future in lost)
        self._cancel(lost)
        if self.todo and self.crew.config.jobqueue:
            fill(self.client.cluster, self.options.workers)
        if self.todo and not self.working:
            self.crew.wait()

    def _await_connection(self) -> None:
        """Say that the scheduler is gone; Dask tries to find it again for a while (distributed.comm.timeouts)."""
        if self.client.status != "connecting":
            raise LstmlabError(
                f"the Dask scheduler {self.crew.scheduler} is gone. Finished runs are kept, and the others "
                "go on from their last checkpoints: repeat the command when a scheduler and workers are there, "
                "or with launch=processes."
            )
        if not self.lost:
            self.lost = True
            say(f"the connection to the Dask scheduler {self.crew.scheduler} is lost; trying to find it again")

    def _end(self) -> None:
        """Take back what no worker has begun, which may wait for the runs of other studies."""
        if self.ending:
            return
        self.ending = True
        waiting = [f for f, (job, _) in self.working.items() if claims.holder(self.store.folder(job.spec)) is None]
        for future in waiting:
            del self.working[future]
        self._cancel(waiting)

    def _leave(self) -> None:
        """End what the study has on the workers: a run in hand writes a checkpoint."""
        futures = list(self.working)
        self.working.clear()
        if self.client.status == "running":
            with suppress(OSError):
                self._cancel(futures)
                self.client.run(self.remote.leave, self.crew.study, on_error="ignore")

    def _cancel(self, futures: list[Any]) -> None:
        if futures:
            self.client.cancel(futures)
