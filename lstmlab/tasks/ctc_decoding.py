"""From what a network says at each step to a sequence of labels: connectionist temporal classification.

A path names a label or the blank at each step; it spells the sequence that is left when repeats are merged and
blanks taken out. Graves, Fernández, Gomez and Schmidhuber (2006), Connectionist Temporal Classification, ICML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

BLANK = 0
NEVER = -math.inf
LEAST = 1e-4  # probability below which `beam_search` does not look at a label
Prefix = tuple[int, ...]


def steps_needed(labels: Sequence[int] | Sequence[str]) -> int:
    """Return the fewest steps with which CTC can spell labels: one each, and a blank between two that are equal."""
    return len(labels) + sum(a == b for a, b in pairwise(labels))


def greedy(log_probabilities: np.ndarray) -> list[int]:
    """Return what the most probable path spells; ``log_probabilities`` are (steps, labels), blank first."""
    path = log_probabilities.argmax(1)
    begins = np.flatnonzero(np.diff(path, prepend=-1))
    return [int(label) for label in path[begins] if label != BLANK]


def beam_search(log_probabilities: np.ndarray, width: int, least: float = LEAST) -> list[tuple[Prefix, float]]:
    """Return the most probable sequences that a prefix beam search finds, with their log-probabilities, best first.

    Prefixes, not paths, are kept: for each the probability of all paths that end in a blank, and of those that do not
    (Graves and Jaitly 2014, algorithm 1; Hannun et al. 2014, arXiv:1408.2873).

    Args:
        log_probabilities: (steps, labels), blank first.
        width: prefixes that are kept at each step.
        least: labels that are less probable than this are not looked at in a step.
    """
    beam: dict[Prefix, tuple[float, float]] = {(): (0.0, NEVER)}
    for row in log_probabilities:
        likely = [int(label) for label in np.flatnonzero(row >= math.log(least)) if label != BLANK] if least else None
        grown: dict[Prefix, tuple[float, float]] = {}
        for prefix, (blank, label) in beam.items():
            both = _add(blank, label)
            _extend(grown, prefix, both + row[BLANK], NEVER)
            if prefix:
                _extend(grown, prefix, NEVER, label + row[prefix[-1]])
            for new in range(1, len(row)) if likely is None else likely:
                start = blank if prefix and new == prefix[-1] else both
                if start > NEVER:
                    _extend(grown, (*prefix, new), NEVER, start + row[new])
        kept = sorted(grown, key=lambda p: -_add(*grown[p]))[:width]
        beam = {prefix: grown[prefix] for prefix in kept}
    return [(prefix, _add(*ends)) for prefix, ends in beam.items()]


def _extend(grown: dict[Prefix, tuple[float, float]], prefix: Prefix, blank: float, label: float) -> None:
    had = grown.get(prefix, (NEVER, NEVER))
    grown[prefix] = (_add(had[0], blank), _add(had[1], label))


def _add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    low, high = (a, b) if a < b else (b, a)
    return high if low == NEVER else high + math.log1p(math.exp(low - high))


def nats(log_probabilities: Tensor, steps: Tensor, labels: Tensor) -> Tensor:
    """Return -log p (batch,) of label sequences, summed over all paths; infinite where there are too few steps.

    Args:
        log_probabilities: (batch, steps, labels), blank first.
        steps: (batch,), that belong to each sequence.
        labels: (batch, longest), -1 after the end.
    """
    counts = (labels >= 0).sum(1)
    return nn.functional.ctc_loss(
        log_probabilities.transpose(0, 1), labels.clamp(min=0), steps, counts, BLANK, reduction="none"
    )


def most_likely(log_probabilities: np.ndarray, candidates: Sequence[Sequence[int]]) -> int:
    """Return which of some label sequences is the most probable one, by number."""
    labels = nn.utils.rnn.pad_sequence([torch.tensor(c) for c in candidates], batch_first=True, padding_value=-1)
    given = torch.from_numpy(log_probabilities).expand(len(candidates), -1, -1)
    return int(nats(given, torch.full((len(candidates),), given.shape[1]), labels).argmin())
