"""The view for logs: a line now and then, and news at once."""

from __future__ import annotations

import sys
import time

from lstmlab.progress import LINE_EVERY
from lstmlab.studies.display import text
from lstmlab.studies.display.board import Picture

SHOWN = 3  # runs at work that a line names


class Lines:
    """Prints a line every ten seconds, if there is anything new."""

    def __init__(self) -> None:
        self._last, self._said = time.monotonic(), ""

    def draw(self, now: Picture, notes: list[str]) -> None:
        for note in notes:
            self._print(note)
        what = f"{now.done} {now.failed} {now.running}"
        if time.monotonic() - self._last < LINE_EVERY or what == self._said:
            return
        self._last, self._said = time.monotonic(), what
        runs = [f"{row.name} {row.share:.0%} {text.loss(row)}".rstrip() for row in now.running[:SHOWN]]
        more = len(now.running) - len(runs)
        self._print("; ".join([f"{now.title}: {text.counts(now)}", *runs]) + (f" and {more} more" if more else ""))

    def close(self, now: Picture) -> None:
        self._print(text.summary(now))

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
