"""Which workers of a Dask cluster can do the runs of a study, and which of them have room for one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lstmlab import machine
from lstmlab.errors import LstmlabError, some
from lstmlab.schema import DaskConfig
from lstmlab.studies.launch.dask.cluster import say

REMIND = 60.0  # seconds between two lines that say what is waited for
DECISIVE = ("lstmlab", "torch")  # versions that are part of what a run is
TELLING = ("python", "numpy")  # versions that may show in the last digits


class Crew:
    """The workers of a cluster, as one study sees them.

    Args:
        client: of the cluster.
        study: the study's name for its workers, see `worker.enter`.
        probe: a file in the store by which a worker shows that it sees the same store.
        config: what runs take of a worker's resources, and how long to wait for one that offers it.
        threads: of a run.
    """

    def __init__(self, client: Any, study: str, probe: Path, config: DaskConfig, threads: int) -> None:
        self.client, self.study, self.probe, self.config, self.threads = client, study, probe, config, threads
        self.scheduler: str = client.scheduler.address
        self._identity = client.scheduler.identity
        self.slots: dict[str, int] = {}  # runs that a worker can do at a time; none while it is paused
        self._refused: dict[str, str] = {}
        self._offers: dict[str, str] = {}
        self._waiting_since = self._reminded = 0.0

    def look(self, enter: Callable[..., Any]) -> list[str]:
        """Take in workers that have come; return those that have gone."""
        # Not client.scheduler_info(): its answer may be exchanged, before it is read, for one without workers.
        workers: dict[str, Any] = self.client.sync(self._identity, n_workers=-1)["workers"]
        gone = [address for address in self.slots if address not in workers]
        for address in gone:
            del self.slots[address]
        self._refused = {a: why for a, why in self._refused.items() if a in workers}
        self._offers = {address: _written(facts["resources"]) for address, facts in workers.items()}
        slots = {address: self._room(facts) for address, facts in workers.items()}
        new = [a for a, room in slots.items() if room and a not in self.slots and a not in self._refused]
        if new:
            answers = self.client.run(enter, self.study, str(self.probe), workers=new, on_error="return")
            for address, answer in answers.items():
                self._take_in(address, answer)
        self.slots = {address: slots[address] for address in self.slots}
        return gone

    def free(self, busy: Counter[str]) -> str | None:
        """Return the worker with the least to do that has room for a run; None where there is none.

        Args:
            busy: runs that each worker is at.
        """
        free = [address for address, slots in self.slots.items() if busy[address] < slots]
        return min(free, key=busy.__getitem__, default=None)

    def refuse(self, address: str, why: str) -> None:
        """Leave a worker out from now on, and say so."""
        self.slots.pop(address, None)
        if address not in self._refused:
            say(f"the Dask worker {address} is left out: {why}")
        self._refused[address] = why

    def forget(self, address: str) -> None:
        """Treat a worker as new at the next look: another process answers at its address."""
        self.slots.pop(address, None)

    def wait(self) -> None:
        """Say what is waited for, where no worker can do a run.

        Raises:
            LstmlabError: when that has been so for too long.
        """
        now = time.monotonic()
        if any(self.slots.values()):
            self._waiting_since = 0.0
            return
        self._waiting_since = self._waiting_since or now
        limit = self.config.wait or (None if self.config.jobqueue else 1.0)
        if limit is not None and now - self._waiting_since > 60 * limit:
            raise LstmlabError(f"no Dask worker can do the runs: {self._lack()}. Finished runs are kept.")
        if not self._reminded or now - self._reminded > REMIND:
            self._reminded = now
            for_long = "" if limit is None else f", for at most {limit:g} min (launch.wait)"
            say(f"waiting for a Dask worker that can do the runs{for_long}: {self._lack()}")

    def _room(self, worker: dict[str, Any]) -> int:
        if worker["status"] != "running":
            return 0
        offered = worker["resources"]
        room = [offered.get(name, 0) // amount for name, amount in (self.config.resources or {}).items()]
        return int(min([max(1, worker["nthreads"] // self.threads), *room]))

    def _take_in(self, address: str, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.refuse(address, f"{type(answer).__name__}: {answer}")
            return
        here = machine.describe()
        differing = {n: f"{n} {answer[n]} there and {here[n]} here" for n in here if answer.get(n) != here[n]}
        trouble = answer["trouble"] or ", ".join(differing[n] for n in DECISIVE if n in differing)
        if trouble:
            self.refuse(address, f"on {answer['host']}, {trouble}")
            return
        if told := [differing[n] for n in TELLING if n in differing]:
            say(f"the Dask worker {address} on {answer['host']} has {', '.join(told)}: last digits may differ")
        self.slots[address] = 0  # until the end of this look

    def _lack(self) -> str:
        """Return why no worker can do a run."""
        if not self._offers:
            return f"the scheduler {self.scheduler} has no workers"
        reasons = []
        if self.config.resources and (others := set(self._offers) - set(self._refused)):
            offers = sorted({self._offers[address] for address in others})
            reasons.append(
                f"launch.resources asks for {_written(self.config.resources)}, and none of {len(others)} workers "
                f"offers that (offered: {some(offers)}; start them with `dask worker --resources NAME=AMOUNT`)"
            )
        reasons += [f"{address} is left out: {why}" for address, why in self._refused.items()]
        return some(reasons) or "all workers are paused or closing"


def _written(resources: dict[str, float]) -> str:
    return ", ".join(f"{name}: {amount:g}" for name, amount in resources.items()) or "nothing"
