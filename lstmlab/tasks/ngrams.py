"""A trigram language model: the baseline that a recurrent one has to beat."""

from __future__ import annotations

import numpy as np


def nats_per_symbol(probabilities: np.ndarray) -> float:
    """Return the mean negative logarithm."""
    return float(-np.mean(np.log(probabilities)))


class InterpolatedTrigram:
    """Trigram, bigram, unigram and uniform probabilities, mixed with fitted weights.

    Jelinek and Mercer (1980): the weights maximise the likelihood of held-out text (by EM), with
    one set of weights for each frequency class of the two-symbol context.
    """

    CLASSES = 8  # context seen 0, 1, 2-3, 4-7, ... times

    def __init__(self, symbols: int) -> None:
        self.symbols = symbols

    def fit(self, train: np.ndarray, held_out: np.ndarray, rounds: int = 30) -> InterpolatedTrigram:
        """Count in ``train``, fit the mixing weights on ``held_out``."""
        v = self.symbols
        pairs, triples = train[:-1] * v + train[1:], (train[:-2] * v + train[1:-1]) * v + train[2:]
        self.unigram = (np.bincount(train, minlength=v) + 1) / (len(train) + v)
        self.pairs = np.bincount(pairs, minlength=v**2)
        self.triples = np.bincount(triples, minlength=v**3)
        self.weights = np.full((self.CLASSES, 4), 0.25)
        parts, classes = self._parts(held_out)
        for _ in range(rounds):
            share = self.weights[classes] * parts
            share /= share.sum(1, keepdims=True)
            for k in range(self.CLASSES):
                if (classes == k).any():
                    self.weights[k] = share[classes == k].mean(0)
        return self

    def probabilities(self, symbols: np.ndarray) -> np.ndarray:
        """Return the probability of every symbol from the third on, given those before it."""
        parts, classes = self._parts(symbols)
        return (self.weights[classes] * parts).sum(1)

    def _parts(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the four probabilities of every symbol, and the frequency class of its context.

        A context that was never seen leaves the answer to the next shorter one, so that each of
        the four sums to one over all symbols.
        """
        v = self.symbols
        a, b, c = s[:-2], s[1:-1], s[2:]
        unigram = self.unigram[c]
        seen1 = self.pairs.reshape(v, v).sum(1)[b]
        bigram = np.where(seen1 > 0, self.pairs[b * v + c] / np.maximum(seen1, 1), unigram)
        seen2 = self.triples.reshape(v * v, v).sum(1)[a * v + b]
        trigram = np.where(seen2 > 0, self.triples[(a * v + b) * v + c] / np.maximum(seen2, 1), bigram)
        classes = np.minimum(np.ceil(np.log2(seen2 + 1)), self.CLASSES - 1).astype(int)
        return np.stack([trigram, bigram, unigram, np.full(len(c), 1 / v)], axis=1), classes
