"""The words of all views."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstmlab.studies.display.board import Picture, Row
    from lstmlab.studies.display.estimate import Left

LONGEST = 1000  # characters of a reason that are shown; result.json has all of it


def printable(text: str) -> str:
    """Return ``text`` as one line in which nothing controls a terminal, turns its direction or is endless."""
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters; see `lstmlab status`)"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(cut.splitlines()))


def counts(now: Picture) -> str:
    """Say how many runs are over, how many failed, how long it has taken and will take."""
    words = [f"{now.done + now.failed} of {now.total} runs"]
    words += [f"{now.failed} failed"] if now.failed else []
    words += [f"{now.elsewhere} elsewhere"] if now.elsewhere else []
    rest = "" if now.done + now.failed == now.total else f", {left(now.left)}"
    return f"{', '.join(words)}; {clock(now.seconds)}{rest}"


def summary(now: Picture) -> str:
    """Say how it ended."""
    open = now.total - now.done - now.failed
    words = [f"{now.done} of {now.total} runs done" if open or now.failed else f"all {now.total} runs done"]
    words += [f"{now.failed} failed"] if now.failed else []
    words += [f"{open} still to do"] if open else []
    return f"{now.title}: {', '.join(words)}; {clock(now.seconds)}"


def loss(row: Row) -> str:
    """Say what the loss of a run is, once it is known."""
    return "" if row.loss is None else f"loss {row.loss:.3g}"


def clock(seconds: float) -> str:
    """Write a duration as 0:07, 12:30 or 3:00:00."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def left(estimate: Left | None) -> str:
    """Say how long it will still take, no more exactly than it can be known."""
    if estimate is None:
        return "estimating the time left"
    return f"{'perhaps' if estimate.guessed else 'about'} {_about(estimate.seconds)} left"


def _about(seconds: float) -> str:
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 10:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(seconds / 3600)} h" if hours < 48 else f"{round(seconds / 86400)} days"
