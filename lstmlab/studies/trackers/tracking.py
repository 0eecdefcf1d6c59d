"""Handing a run over to trackers from threads of their own, so that training neither waits nor fails."""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from lstmlab.studies.identity import Spec
from lstmlab.studies.store import Result, Store
from lstmlab.studies.trackers.tracker import Row, Tracked, Tracker, Trackers, load

EVERY = 1.0  # seconds between two hand-overs
ROOM = 20_000  # rows that may wait; what comes beyond is left out and counted
BUSY = 4  # runs of one process that a tracker may be behind
PATIENCE = 5.0  # seconds that a process waits at its end for what is still to be handed over


class Tracking:
    """The trackers of one run. None of its methods raises or waits for a tracker.

    Args:
        trackers: which.
        spec: what they watch.
        store: where the run is recorded.
        say: told once for each tracker that something went wrong with.
    """

    def __init__(self, trackers: Trackers, spec: Spec, store: Store, say: Callable[[str], object]) -> None:
        self._names, self._run, self._say = trackers.names, Tracked(spec, store, trackers.experiment), say
        self._senders: list[_Sender] = []
        self._told = 0

    def begin(self, rows: Sequence[Row]) -> None:
        """Begin, with the history of a run that goes on from a checkpoint."""
        started = [_start(name, self._run, rows, self._say) for name in self._names]
        self._senders = [sender for sender in started if sender is not None]
        self._told = len(rows)

    def log(self, rows: Sequence[Row]) -> None:
        """Take in what ``rows``, the whole history, has beyond what was there before."""
        new, self._told = rows[self._told :], len(rows)
        for sender in self._senders:
            sender.put(new)

    def end(self, result: Result | None) -> None:
        """Take in what the run ended with; None: it was interrupted."""
        for sender in self._senders:
            sender.end(result)


class _Sender(threading.Thread):
    """Hands over what one run leaves for one tracker."""

    def __init__(self, tool: str, tracker: Tracker, run: Tracked, rows: Sequence[Row], say: Callable[[str], object]):
        super().__init__(daemon=True)
        self.tool, self._tracker, self._name, self._say = tool, tracker, run.spec.name, say
        self._history = list(rows)
        self._rows: deque[Row] = deque()
        self._left_out = 0
        self._result: Result | None = None
        self._over = threading.Event()

    def put(self, rows: Sequence[Row]) -> None:
        if self.is_alive():
            taken = rows[: max(0, ROOM - len(self._rows))]
            self._rows.extend(taken)
            self._left_out += len(rows) - len(taken)

    def end(self, result: Result | None) -> None:
        self._result = result
        self._over.set()

    def run(self) -> None:
        try:
            self._tracker.begin(self._history)
            while not self._over.wait(EVERY):
                self._hand_over()
            self._hand_over()
            self._tracker.end(self._result)
        except Exception as error:  # whatever a tracker does, the run goes on
            self.say(f"nothing more is logged, because of {type(error).__name__}: {error}")
        if self._left_out:
            self.say(f"{self._left_out:,} rows were left out, because it takes them too slowly")

    def _hand_over(self) -> None:
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        if rows:
            self._tracker.log(rows)

    def say(self, what: str) -> None:
        with contextlib.suppress(Exception):  # a full disk, perhaps
            self._say(f"{self.tool}: {what} ({self._name})")


_senders: list[_Sender] = []  # of this process, as long as they have something to do


def _start(tool: str, run: Tracked, rows: Sequence[Row], say: Callable[[str], object]) -> _Sender | None:
    _senders[:] = [s for s in _senders if s.is_alive()]
    try:
        if sum(s.tool == tool for s in _senders) >= BUSY:
            raise TimeoutError(f"it is still busy with {BUSY} earlier runs")
        # Imported here and not in the thread: two threads that import at once may see half a module.
        sender = _Sender(tool, load(tool)(run), run, rows, say)
        sender.start()
    except Exception as error:
        with contextlib.suppress(Exception):
            say(f"{tool}: nothing is logged, because of {type(error).__name__}: {error} ({run.spec.name})")
        return None
    _senders.append(sender)
    return sender


def settle() -> None:
    """Wait a little at the end of a process until all is handed over."""
    deadline = time.monotonic() + PATIENCE
    for sender in _senders:
        sender.join(max(0.0, deadline - time.monotonic()))
        if sender.is_alive():
            sender.say("the process ended before all was logged")


atexit.register(settle)


def to_stderr(text: str) -> None:
    """Say what went wrong where a user sees it."""
    print(text, file=sys.stderr)
