"""Symbols as numbers: padding, the unknown one, and those that the train split has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

PADDING, UNKNOWN = 0, 1  # the numbers of the first two symbols of every vocabulary
SPECIAL = ("<pad>", "<unk>")


class Vocabulary:
    """Numbers for symbols (words, characters, phones); made of a list, which is what a run stores.

    >>> vocabulary = Vocabulary.of(["to be or not to be".split()], fewest=2)
    >>> vocabulary.symbols
    ['<pad>', '<unk>', 'be', 'to']
    >>> vocabulary.encode(["to", "see"])
    array([3, 1])
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self._numbers = {symbol: i for i, symbol in enumerate(self.symbols)}

    @classmethod
    def of(cls, sequences: Iterable[Iterable[str]], fewest: int = 1, most: int | None = None) -> Vocabulary:
        """Return the symbols of ``sequences``, frequent ones first, equally frequent ones in order.

        Args:
            sequences: of the train split.
            fewest: times that a symbol must occur; rarer ones are unknown.
            most: symbols beside the special two; the rarest beyond are unknown.
        """
        counts = Counter(symbol for sequence in sequences for symbol in sequence)
        kept = sorted((s for s, n in counts.items() if n >= fewest and s not in SPECIAL), key=lambda s: (-counts[s], s))
        return cls([*SPECIAL, *kept[:most]])

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._numbers

    def encode(self, sequence: Iterable[str]) -> np.ndarray:
        """Return the numbers (n,), int64, of symbols."""
        return np.array([self._numbers.get(s, UNKNOWN) for s in sequence], dtype=np.int64)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the symbols of numbers."""
        return [self.symbols[i] for i in numbers]
