"""Kneser and Ney's n-gram model, over characters or words: counts are kept as a trie of arrays."""

from __future__ import annotations

import numpy as np


class KneserNey:
    """Interpolated n-grams with three discounts for each order (Chen and Goodman 1998, "modified Kneser-Ney").

    The longest n-grams count how often they occur, shorter ones how many different symbols stand before
    them; what the discounts take is given to the next shorter order, and at last to all symbols alike.

    A node of order k is a string of k symbols that occurs in the train text; its key is the number of the node
    of its first k - 1 symbols times ``symbols``, plus its last symbol. Node 0 of order 0 is the empty string.
    """

    def __init__(self, symbols: int, order: int) -> None:
        self.symbols, self.order = symbols, order

    def fit(self, train: np.ndarray) -> KneserNey:
        """Count the strings of ``train`` (n,), symbols from 0 on, n at least the order."""
        self.keys: list[np.ndarray] = []  # sorted, for each order from 1 on
        counts: list[np.ndarray] = []
        before, shorter = np.zeros(len(train), np.int64), None
        for _ in range(self.order):
            keys, nodes, count = np.unique(
                before * self.symbols + train[len(train) - len(before) :], return_inverse=True, return_counts=True
            )
            if shorter is not None:  # each string of this order stands for one symbol before its suffix
                suffix = np.empty(len(keys), np.int64)
                suffix[nodes] = shorter[1:]
                counts[-1] = np.bincount(suffix, minlength=len(self.keys[-1]))
            self.keys.append(keys)
            counts.append(count)
            before, shorter = nodes[:-1], nodes
        self._discount(counts)
        return self

    def _discount(self, counts: list[np.ndarray]) -> None:
        """Set, for each order, the counts less their discount, and for each context their sum and what is left over."""
        self.reduced, self.totals, self.left = [], [], []
        for keys, count in zip(self.keys, counts, strict=True):
            parents = keys // self.symbols
            n = np.bincount(np.minimum(count, 5), minlength=5).astype(float)  # how many occur 1, 2, 3, 4 times
            y = n[1] / max(n[1] + 2 * n[2], 1)
            steps = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else 0.0 for k in (1, 2, 3)]
            # Half of the count where too few strings occur so rarely: with nothing taken, the unseen were impossible.
            steps = [step if 0 < step <= k else k / 2 for k, step in enumerate(steps, 1)]
            taken = np.array([0.0, *steps])[np.minimum(count, 3)]
            size = int(parents.max()) + 1
            self.reduced.append(count - taken)
            self.totals.append(np.bincount(parents, count, minlength=size))
            self.left.append(np.bincount(parents, taken, minlength=size))

    def probabilities(self, text: np.ndarray) -> np.ndarray:
        """Return the probability (n - order + 1,) of each symbol of ``text`` from the order-th on, given those before.

        A symbol whose context is unknown has that of the next shorter one.
        """
        found = np.full(len(text), 1 / self.symbols)
        context = np.zeros(len(text), np.int64)  # node of the k - 1 symbols before each, -1: unknown
        for keys, reduced, totals, left in zip(self.keys, self.reduced, self.totals, self.left, strict=True):
            found = found[len(found) - len(context) :]
            wanted = np.where(context >= 0, context * self.symbols + text[len(text) - len(context) :], -1)
            node = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            node = np.where(keys[node] == wanted, node, -1)
            known = (context >= 0) & (context < len(totals))
            at = np.where(known, context, 0)
            known &= totals[at] > 0
            total = np.where(known, totals[at], 1)
            here = np.where(node >= 0, reduced[node], 0) / total + left[at] / total * found
            found = np.where(known, here, found)
            context = node[:-1]
        return found
