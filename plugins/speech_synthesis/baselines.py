"""What answers a phone without a network: fitted on train utterances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstmlab.tasks.griffin_lim import MelFrames

from .utterances import Utterance


class MeanFrame:
    """Every frame is the mean of all train frames in which somebody speaks."""

    def __init__(self, train: Sequence[Utterance], frames: Sequence[np.ndarray], mels: MelFrames) -> None:
        self.mels = mels
        spoken = [f[u.spoken_at(mels.times(len(f)))] for u, f in zip(train, frames, strict=True)]
        self.mean = np.concatenate(spoken).mean(0)

    def answer(self, utterance: Utterance, frames: int) -> np.ndarray:
        """Return log mel bands (frames, bands)."""
        return np.tile(self.mean, (frames, 1))


class MeanOfPhone(MeanFrame):
    """Every frame is the mean of all train frames of its phone."""

    def __init__(self, train: Sequence[Utterance], frames: Sequence[np.ndarray], mels: MelFrames) -> None:
        super().__init__(train, frames, mels)
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for utterance, mel in zip(train, frames, strict=True):
            at = utterance.phone_at(mels.times(len(mel)))
            for i, phone in enumerate(utterance.phones):
                found[phone].append(mel[at == i])
        self.means = {phone: np.concatenate(mel).mean(0) for phone, mel in found.items() if sum(map(len, mel))}

    def answer(self, utterance: Utterance, frames: int) -> np.ndarray:
        """Return log mel bands (frames, bands); a phone that train does not have is the mean frame."""
        means = np.stack([self.means.get(phone, self.mean) for phone in utterance.phones])
        return means[utterance.phone_at(self.mels.times(frames))]


@dataclass(frozen=True)
class _Unit:
    """A phone as it was spoken once: by whom, between which, for how long, and its frames."""

    voice: str
    before: str
    after: str
    seconds: float
    frames: np.ndarray

    def mismatch(self, voice: str, before: str, after: str, seconds: float) -> tuple[int, float]:
        """Return how badly it fits: another voice is worse than other neighbours, these worse than other durations."""
        context = 4 * (self.voice != voice) + (self.before != before) + (self.after != after)
        return context, abs(np.log(self.seconds / seconds))


class NearestPhone(MeanFrame):
    """Every phone is the one train phone that fits best, stretched to its length: synthesis from units.

    The best one has the same phone and voice, as many of the same neighbours as can be had, and the nearest duration.
    """

    def __init__(self, train: Sequence[Utterance], frames: Sequence[np.ndarray], mels: MelFrames) -> None:
        super().__init__(train, frames, mels)
        self.units: dict[str, list[_Unit]] = defaultdict(list)
        for utterance, mel in zip(train, frames, strict=True):
            at = utterance.phone_at(mels.times(len(mel)))
            around = ["", *utterance.phones, ""]
            for i, phone in enumerate(utterance.phones):
                if (here := mel[at == i]).size:
                    unit = _Unit(utterance.voice, around[i], around[i + 2], utterance.seconds[i], here)
                    self.units[phone].append(unit)

    def answer(self, utterance: Utterance, frames: int) -> np.ndarray:
        """Return log mel bands (frames, bands); a phone that train does not have is the mean frame."""
        at, around = utterance.phone_at(self.mels.times(frames)), ["", *utterance.phones, ""]
        made = np.empty((frames, len(self.mean)), np.float32)
        for i, (phone, seconds) in enumerate(zip(utterance.phones, utterance.seconds, strict=True)):
            here = np.flatnonzero(at == i)
            wanted = (utterance.voice, around[i], around[i + 2], seconds)
            best = min(self.units.get(phone, []), key=lambda unit: unit.mismatch(*wanted), default=None)
            made[here] = self.mean if best is None else _stretched(best.frames, len(here))
        return made


def _stretched(frames: np.ndarray, count: int) -> np.ndarray:
    return frames[np.round(np.linspace(0, len(frames) - 1, count)).astype(int)]


BASELINES = {
    "mean frame": MeanFrame,
    "mean frame of the phone": MeanOfPhone,
    "nearest train phone": NearestPhone,
}
