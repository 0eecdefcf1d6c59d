"""A recogniser without a network: a hidden Markov model with one Gaussian a phone.

Each phone is a state whose frames are normal with a mean of its own and the covariance of all (a linear
discriminant), phones follow one another as a bigram has it, and silence may stand before and after. It is trained by
Viterbi alignment from a flat start, as in Young et al., The HTK Book, chapter 8 (there with three states a phone, and
mixtures).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from lstmlab.tasks.alignments import align, edits, error_rate

ROUNDS = 5  # of alignment and estimation
SCALES = (1.0, 2.0, 4.0, 8.0, 12.0, 16.0)  # of the bigram against frames, which are not independent
UNSEEN = 0.5  # added to the count of each pair of phones
NEVER = -1e9


class Monophones:
    """Trained on features (frames, n) and their phones; ``scale`` is chosen where the error rate is least.

    Args:
        features: of the train split, a frame at least for each phone.
        phones: numbers from 0 to ``count`` - 1.
        count: of phones; the state ``count`` is silence.
        held_out: features and phones on which the bigram's weight is chosen.
    """

    def __init__(
        self,
        features: Sequence[np.ndarray],
        phones: Sequence[Sequence[int]],
        count: int,
        held_out: tuple[Sequence[np.ndarray], Sequence[Sequence[int]]],
    ) -> None:
        self.silence = count
        paths = [_flat(len(f), [count, *p, count]) for f, p in zip(features, phones, strict=True)]
        for _ in range(ROUNDS):
            self._estimate(features, paths)
            paths = [self._forced(f, list(p)) for f, p in zip(features, phones, strict=True)]
        self._estimate(features, paths)
        self._transitions(paths)
        truth = [[str(p) for p in row] for row in held_out[1]]
        rates = {}
        for scale in SCALES:
            answers = [[str(p) for p in self.recognise(f, scale)] for f in held_out[0]]
            rates[scale] = error_rate(edits(align(truth, answers)))
        self.scale = min(rates, key=lambda scale: rates[scale])

    def _estimate(self, features: Sequence[np.ndarray], paths: Sequence[np.ndarray]) -> None:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        frames, states = np.concatenate(features), np.concatenate(paths)
        seen = np.unique(states)
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3, priors=np.full(len(seen), 1 / len(seen)))
        lda.fit(frames, states)
        self.weights = np.zeros((frames.shape[1], self.silence + 1))
        self.bias = np.full(self.silence + 1, NEVER)
        self.weights[:, seen], self.bias[seen] = lda.coef_.T, lda.intercept_

    def _transitions(self, paths: Sequence[np.ndarray]) -> None:
        """Estimate how long a state lasts, and which follows which."""
        states = self.silence + 1
        pairs, stays, visits = np.full((states, states), UNSEEN), np.ones(states), np.full(states, 2.0)
        first = np.full(states, UNSEEN)
        for path in paths:
            runs = [state for state, _ in groupby(path.tolist())]
            first[runs[0]] += 1
            np.add.at(pairs, (runs[:-1], runs[1:]), 1)
            np.add.at(visits, path, 1)
            np.add.at(stays, path[1:][path[1:] == path[:-1]], 1)
        np.fill_diagonal(pairs, 0)
        stay = stays / visits
        with np.errstate(divide="ignore"):
            self.change = np.log(pairs / pairs.sum(1, keepdims=True)) + np.log(1 - stay)[:, None]
        self.stay, self.first = np.log(stay), np.log(first / first.sum())

    def _forced(self, frames: np.ndarray, phones: list[int]) -> np.ndarray:
        """Return the state of each frame on the best path through ``phones``, with silence around where it fits."""
        states = np.array([self.silence, *phones, self.silence])
        local = (frames @ self.weights + self.bias)[:, states]
        score = np.full(len(states), NEVER)
        score[:2] = local[0, :2]
        moved = np.zeros(local.shape, dtype=bool)
        for t in range(1, len(local)):
            step = np.concatenate([[NEVER], score[:-1]])
            moved[t] = step > score
            score = np.maximum(score, step) + local[t]
        at = len(states) - 1 if score[-1] > score[-2] else len(states) - 2
        path = np.empty(len(local), dtype=int)
        for t in range(len(local) - 1, -1, -1):
            path[t] = states[at]
            at -= int(moved[t, at])
        return path

    def recognise(self, frames: np.ndarray, scale: float | None = None) -> list[int]:
        """Return the phones of the best path over all states, without silence."""
        scale = self.scale if scale is None else scale
        local = frames @ self.weights + self.bias
        change = np.where(np.isfinite(self.change), scale * self.change, NEVER)
        np.fill_diagonal(change, self.stay)
        score, came = scale * self.first + local[0], np.empty(local.shape, dtype=int)
        for t in range(1, len(local)):
            every = score[:, None] + change
            came[t] = every.argmax(0)
            score = every[came[t], np.arange(len(score))] + local[t]
        path = [int(score.argmax())]
        for t in range(len(local) - 1, 0, -1):
            path.append(int(came[t, path[-1]]))
        return [state for state, _ in groupby(reversed(path)) if state != self.silence]


def _flat(frames: int, states: Sequence[int]) -> np.ndarray:
    """Return states for frames, each for as long as the others."""
    return np.asarray(states)[np.arange(frames) * len(states) // frames]
