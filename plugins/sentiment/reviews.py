"""Short reviews made by a grammar: what they think hangs on what is negated, and on which clause counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lstmlab.tasks.text_classification import Texts

ASPECTS = (
    "bathroom", "battery", "bed", "bread", "breakfast", "camera", "coffee", "curry", "delivery", "dessert", "driver",
    "food", "garden", "keyboard", "lamp", "location", "manager", "menu", "music", "packaging", "parking", "pizza",
    "pool", "price", "room", "screen", "service", "soup", "sound", "staff", "view", "waiter", "website", "wine",
)  # fmt: skip
ADJECTIVES = {
    "positive": (
        "amazing", "beautiful", "brilliant", "charming", "cheerful", "clean", "comfortable", "delightful", "excellent",
        "fair", "fantastic", "fine", "flawless", "good", "great", "helpful", "impressive", "lovely", "perfect",
        "pleasant", "reliable", "solid", "superb", "wonderful",
    ),
    "negative": (
        "annoying", "appalling", "awful", "bad", "boring", "broken", "cold", "cruel", "dirty", "disappointing",
        "dreadful", "dull", "faulty", "horrible", "mediocre", "nasty", "poor", "rude", "sad", "slow", "stale",
        "terrible", "ugly", "useless",
    ),
}  # fmt: skip
DEGREES = ("", "", "very ", "really ", "quite ", "all that ", "so ", "particularly ")
PLAIN = (  # clauses that mean what their adjective says; some hold a negation of something else
    "the {a} was {d}{j}",
    "i found the {a} {d}{j}",
    "we thought that the {a} was {d}{j}",
    "without a doubt the {a} was {d}{j}",
    "not only my friends called the {a} {d}{j}",
    "i could not wait and the {a} was {d}{j}",
    "nothing can hide that the {a} was {d}{j}",
    "i can not deny that the {a} was {d}{j}",
)
NEGATED = (  # clauses that mean the opposite
    "the {a} was not {d}{j}",
    "the {a} was never {d}{j}",
    "i did not find the {a} {d}{j}",
    "nobody called the {a} {d}{j}",
    "the {a} was anything but {j}",
    "the {a} was far from {d}{j}",
    "i can not say that the {a} was {d}{j}",
    "without a doubt the {a} was not {d}{j}",
)
NEUTRAL = (
    "we came on a monday.", "it did not rain.", "my sister paid.", "we had not booked.", "nobody else was there.",
    "it was our first time.", "i never write reviews.", "they open at nine.",
)  # fmt: skip
WHOLE = {  # how often each frame is taken: {x} counts, {z} thinks the same, and {y} thinks the opposite
    "{x}.": 3,
    "{n} {x}.": 2,
    "{x} and {z}.": 2,
    "{x}. {z}.": 1,
    "{y} but {x}.": 2,
    "{y}. however, {x}.": 1,
    "although {y}, {x}.": 1,
    "{x}, although {y}.": 1,
    "{x} even though {y}.": 1,
}
NEGATION = 0.35  # share of the clauses that hold one

Pairs = Sequence[tuple[str, str, str]]  # aspect, adjective, and what the adjective says


def reviews(count: int, validation: float, test: float) -> dict[str, Texts]:
    """Return so many different reviews in three splits, half of each class, always the same.

    An aspect and an adjective that stand together in validation or test reviews do so in no other split.
    """
    random = np.random.default_rng(0)
    pairs = [(a, j, polarity) for a in ASPECTS for polarity, words in ADJECTIVES.items() for j in words]
    order = random.permutation(len(pairs))
    tenth = len(pairs) // 10
    parts = {"test": order[: 2 * tenth], "validation": order[2 * tenth : 3 * tenth], "train": order[3 * tenth :]}
    sizes = {"test": round(test * count), "validation": round(validation * count)}
    sizes["train"] = count - sum(sizes.values())
    return {split: _drawn(sizes[split], [pairs[i] for i in parts[split]], random) for split in reversed(parts)}


def _drawn(count: int, pairs: Pairs, random: np.random.Generator) -> Texts:
    made: dict[str, str] = {}
    while len(made) < count:
        wanted = tuple(ADJECTIVES)[len(made) % 2]
        made.setdefault(_review(wanted, pairs, random), wanted)
    return list(made), list(made.values())


def _review(wanted: str, pairs: Pairs, random: np.random.Generator) -> str:
    opposite = next(polarity for polarity in ADJECTIVES if polarity != wanted)
    x, y, z = (_clause(polarity, pairs, random) for polarity in (wanted, opposite, wanted))
    often = np.array(list(WHOLE.values()))
    frame = tuple(WHOLE)[random.choice(len(WHOLE), p=often / often.sum())]
    text = frame.format(x=x, y=y, z=z, n=NEUTRAL[random.integers(len(NEUTRAL))])
    return ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))


def _clause(wanted: str, pairs: Pairs, random: np.random.Generator) -> str:
    negated = random.random() < NEGATION
    fitting = [pair for pair in pairs if (pair[2] != wanted) == negated]
    aspect, adjective, _ = fitting[random.integers(len(fitting))]
    forms = NEGATED if negated else PLAIN
    degree = DEGREES[random.integers(len(DEGREES))]
    return forms[random.integers(len(forms))].format(a=aspect, d=degree, j=adjective)


def describe() -> list[str]:
    """Return what a report must say of these reviews."""
    return [
        f"The reviews are generated: {len(ASPECTS)} aspects and {sum(map(len, ADJECTIVES.values()))} adjectives in "
        f"{len(PLAIN)} clauses that mean what they say and {len(NEGATED)} that negate it, in {len(WHOLE)} frames.",
        "No aspect stands beside the same adjective in two splits.",
    ]
