"""Errors that a user can act on: the command line prints them without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class LstmlabError(Exception):
    """Something that the user asked for cannot be done; the message says what, where and what to do."""

    exit_code = 2


class TrainingError(LstmlabError):
    """A training that started and could not go on (a loss that is not finite, for example)."""

    exit_code = 1


SHOWN = 5  # names in a message


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many there are more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest allowed name, or an empty string."""
    close = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
