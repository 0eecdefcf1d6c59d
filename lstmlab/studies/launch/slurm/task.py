"""What a job of a cluster runs: the runs of one pack, one after the other, on one warm worker process.

submitit calls it in a process on the node. The worker process keeps a run's limits, prints to its log and may die
without harm to the others. Signals end the job early, after a checkpoint: SIGTERM (``scancel``, preemption, ``scontrol
requeue``), and the one that Slurm sends some time before the job's time is up, upon which submitit puts the job back
into the queue. A job that is started again goes on where it was.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lstmlab.errors import LstmlabError
from lstmlab.studies import claims
from lstmlab.studies.files import StorageError
from lstmlab.studies.launch.events import Event, Job
from lstmlab.studies.launch.process import Process
from lstmlab.studies.launch.slurm.packs import Pack, State


class Task:
    """The work of one job; all that is pickled of it is the pack's folder."""

    process: Process | None = None
    thread: threading.Thread | None = None
    failure: BaseException | None = None

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __getstate__(self) -> dict[str, str]:
        return {"folder": self.folder}

    def __call__(self) -> None:
        """Do what is left of the pack.

        Raises:
            LstmlabError: when the runs cannot be done here, or recorded; the state says so too.
        """
        self.pack = Pack(Path(self.folder))
        former = self.pack.state()
        self.state = State(socket.gethostname(), former.at, former.elsewhere, former.left)
        if former.over:
            return
        signal.signal(signal.SIGTERM, self._end)
        try:
            jobs, store, options = self.pack.work()
            self.process = Process(store, options)
            with claims.hold(self.pack.folder, claims.generation(self.pack.folder)):  # Slurm runs a job only once
                # In a thread, so that signals are heard at any moment, and may wait for it.
                self.thread = threading.Thread(target=self._work, args=(jobs, self.process), daemon=True)
                self.thread.start()
                while self.thread.is_alive():
                    self.thread.join(1.0)
                if self.failure is not None:
                    raise self.failure
        except LstmlabError as error:
            self.state.trouble, self.state.storage = str(error), isinstance(error, StorageError)
            with contextlib.suppress(StorageError):
                self.pack.note(self.state)
            raise

    def checkpoint(self) -> Any:
        """Stop, and return what submitit has to run when the job is started again."""
        from submitit.helpers import DelayedSubmission

        self._end()
        if self.thread is not None:
            self.thread.join()
        return DelayedSubmission(Task(self.folder))

    def _work(self, jobs: Sequence[Job], process: Process) -> None:
        state = self.state
        try:
            for job in jobs[state.at :]:
                if self.pack.ending or state.stopped:
                    break
                self.pack.note(state)
                process.run(job, self._hear)
                if not state.stopped:  # else it may be done or not; if not, it goes on from its checkpoint
                    state.at += 1
            state.over = not state.stopped
            self.pack.note(state)
            process.stop()
        except BaseException as error:
            self.failure = error

    def _end(self, *signal: object) -> None:
        self.state.stopped = True
        if self.process is not None:
            self.process.stop()

    def _hear(self, event: Event) -> None:
        if event.storage:
            raise StorageError(event.storage)
        if event.elsewhere:
            self.state.elsewhere[event.spec.name] = event.elsewhere
        if event.left:
            self.state.left[event.spec.name] = event.left
