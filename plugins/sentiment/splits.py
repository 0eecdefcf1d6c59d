"""Which split each text is in, where the data do not say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lstmlab.tasks.task import SPLITS

FEWEST = 3  # different texts of a class, so that each split has one


def same(text: str) -> str:
    """Return what two texts share that count as one: not their case, not their spaces."""
    return " ".join(text.casefold().split())


def divide(texts: Sequence[str], strata: Sequence[str], validation: float, test: float) -> dict[str, list[int]]:
    """Return the texts of each split, by number, in their order: so many of each stratum, always the same.

    Equal texts are in one split. A stratum of at least `FEWEST` different texts has one in each split.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        members[same(text)].append(i)
    groups: dict[str, list[list[int]]] = defaultdict(list)
    for found in members.values():
        groups[strata[found[0]]].append(found)
    random = np.random.default_rng(0)
    splits: dict[str, list[int]] = {split: [] for split in SPLITS}
    for stratum in sorted(groups):
        order = random.permutation(len(groups[stratum]))
        tested = min(max(1, round(test * len(order))), len(order) - 2)
        held = min(tested + max(1, round(validation * len(order))), len(order) - 1)
        for split, part in zip(SPLITS, (order[held:], order[tested:held], order[:tested]), strict=True):
            splits[split] += [i for group in part for i in groups[stratum][group]]
    return {split: sorted(numbers) for split, numbers in splits.items()}
