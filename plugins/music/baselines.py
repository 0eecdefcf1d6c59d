"""What predicts the next frame without a network, fitted on train pieces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

PRIOR = 10.0  # observations that the prior of a key's probability is worth
CLASSES = 8  # a chord seen 0, 1, 2-3, 4-7, ... times has mixing weights of its own

Rolls = Sequence[np.ndarray]


def frequencies(rolls: Rolls) -> np.ndarray:
    """Return for each key the share of frames after the first in which it sounds, smoothed by half a frame."""
    frames = np.concatenate([roll[1:] for roll in rolls])
    return (frames.sum(0) + 0.5) / (len(frames) + 1)


class IndependentKeys:
    """Each key sounds as often as in train pieces, whatever was before."""

    def __init__(self, usual: np.ndarray) -> None:
        self.usual = usual

    def probabilities(self, roll: np.ndarray) -> np.ndarray:
        """Return for each frame but the first (frames - 1, 88) how probable each key is."""
        return np.broadcast_to(self.usual, roll[1:].shape)

    def nats(self, roll: np.ndarray) -> np.ndarray:
        """Return the negative log-likelihood (frames - 1,) of a piece."""
        p = self.probabilities(roll)
        return -np.where(roll[1:], np.log(p), np.log1p(-p)).sum(1)


class KeyChain(IndependentKeys):
    """A two-state Markov chain for each key: does it sound on, does it begin?

    A key's two probabilities are drawn towards those of all keys together, that of beginning in proportion to
    how often the key sounds at all.
    """

    def __init__(self, usual: np.ndarray, rolls: Rolls) -> None:
        super().__init__(usual)
        before = np.concatenate([roll[:-1] for roll in rolls])
        after = np.concatenate([roll[1:] for roll in rolls])
        stays = after[before].mean() if before.any() else 0.5
        starts = np.clip(usual * after[~before].mean() / usual.mean(), 1e-6, 0.5)
        self.on = self._smoothed(before, after, np.full_like(usual, stays))
        self.off = self._smoothed(~before, after, starts)

    @staticmethod
    def _smoothed(condition: np.ndarray, after: np.ndarray, prior: np.ndarray) -> np.ndarray:
        return ((condition & after).sum(0) + PRIOR * prior) / (condition.sum(0) + PRIOR)

    def probabilities(self, roll: np.ndarray) -> np.ndarray:
        """Return for each frame but the first (frames - 1, 88) how probable each key is."""
        return np.where(roll[:-1], self.on, self.off)


class ChordBigram:
    """The next chord given this one: counted, mixed with how often chords occur, and with a `KeyChain`.

    The mixing weights maximise the likelihood of held-out pieces by EM, one set for each frequency class
    of the chord at hand (Jelinek and Mercer 1980). All three parts are distributions over all chords.
    """

    def __init__(self, chain: KeyChain, train: Rolls, held_out: Rolls, rounds: int = 30) -> None:
        self.chain = chain
        self.pairs: Counter[tuple[bytes, bytes]] = Counter()
        self.singles: Counter[bytes] = Counter()
        self.followed: Counter[bytes] = Counter()
        self.keys: dict[bytes, np.ndarray] = defaultdict(lambda: np.zeros(len(chain.usual)))
        for roll in train:
            chords = [frame.tobytes() for frame in roll]
            self.pairs.update(pairwise(chords))
            self.singles.update(chords[1:])
            self.followed.update(chords[:-1])
            for chord, after in zip(chords[:-1], roll[1:], strict=True):
                self.keys[chord] += after
        self.weights = np.full((CLASSES, 3), 1 / 3)
        parts = np.concatenate([self._parts(roll) for roll in held_out])
        classes = np.concatenate([self._classes(roll) for roll in held_out])
        for _ in range(rounds):
            share = self.weights[classes] * parts
            share /= share.sum(1, keepdims=True)
            for k in np.unique(classes):
                self.weights[k] = share[classes == k].mean(0)

    def nats(self, roll: np.ndarray) -> np.ndarray:
        """Return the negative log-likelihood (frames - 1,) of a piece."""
        return -np.log((self.weights[self._classes(roll)] * self._parts(roll)).sum(1))

    def probabilities(self, roll: np.ndarray) -> np.ndarray:
        """Return for each frame but the first (frames - 1, 88) how probable each key is."""
        usual = self.chain.usual
        bigram = [
            self.keys[c] / self.followed[c] if self.followed[c] else usual
            for c in (frame.tobytes() for frame in roll[:-1])
        ]
        parts = np.stack([np.array(bigram), np.broadcast_to(usual, roll[1:].shape), self.chain.probabilities(roll)], 1)
        return (self.weights[self._classes(roll)][:, :, None] * parts).sum(1)

    def _seen(self, roll: np.ndarray) -> np.ndarray:
        return np.array([self.followed[frame.tobytes()] for frame in roll[:-1]])

    def _classes(self, roll: np.ndarray) -> np.ndarray:
        return np.minimum(np.ceil(np.log2(self._seen(roll) + 1)), CLASSES - 1).astype(int)

    def _parts(self, roll: np.ndarray) -> np.ndarray:
        """Return three probabilities (frames - 1, 3); an unknown chord leaves the answer to `singles`."""
        chords, seen = [frame.tobytes() for frame in roll], self._seen(roll)
        pair = np.array([self.pairs[p] for p in pairwise(chords)])
        single = np.array([self.singles[c] for c in chords[1:]]) / self.singles.total()
        bigram = np.where(seen > 0, pair / np.maximum(seen, 1), single)
        return np.stack([bigram, single, np.exp(-self.chain.nats(roll))], axis=1)
