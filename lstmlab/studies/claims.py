"""Who works on a run: several drivers, on one machine or many, share a store without training anything twice.

A claim is a file in the run's folder, ``claim-N.json``, that is made only if it is not there: on every file system,
network folders too, just one of many succeeds. Its holder rewrites it every few seconds with a counter and how far
it has come. A claim whose process is known to be dead, or whose counter has stood still for a minute on the observer's
own clock, is stale; whoever makes ``claim-(N+1).json`` then has the run, and the former holder, should it wake up,
sees that and stops. No clock of another machine is ever compared with ours, so wrong clocks do no harm.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lstmlab.studies.files import failure, make_folder

BEAT = 5.0  # seconds between two signs of life
STALE = 60.0  # seconds without one after which a claim of another machine may be taken over


@dataclass
class Holder:
    """What a claim says: a process, its last sign of life, and how far its run is."""

    host: str
    machine: str
    pid: int
    born: str
    beat: int = 0
    step: int = 0
    steps: int = 0
    loss: float | None = None

    @property
    def name(self) -> str:
        """Host and process, as messages name them."""
        return f"{self.host}, process {self.pid}"


class Claim:
    """A run that this process works on, with a thread that gives signs of life until it is released."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.path, self.holder = path, holder
        self.lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def tell(self, step: int, steps: int, loss: float | None) -> None:
        """Note how far the run is; the next sign of life says so."""
        self.holder.step, self.holder.steps, self.holder.loss = step, steps, loss

    def release(self) -> None:
        """Give the run free."""
        self._over.set()
        self._thread.join()
        if not self.lost:
            with contextlib.suppress(OSError):  # where nothing can be written, whatever failed before is the news
                self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            if _generation(path_of(self.path.parent)) > _generation(self.path):
                self.lost = True
                return
            self.holder.beat += 1
            with contextlib.suppress(OSError):  # a disk that is full now may have room at the next beat
                _rewrite(self.path, self.holder)


@contextmanager
def hold(folder: Path, stale: int = 0) -> Iterator[Claim | None]:
    """Claim the run of ``folder`` for as long as the block runs; None where another process has it.

    Args:
        folder: of the run.
        stale: the `generation` of a claim that an `Observer` found silent: it may be taken over.

    Raises:
        StorageError: when the folder cannot be written.
    """
    claim = _acquire(folder, stale)
    try:
        yield claim
    finally:
        if claim is not None:
            claim.release()


def holder(folder: Path) -> Holder | None:
    """Return who has claimed a run, None when nobody has."""
    path = path_of(folder)
    return read(path) if path else None


def holder_name(folder: Path) -> str:
    """Return who has claimed a run, as messages name them."""
    found = holder(folder)
    return found.name if found else "another process"


class Observer:
    """Remembers the claims that it has seen, and since when they have not changed."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, float]] = {}

    def alive(self, folder: Path) -> Holder | None:
        """Return who works on a run; None when nobody does, or nobody has for too long."""
        path = path_of(folder)
        found = read(path) if path else None
        return found if path and found and self._is_alive(path, found) else None

    def silent(self, folder: Path) -> int:
        """Return the `generation` of a claim whose process is dead or has been silent for too long, 0 without one."""
        path = path_of(folder)
        found = read(path) if path else None
        return _generation(path) if path and found and not self._is_alive(path, found) else 0

    def _is_alive(self, path: Path, found: Holder) -> bool:
        if is_here(found):
            return lives(found)
        beat, since = self._seen.get(path, (-1, 0.0))
        if beat != found.beat:
            self._seen[path] = (found.beat, time.monotonic())
            return True
        return time.monotonic() - since < STALE


def generation(folder: Path) -> int:
    """Return the number of the newest claim on a run, 0 where there is none."""
    return _generation(path_of(folder))


def is_here(holder: Holder) -> bool:
    """Return whether a claim's process would be one of this machine, so that one can look whether it lives."""
    return holder.machine == _machine()


def lives(holder: Holder) -> bool:
    """Return whether the process of a claim of this machine is there."""
    return _born(holder.pid) == holder.born


def path_of(folder: Path) -> Path | None:
    """Return the file of the newest claim on a run, None where there is none."""
    return max(folder.glob("claim-*.json"), key=_generation, default=None)


def read(path: Path) -> Holder | None:
    """Return what a claim says; one that is being written, or was cut, says that somebody unknown is there."""
    try:
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Holder(**given)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return Holder("unknown", "", 0, "")


def _acquire(folder: Path, stale: int) -> Claim | None:
    newest = generation(folder)
    if newest not in (0, stale) and Observer().silent(folder) != newest:  # alive, or given free this very moment
        return None
    path = folder / f"claim-{newest + 1}.json"
    me = Holder(socket.gethostname(), _machine(), os.getpid(), _born(os.getpid()))
    make_folder(folder)
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(asdict(me), file)
    except FileExistsError:
        return None
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise failure(path, error) from error
    for former in folder.glob("claim-*.json"):
        if _generation(former) < _generation(path):
            former.unlink(missing_ok=True)
    return Claim(path, me)


def _generation(path: Path | None) -> int:
    number = path.stem.removeprefix("claim-") if path else "0"
    return int(number) if number.isdecimal() else 0


def _rewrite(path: Path, me: Holder) -> None:
    new = path.with_name(f".{path.name}")
    new.write_text(json.dumps(asdict(me)), encoding="utf-8")
    os.replace(new, path)


@cache
def _machine() -> str:
    """Return what tells apart machines, their boots, and containers, whose processes do not see one another."""
    facts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        facts.append(os.readlink("/proc/self/ns/pid"))
    return "/".join(facts)


def _born(pid: int) -> str:
    """Return when a process began, in ticks since the machine's start: its number may be used again. "" if dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    except (OSError, IndexError):
        return ""
    try:  # no /proc: whether there is such a process is all that can be known
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
