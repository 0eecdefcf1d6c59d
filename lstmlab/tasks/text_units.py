"""Text as symbols: characters, or words that joined give the same text again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

UNITS = ("characters", "words")
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # number 0 of every vocabulary
TOKEN = re.compile(
    r"\r?\n"  # a line end
    r"| +(?= )"  # spaces but the last, which the next token takes
    r"| ?\w+(?:['\u2019]\w+)*"  # a word, with the space before it
    r"| ?[^\w\s]"  # a mark, with the space before it
    r"|\s"
)


def split_text(text: str, unit: str) -> Sequence[str]:
    r"""Return the symbols of a text; joined they are the text.

    >>> split_text("Well, Prince,\nso Genoa isn't", "words")
    ['Well', ',', ' Prince', ',', '\n', 'so', ' Genoa', " isn't"]
    """
    return TOKEN.findall(text) if unit == "words" else text


def cut_text(text: str, stretches: int, validation: float, test: float) -> tuple[str, str, str]:
    """Return the train, validation and test part of a text: of each of so many equal stretches the last is test.

    What is left over at the end belongs to no stretch.
    """
    length = len(text) // stretches
    stop, end = int(length * (1 - test - validation)), int(length * (1 - test))
    parts = [text[at : at + length] for at in range(0, stretches * length, max(length, 1))]
    return "".join(p[:stop] for p in parts), "".join(p[stop:end] for p in parts), "".join(p[end:] for p in parts)


def vocabulary_of(symbols: Iterable[str], fewest: int = 1, most: int | None = None) -> list[str]:
    """Return the unknown symbol, then those that occur ``fewest`` times, the ``most`` frequent of them, sorted."""
    counts = Counter(symbols)
    kept = sorted((s for s, n in counts.items() if n >= fewest and s != UNKNOWN), key=lambda s: (-counts[s], s))
    return [UNKNOWN, *sorted(kept[:most])]


def encode(symbols: Iterable[str], vocabulary: Sequence[str]) -> np.ndarray:
    """Return the numbers (n,), int64; what the vocabulary lacks is 0."""
    number = {symbol: i for i, symbol in enumerate(vocabulary)}
    return np.array([number.get(s, 0) for s in symbols], dtype=np.int64)
