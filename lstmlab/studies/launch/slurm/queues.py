"""Where jobs wait and run: Slurm, or processes of this machine in its place. submitit starts both."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil

from lstmlab.errors import LstmlabError
from lstmlab.schema import SlurmConfig
from lstmlab.studies import claims
from lstmlab.studies.launch.slurm.packs import Pack
from lstmlab.studies.launch.slurm.task import Task

SOONEST, LATEST = 1.0, 30.0  # seconds between two questions to Slurm: more often when jobs are young
SILENCE = 600.0  # seconds without an answer of Slurm after which a driver gives up; its jobs go on
REQUEUES = 1000  # of a job whose time runs out; submitit must have a limit, and each one has brought its run further
NOTICE = 60  # seconds before a job's end at which it is told; Slurm may do so up to a minute earlier
ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
)  # states from which a job does not come back
GONE = "gone from the queue"


class Queue(Protocol):
    """What drivers need of a cluster."""

    prefix: str  # of the names of its batches

    def submit(self, batch: Path, packs: Sequence[Pack]) -> None:
        """Queue one job for each pack of a new batch."""

    def fates(self, packs: Sequence[Pack]) -> dict[Pack, str]:
        """Return what became of those packs whose jobs have ended, for whatever reason."""

    def cancel(self, packs: Sequence[Pack], waiting: bool = False) -> None:
        """End the jobs of packs, those that run after a checkpoint; or only those that wait."""


def open_queue(config: SlurmConfig, workers: int, cores: int) -> Queue:
    """Return the queue that is configured.

    Raises:
        LstmlabError: when submitit is not installed, or there is no Slurm here.
    """
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise LstmlabError("launch=slurm needs submitit: pip install 'lstmlab[cluster]'.") from None
    here = shutil.which("sbatch") is not None
    if config.cluster == "slurm" and not here:
        raise LstmlabError(
            "launch.cluster=slurm: there is no command sbatch here. Run this on a login node of the cluster, or take "
            "launch.cluster=local, which does the same with processes of this machine."
        )
    asked: dict[str, Any] = {
        "timeout_min": config.minutes,
        "cpus_per_task": config.cpus or cores,
        "gpus_per_node": config.gpus or None,
        "mem_gb": config.memory,
    }
    if config.cluster == "local" or not here:
        return LocalQueue(asked | {"local_setup": config.setup}, workers)
    options: dict[str, Any] = {"requeue": True}
    for option in config.options:
        name, _, value = option.lstrip("-").partition("=")
        options[name] = value or True
    asked |= {
        "slurm_partition": config.partition,
        "slurm_account": config.account,
        "slurm_setup": config.setup,
        "slurm_array_parallelism": workers,
        "slurm_signal_delay_s": NOTICE,
        "slurm_srun_args": [f"--cpus-per-task={config.cpus or cores}"],  # which srun no longer takes from sbatch
        "slurm_additional_parameters": options,
    }
    return SlurmQueue(asked)


class SlurmQueue:
    """Array jobs: one array a batch, named as it is, and one element of it for each pack."""

    prefix = "lstmlab-"

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self.states: dict[tuple[str, int], tuple[str, str]] = {}  # batch and number -> job and state
        self.since = self.answered = time.monotonic()
        self.due = 0.0

    def submit(self, batch: Path, packs: Sequence[Pack]) -> None:
        _submit("slurm", batch, packs, self.asked | {"name": batch.name})
        self.since, self.due = time.monotonic(), 0.0

    def fates(self, packs: Sequence[Pack]) -> dict[Pack, str]:
        if time.monotonic() < self.due:
            return {}
        if not self._look({pack.batch.name for pack in packs}):
            return {}
        states = {pack: self.states.get((pack.batch.name, pack.number), ("", GONE))[1] for pack in packs}
        return {pack: state for pack, state in states.items() if state in (*ENDED, GONE)}

    def cancel(self, packs: Sequence[Pack], waiting: bool = False) -> None:
        self._look({pack.batch.name for pack in packs})
        known = [self.states.get((pack.batch.name, pack.number)) for pack in packs]
        jobs = [job for job, state in filter(None, known) if state not in ENDED]
        if jobs:
            subprocess.run(["scancel", *(["--state=PENDING"] if waiting else []), *jobs], capture_output=True)
        self.since, self.due = time.monotonic(), 0.0

    def _look(self, batches: set[str]) -> bool:
        """Ask Slurm for the states of all jobs of some batches; return whether it answered."""
        now = time.monotonic()
        self.due = now + min(LATEST, max(SOONEST, (now - self.since) / 10))
        command = ["squeue", "--noheader", "--array", "--states=all", "--format=%j|%i|%T"]
        answer = subprocess.run([*command, f"--name={','.join(sorted(batches))}"], capture_output=True, text=True)
        if answer.returncode:
            if now - self.answered > SILENCE:
                raise LstmlabError(
                    f"Slurm has not answered for {SILENCE / 60:.0f} minutes: {answer.stderr.strip()}. Its jobs go on; "
                    "the same command, given later, takes their results."
                )
            return False
        self.answered = now
        self.states = {}
        for line in answer.stdout.splitlines():
            name, job, state = line.split("|")
            number = job.partition("_")[2] or "0"  # a single job is no array
            self.states[name, int(number)] = (job, state)
        return True


class LocalQueue:
    """Processes of this machine, as many as there are workers; the others wait in the driver."""

    prefix = "local-"

    def __init__(self, asked: dict[str, Any], workers: int) -> None:
        self.asked, self.workers = asked, workers
        self.observer = claims.Observer()
        self.waiting: deque[Pack] = deque()
        self.cancelled: set[Pack] = set()
        self.started: dict[Pack, Any] = {}

    def submit(self, batch: Path, packs: Sequence[Pack]) -> None:
        self.waiting.extend(packs)
        self._start()

    def fates(self, packs: Sequence[Pack]) -> dict[Pack, str]:
        self._start()
        return {p: self._fate(p) for p in packs if p not in self.waiting and not self._lives(p)}

    def cancel(self, packs: Sequence[Pack], waiting: bool = False) -> None:
        dropped = {*packs} & {*self.waiting}
        self.waiting = deque(pack for pack in self.waiting if pack not in dropped)
        self.cancelled |= dropped if waiting else {*packs}
        for pack in packs if not waiting else []:
            holder = claims.holder(pack.folder)
            if pack in self.started:
                _signal_tree(self.started[pack]._process.pid)
            elif holder and claims.is_here(holder) and claims.lives(holder):
                _signal_tree(holder.pid)

    def _start(self) -> None:
        while self.waiting and sum(map(self._lives, self.started)) < self.workers:
            pack = self.waiting.popleft()
            (self.started[pack],) = _submit("local", pack.batch, [pack], self.asked)

    def _lives(self, pack: Pack) -> bool:
        if pack in self.started:
            return self.started[pack]._process.poll() is None
        return self.observer.alive(pack.folder) is not None

    def _fate(self, pack: Pack) -> str:
        if pack in self.cancelled:
            return "CANCELLED"
        code = self.started[pack]._process.poll() if pack in self.started else None
        return GONE if code is None else f"exit code {code}"


def _submit(cluster: str, batch: Path, packs: Sequence[Pack], asked: dict[str, Any]) -> list[Any]:
    from submitit import AutoExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    executor = AutoExecutor(batch, cluster=cluster, **{f"{cluster}_max_num_timeout": REQUEUES})
    with _deaf():
        try:
            executor.update_parameters(**{key: value for key, value in asked.items() if value not in (None, [])})
            return executor.submit_array([Task(str(pack.folder)) for pack in packs])
        except (FailedJobError, FailedSubmissionError, OSError, subprocess.SubprocessError) as error:
            said = [line for line in str(error).splitlines() if "error" in line.lower()] or [str(error)]
            raise LstmlabError(
                f"The jobs cannot be submitted: {' '.join(said).strip()}. Where sbatch cannot be "
                "used, launch.cluster=local does the same with processes of this machine."
            ) from None


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C from what is started here: it is the driver that hears it, and decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signal_tree(pid: int) -> None:
    """Send SIGTERM to a process and all below it, as Slurm does."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        family: Iterable[psutil.Process] = [*top.children(recursive=True), top]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGTERM)
