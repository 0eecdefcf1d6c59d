"""How good translations are: BLEU and chrF as sacrebleu has them, and exact matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lstmlab.errors import LstmlabError

CHARACTERS = {"zh": "zh", "ja": "char", "ko": "char", "th": "char"}  # how BLEU cuts text that has no spaces


def bleu(language: str) -> Any:
    """Return sacrebleu's BLEU for answers in a language: cased, detokenised; mteval-v13a's tokens where words are.

    Post (2018), https://arxiv.org/abs/1804.08771.
    """
    return _library().BLEU(tokenize=CHARACTERS.get(language, "13a"))


def judge(answers: Sequence[str], references: Sequence[str], language: str) -> dict[str, float]:
    """Return BLEU, chrF and the share of exact matches (%)."""
    same = sum(a == r for a, r in zip(answers, references, strict=True))
    return {
        "exact match": 100 * same / len(references),
        "BLEU": float(bleu(language).corpus_score(list(answers), [list(references)]).score),
        "chrF": float(_library().CHRF().corpus_score(list(answers), [list(references)]).score),
    }


def signature(language: str) -> str:
    """Return how BLEU was computed, in sacrebleu's words."""
    metric = bleu(language)
    metric.corpus_score(["a"], [["a"]])  # the signature says how many references there were
    return str(metric.get_signature())


def _library() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError:
        raise LstmlabError("sacrebleu is missing, which computes BLEU: pip install 'lstmlab[translation]'") from None
    return metrics
