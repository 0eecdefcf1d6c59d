"""Runs as jobs of a Slurm cluster.

The driver submits packs of runs, then only watches the folders that it shares with the jobs. One that dies loses
nothing, and the next one finds the jobs of the former.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lstmlab.schema import SlurmConfig
from lstmlab.studies import claims
from lstmlab.studies.files import write
from lstmlab.studies.launch.claimed import progress
from lstmlab.studies.launch.death import record_death
from lstmlab.studies.launch.events import Event, Job, Options
from lstmlab.studies.launch.slurm.packs import FOLDER, STOP, Pack, State, packs_of, write_pack
from lstmlab.studies.launch.slurm.queues import Queue, open_queue
from lstmlab.studies.store import Store

LOOK_EVERY = 0.5  # seconds between two looks at the folders
MOST = 1000  # jobs of an array, as Slurm allows them unless it is told otherwise
TRIES = 10  # times that a run is submitted, where it is not its fault that its job ended
PATIENCE = 20.0  # seconds for jobs to leave the queue


def slurm(jobs: Sequence[Job], store: Store, options: Options) -> Generator[Event]:
    """Do the runs as jobs of a cluster.

    Jobs that an earlier driver has left, or another one works with, are watched rather than submitted again.
    """
    assert isinstance(options.config, SlurmConfig)
    cores = max(job.spec.config.train.cores for job in jobs)
    with ExitStack() as claimed:
        driver = _Driver(open_queue(options.config, options.workers, cores), store, options, claimed)
        try:
            driver.adopt({job.spec.name: job for job in jobs})
            yield from driver.work()
        except BaseException:
            driver.cancel()
            raise
        finally:
            driver.clean()


@dataclass
class _Watched:
    """A pack whose job waits or runs."""

    pack: Pack
    jobs: dict[str, Job]  # the runs of it that we wait for, by name
    names: list[str]  # all of its runs
    ours: bool  # so that we may cancel it, and say what failed with it
    tries: int = 1
    heard: int = 0  # how many of its runs are known to be over
    state: State = field(default_factory=State)


class _Driver:
    """What one driver knows of the jobs, its own and those that it found."""

    def __init__(self, queue: Queue, store: Store, options: Options, claimed: ExitStack) -> None:
        self.queue, self.store, self.options, self.claimed = queue, store, options, claimed
        self.root = store.outputs / FOLDER
        self.observer = claims.Observer()
        self.watched: list[_Watched] = []
        self.batches: list[Path] = []  # ours
        self.gone: set[Pack] = set()  # packs whose jobs have left the queue
        self.spoilt: set[Path] = set()  # batches whose logs tell why a run failed
        self.ending = self.cancelled = False

    def adopt(self, missing: dict[str, Job]) -> None:
        """Watch the jobs that are there already, remove the folders of former ones, and submit what is left."""
        found = {batch: packs_of(batch) for batch in sorted(self.root.glob(f"{self.queue.prefix}*"))}
        packs = [pack for its in found.values() for pack in its]
        gone = self.queue.fates(packs) if packs else {}
        for batch, its in found.items():
            ours, living = self._claim(batch), [pack for pack in its if pack not in gone]
            for pack in living:
                state, names = pack.state(), pack.names
                jobs = {name: missing.pop(name) for name in names[state.at :] if name in missing and not state.over}
                if jobs:
                    self.watched.append(_Watched(pack, jobs, names, ours, heard=state.at, state=state))
            if ours and living:
                (batch / STOP).unlink(missing_ok=True)
            elif ours:
                shutil.rmtree(batch, ignore_errors=True)
        self._submit(list(missing.values()), tries=1)

    def work(self) -> Iterator[Event]:
        """Yield what is heard of the runs, until each has ended or is left to somebody else."""
        while self.watched:
            if self.options.stopping.is_set() and not self.ending:
                self._end()
            gone = self.queue.fates([watched.pack for watched in self.watched])
            for watched in list(self.watched):
                watched.ours = watched.ours or self._claim(watched.pack.batch)
                yield from self._news(watched)
                if watched.pack in gone:
                    self.gone.add(watched.pack)
                    yield from self._settle(watched, gone[watched.pack])
                elif watched.state.over:
                    self._again(watched)
            self.watched = [watched for watched in self.watched if watched.jobs]
            yield from progress([job.spec for job in map(_at_work, self.watched) if job], self.store)
            if self.watched:
                time.sleep(max(LOOK_EVERY, len(self.watched) / 200))

    def cancel(self) -> None:
        """End our jobs: those that run write a checkpoint first."""
        self.cancelled = True
        self.queue.cancel([pack for batch in self.batches for pack in packs_of(batch)])

    def clean(self) -> None:
        """Wait for our jobs to leave the queue, and remove their folders, unless a message names them."""
        end = time.monotonic() + PATIENCE
        for batch in self.batches:
            left = {pack for pack in packs_of(batch) if pack not in self.gone}
            if not self.cancelled and not all(pack.state().over for pack in left):
                continue  # it has runs of another study, and goes on
            while left and time.monotonic() < end:
                # submitit's last act in a job is to write its result.
                finished = not self.cancelled and len(list(batch.glob("*_result.pkl"))) >= len(left)
                left -= left if finished else set(self.queue.fates(list(left)))
                time.sleep(LOOK_EVERY if left else 0)
            if not left and batch not in self.spoilt:
                shutil.rmtree(batch, ignore_errors=True)
        with suppress(OSError):  # there is something left
            self.root.rmdir()

    def _claim(self, batch: Path) -> bool:
        """Make a batch ours, unless the driver that submitted it lives."""
        if self.observer.alive(batch) is not None:
            return False
        ours = self.claimed.enter_context(claims.hold(batch, self.observer.silent(batch))) is not None
        if ours:
            self.batches.append(batch)
        return ours

    def _submit(self, jobs: Sequence[Job], tries: int) -> None:
        """Deal the runs out to jobs, long and short ones alike, and submit these."""
        if not jobs:
            return
        config = self.options.config
        assert isinstance(config, SlurmConfig)
        share = config.pack or -(-len(jobs) // self.options.workers)
        count = min(-(-len(jobs) // share), MOST)
        batch = self.root / f"{self.queue.prefix}{uuid.uuid4().hex[:8]}"
        self._claim(batch)
        packs = []
        for number in range(count):
            dealt = jobs[number::count]
            packs.append(write_pack(batch / str(number), dealt, self.store, self.options))
            by_name = {job.spec.name: job for job in dealt}
            self.watched.append(_Watched(packs[-1], by_name, list(by_name), ours=True, tries=tries))
        self.queue.submit(batch, packs)

    def _news(self, watched: _Watched) -> Iterator[Event]:
        """Yield the ends of runs that a job tells of."""
        watched.state = state = watched.pack.state()
        for name in watched.names[watched.heard : state.at]:
            watched.heard += 1
            job = watched.jobs.pop(name, None)
            if job is None:
                continue
            result = None if name in state.elsewhere else self.store.result(job.spec)
            if name in state.left:
                yield Event(job.spec, left=state.left[name])
            elif result is not None:
                yield Event(job.spec, result=result)
            else:  # whoever waits for it finds what has become of it
                yield Event(job.spec, elsewhere=state.elsewhere.get(name, "another process"))
        if state.storage and watched.jobs:
            yield Event(next(iter(watched.jobs.values())).spec, storage=state.trouble)

    def _settle(self, watched: _Watched, fate: str) -> Iterator[Event]:
        """Deal with the runs that a job has left when it ended before them."""
        state, cancelled = watched.state, fate == "CANCELLED"
        if watched.ours and not state.over and not (cancelled and self.ending):
            log = watched.pack.batch
            why = f"its job ended: {fate}{f' ({state.trouble})' if state.trouble else ''}; logs are in {log}"
            current = _at_work(watched)
            blamed = [current] if current else list(watched.jobs.values())
            if cancelled or watched.tries >= TRIES:
                blamed = list(watched.jobs.values())
            elif fate == "PREEMPTED" or state.stopped:  # it was asked to end, and has written a checkpoint
                blamed = []
            for job in blamed:
                del watched.jobs[job.spec.name]
                yield self._blame(job, state.host, why)
            if blamed:
                self.spoilt.add(watched.pack.batch)
        self._again(watched)

    def _again(self, watched: _Watched) -> None:
        """Submit what a job has left once more."""
        left = list(watched.jobs.values())
        watched.jobs.clear()
        if not self.ending:
            self._submit(left, watched.tries + 1)

    def _blame(self, job: Job, host: str, reason: str) -> Event:
        """Record that a run failed with its job, unless somebody else works on it by now."""
        folder = self.store.folder(job.spec)
        holder = claims.holder(folder)
        if holder is not None and holder.host != host:
            return Event(job.spec, elsewhere=holder.name)
        return record_death(job.spec, self.store, reason, claims.generation(folder))

    def _end(self) -> None:
        """Let the runs at work end, and nothing more begin."""
        self.ending = True
        for batch in self.batches:
            write(batch / STOP, b"")
        self.queue.cancel([watched.pack for watched in self.watched if watched.ours], waiting=True)
        self.watched = [watched for watched in self.watched if watched.ours]


def _at_work(watched: _Watched) -> Job | None:
    """Return the run that a job is at, None before it has begun and where it is not one of ours."""
    state = watched.state
    name = watched.names[state.at] if state.host and state.at < len(watched.names) else ""
    return watched.jobs.get(name)
