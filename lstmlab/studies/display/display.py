"""Drawing a board now and then, in the view that suits where it is shown."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Protocol, Self

from lstmlab.progress import place
from lstmlab.studies.display.board import Board, Picture
from lstmlab.studies.display.lines import Lines
from lstmlab.studies.display.text import printable
from lstmlab.studies.launch import Event

DRAW_EVERY = 0.25  # seconds


class View(Protocol):
    """Where a board is shown."""

    def draw(self, now: Picture, notes: list[str]) -> None:
        """Show how the study stands; ``notes`` are lines that stay."""

    def close(self, now: Picture) -> None:
        """Leave one line of summary, and the notes."""


class Display:
    """Shows a board while the block runs, from a thread of its own, so that the driver only tells what it hears.

    Args:
        board: what is shown.
        view: where; by default the one that suits.
    """

    def __init__(self, board: Board, view: View) -> None:
        self.board, self._view = board, view
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def hear(self, event: Event) -> None:
        """Take news of a run in."""
        self.board.hear(event)

    def say(self, text: str) -> None:
        """Show a line that stays. Takes no lock, so a signal handler may call it."""
        self.board.notes.append(text)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._draw(last=True)

    def _work(self) -> None:
        self._draw()
        while not self._over.wait(DRAW_EVERY):
            self._draw()

    def _draw(self, last: bool = False) -> None:
        notes = [self.board.notes.popleft() for _ in range(len(self.board.notes))]
        try:
            self._view.draw(self.board.picture(), notes)
            if last:
                self._view.close(self.board.picture())
        except Exception as error:  # a study does not end because it cannot be shown
            self._fall_back(error, notes, last)

    def _fall_back(self, error: Exception, notes: list[str], last: bool) -> None:
        """Go on with plain lines; where these cannot be written either, nobody is there to read them."""
        if isinstance(self._view, Lines):
            return
        with contextlib.suppress(Exception):
            self._view.close(self.board.picture())
        self._view = Lines()
        reason = printable(f"{type(error).__name__}: {error}")
        self.board.notes.extendleft([*reversed(notes), f"display: plain lines from here on, because of {reason}"])
        if last:
            self._draw(last)


def view(live: bool = True) -> View:
    """Return the view that suits where the output goes.

    Args:
        live: the terminal may be redrawn; not so where runs share it, with a debugger perhaps.
    """
    where = place()
    if where == "notebook":
        from lstmlab.studies.display.widget import Widget

        return Widget()
    if where == "terminal" and live:
        from lstmlab.studies.display.terminal import Terminal

        return Terminal()
    return Lines()
