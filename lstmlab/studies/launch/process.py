"""One warm worker process: it pays for its imports once and does one run after the other, within limits."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable

import psutil

from lstmlab.studies.launch.death import record_death
from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.launch.log import Log
from lstmlab.studies.store import Store, parse

LOOK_EVERY = 0.25  # seconds between two looks at what a worker needs
SETTLE = 0.5  # seconds in which a signal may reach us too that ended a worker with all other processes of a job
PATIENCE = 10.0  # seconds that a worker has to write a checkpoint when it is stopped
GIB = 1024**3


class Process:
    """A worker process that is started when there is work, and again after it died.

    Args:
        store: where the worker records what it does.
        options: the limits of a run. One that exceeds them is killed, recorded as failed, and no other is harmed.
    """

    def __init__(self, store: Store, options: Options) -> None:
        self.store, self.options = store, options
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._stopped = threading.Event()

    def run(self, job: Job, tell: Callable[[Event], None]) -> None:
        """Have a run done; ``tell`` hears of it, at last a final event, unless `stop` comes first."""
        process = self._ready()
        if process is None:
            return
        log = Log(self.store.folder(job.spec))
        reason = self._serve(process, job, tell, log)
        log.trim()
        if reason is None or self._stopped.wait(SETTLE):
            return
        self._process = None
        tell(record_death(job.spec, self.store, reason))

    def stop(self) -> None:
        """End the process, one that is just being started too; a run in hand writes a checkpoint first."""
        self._stopped.set()
        with self._starting:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            _kill(process)

    def _ready(self) -> subprocess.Popen[bytes] | None:
        with self._starting:
            if self._stopped.is_set():
                return None
            self._process = self._process or self._spawn()
            return self._process

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches the driver only, which then decides.
        return subprocess.Popen(
            [sys.executable, "-m", "lstmlab.studies.launch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def _serve(self, process: subprocess.Popen[bytes], job: Job, tell: Callable[[Event], None], log: Log) -> str | None:
        """Send a run to the process; return why it was not done, None when it was."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job.request(self.store, self.options)).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return f"its worker process died: {cause(process.wait())}"
        started, unread = time.monotonic(), b""
        while not self._stopped.is_set():
            if select.select([process.stdout], [], [], LOOK_EVERY)[0]:
                new = os.read(process.stdout.fileno(), 1 << 16)
                if not new:
                    return f"its worker process died: {cause(process.wait())}"
                *lines, unread = (unread + new).split(b"\n")
                for line in lines:
                    event = Event(job.spec, **parse(line))
                    tell(event)
                    if event.final:
                        return None
            log.trim()
            exceeded = self._exceeded(process.pid, time.monotonic() - started)
            if exceeded:
                _kill(process)
                return exceeded
        return None

    def _exceeded(self, pid: int, seconds: float) -> str:
        limits = self.options.config
        if limits.time_limit is not None and seconds > 60 * limits.time_limit:
            return f"it took longer than launch.time_limit={limits.time_limit:g} minutes"
        if limits.memory_limit is not None:
            try:
                worker = psutil.Process(pid)
                used = sum(p.memory_info().rss for p in (worker, *worker.children(recursive=True))) / GIB
            except psutil.Error:  # it has just ended, which its pipe will tell
                return ""
            if used > limits.memory_limit:
                return f"it used {used:.2f} GiB of memory, more than launch.memory_limit={limits.memory_limit:g}"
        return ""


def stop_all(processes: Iterable[Process]) -> None:
    """Stop processes at the same time: each may need a while for its checkpoint."""
    stopping = [threading.Thread(target=process.stop) for process in processes]
    for thread in stopping:
        thread.start()
    for thread in stopping:
        thread.join()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it has started."""
    started: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in started:
        with contextlib.suppress(psutil.Error):
            child.kill()
    process.wait()


def cause(code: int) -> str:
    """Return what an exit code says of how a process died."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"{name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"exit code {code}; see log.txt in the run's folder"
