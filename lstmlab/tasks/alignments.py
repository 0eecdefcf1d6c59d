"""Sequences of labels beside what was recognised: substitutions, deletions, insertions. jiwer aligns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lstmlab.errors import LstmlabError

Labels = Sequence[str]
Step = tuple[str | None, str | None]  # of the reference and of the answer; None where one has nothing
DRAWS = 2000  # of the bootstrap


def jiwer() -> Any:
    """Return the library.

    Raises:
        LstmlabError: when it is not installed.
    """
    try:
        import jiwer as library
    except ImportError:
        raise LstmlabError("error rates need jiwer: pip install 'lstmlab[phonemes]'") from None
    return library


def align(references: Sequence[Labels], answers: Sequence[Labels]) -> list[list[Step]]:
    """Return, for each sequence, its labels beside those of the answer, with as few edits as possible."""
    if not references:
        return []
    found = jiwer().process_words([" ".join(r) for r in references], [" ".join(a) for a in answers])
    return [
        _steps(chunks, list(r), list(a)) for chunks, r, a in zip(found.alignments, references, answers, strict=True)
    ]


def _steps(chunks: Any, reference: list[str], answer: list[str]) -> list[Step]:
    steps: list[Step] = []
    for c in chunks:
        was: list[str | None] = [*reference[c.ref_start_idx : c.ref_end_idx]]
        heard: list[str | None] = [*answer[c.hyp_start_idx : c.hyp_end_idx]]
        length = max(len(was), len(heard))
        steps += zip(was + [None] * (length - len(was)), heard + [None] * (length - len(heard)), strict=True)
    return steps


def edits(alignments: Sequence[Sequence[Step]]) -> np.ndarray:
    """Return (sequences, 2): the edits of each, and the labels of its reference."""
    return np.array([[sum(a != b for a, b in s), sum(a is not None for a, _ in s)] for s in alignments])


def error_rate(counts: np.ndarray) -> float:
    """Return all edits over all labels of the references, in %: what NIST's sclite calls the error rate."""
    return 100 * float(counts[:, 0].sum() / counts[:, 1].sum())


def interval(counts: np.ndarray, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return the bootstrap interval of the error rate: sequences are drawn anew, with replacement.

    Bisani and Ney (2004), Bootstrap estimates for confidence intervals in ASR performance evaluation, ICASSP.
    """
    drawn = np.random.default_rng(seed).integers(len(counts), size=(DRAWS, len(counts)))
    sums = counts[drawn].sum(1)
    low, high = np.percentile(100 * sums[:, 0] / sums[:, 1], [50 - 50 * confidence, 50 + 50 * confidence])
    return float(low), float(high)


def confusions(alignments: Sequence[Sequence[Step]]) -> Counter[Step]:
    """Return how often which label was answered for which; None for a deletion or an insertion."""
    return Counter(step for steps in alignments for step in steps)


def distance(a: Labels, b: Labels) -> int:
    """Return the fewest edits that turn ``a`` into ``b`` (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(before + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]
