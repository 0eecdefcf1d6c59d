"""How a run is done, whoever does it: nothing of it changes what the run computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lstmlab.studies.search.pace import Pace
from lstmlab.studies.trackers import Trackers


@dataclass(frozen=True)
class Terms:
    """What `execute_run` is told besides the run.

    Attributes:
        checkpoint_minutes: between two checkpoints.
        stale: the claim that was found silent and may be taken over; see `claims.hold`.
        trackers: that watch the run too.
        pace: what the run has to keep up with, if it may be left.
        rendezvous: ``host:port`` where the nodes of a run on several meet.
    """

    checkpoint_minutes: float = 1.0
    stale: int = 0
    trackers: Trackers = Trackers()
    pace: Pace | None = None
    rendezvous: str | None = None

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Self:
        """Return what ``dataclasses.asdict`` made of terms, perhaps in another process."""
        pace = Pace(**plain["pace"]) if plain["pace"] else None
        return cls(**{**plain, "trackers": Trackers(**plain["trackers"]), "pace": pace})
