"""Numbers spelt out in two languages: data that need no download."""

from __future__ import annotations

import numpy as np

from lstmlab.errors import LstmlabError

from .pairs import Pair, Parallel, clean

ALWAYS = 100  # numbers below are train ones: they hold the words that all others are made of
SHARES = (0.08, 0.12)  # of the other numbers: validation and test


def spelt(count: int, largest: int, source: str, target: str) -> Parallel:
    """Return ``count`` different numbers from 0 to ``largest`` in two languages, each number in one split.

    Above `ALWAYS` they are drawn uniformly over their logarithm, so that short ones are not rare.

    Raises:
        LstmlabError: for a language that num2words does not know, or when there are not so many numbers.
    """
    random = np.random.default_rng(0)
    if count > (largest + 1) // 2:
        raise LstmlabError(f"task.pairs={count}: at most half of the {largest + 1:,} numbers can be drawn")
    drawn: dict[int, None] = {}
    while len(drawn) < count - ALWAYS:
        many = np.exp(random.uniform(np.log(ALWAYS), np.log(largest + 1), count))
        drawn.update(dict.fromkeys(np.minimum(many.astype(int), largest).tolist()))
    others = list(drawn)[: count - ALWAYS]
    first, second = (round(share * len(others)) for share in SHARES)
    numbers = {
        "train": [*range(ALWAYS), *others[first + second :]],
        "validation": others[:first],
        "test": others[first : first + second],
    }
    return Parallel({split: _pairs(found, source, target) for split, found in numbers.items()})


def _pairs(numbers: list[int], source: str, target: str) -> list[Pair]:
    sides = [[_word(n, language) for n in numbers] for language in (source, target)]
    return list(zip(*sides, strict=True))


def _word(number: int, language: str) -> str:
    try:
        from num2words import CONVERTER_CLASSES, num2words
    except ImportError:
        raise LstmlabError(
            "num2words is missing, which spells numbers out: pip install 'lstmlab[translation]'"
        ) from None
    if language not in CONVERTER_CLASSES:
        raise LstmlabError(f"num2words has no language {language!r}; it has {', '.join(sorted(CONVERTER_CLASSES))}")
    return clean(num2words(number, lang=language))
