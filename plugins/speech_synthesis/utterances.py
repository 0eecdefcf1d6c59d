"""Utterances: sound with the phones that are spoken in it, and which split each is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from lstmlab.errors import LstmlabError
from lstmlab.tasks.task import SPLITS

from .phones import SILENCE

FEWEST = 3  # utterances: one for each split


class CorpusError(LstmlabError):
    """Speech that cannot be used: which file, where in it, what is expected."""


@dataclass(frozen=True)
class Utterance:
    """What is spoken, when, by whom, and how it sounds.

    Attributes:
        name: what the corpus calls it.
        phones: in order; silence is `SILENCE`.
        seconds: that each phone takes; together they are as long as the sound.
        voice: who speaks.
        samples: float32 with full scale at 1; none of an utterance that is to be synthesised.
    """

    name: str
    phones: tuple[str, ...]
    seconds: tuple[float, ...]
    voice: str
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)

    def phone_at(self, times: np.ndarray) -> np.ndarray:
        """Return which phone (its number in the utterance) is spoken at each time in seconds."""
        return np.minimum(np.searchsorted(np.cumsum(self.seconds), times, side="right"), len(self.phones) - 1)

    def spoken_at(self, times: np.ndarray) -> np.ndarray:
        """Return at which times somebody speaks."""
        return np.array([phone != SILENCE for phone in self.phones])[self.phone_at(times)]


@dataclass(frozen=True)
class Corpus:
    """Utterances, and what reading did to them."""

    utterances: list[Utterance]
    notes: tuple[str, ...] = ()


def divide(utterances: Sequence[Utterance], validation: float, test: float) -> tuple[dict[str, list[Utterance]], int]:
    """Return the utterances of each split, drawn at random once for all, and how many were there twice.

    Args:
        utterances: of a corpus; of those whose sound is the same to the last bit, the first counts.
        validation: share of the utterances, at least one.
        test: share of the utterances, at least one.

    Raises:
        CorpusError: when none would be left to train on.
    """
    kept = list({sha256(u.samples).digest(): u for u in reversed(utterances)}.values())[::-1]
    held_out = [max(1, round(share * len(kept))) for share in (validation, test)]
    if len(kept) < FEWEST or sum(held_out) >= len(kept):
        raise CorpusError(
            f"{len(kept)} utterances leave none for train beside {held_out[0]} validation and {held_out[1]} test ones; "
            f"give at least {FEWEST}, and lower task.validation or task.test"
        )
    order = np.random.default_rng(0).permutation(len(kept))
    ends = [len(kept) - sum(held_out), len(kept) - held_out[1]]
    parts = [sorted(part.tolist()) for part in np.split(order, ends)]
    return {s: [kept[i] for i in part] for s, part in zip(SPLITS, parts, strict=True)}, len(utterances) - len(kept)
