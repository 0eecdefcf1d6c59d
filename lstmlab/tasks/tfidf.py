"""What a bag of words and pairs of words says of a class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # inverse regularisation; the best on held-out texts is taken


class TfidfRegression:
    """Logistic regression on TF-IDF of single tokens and pairs of neighbours.

    Counts are dampened (1 + log n) and rows have length 1, as scikit-learn's ``TfidfVectorizer`` does with
    ``sublinear_tf``. The strength ``C`` is that of `STRENGTHS` with the highest accuracy on held-out texts, and of
    equal ones the smallest.
    """

    def __init__(
        self,
        train: Sequence[list[str]],
        labels: np.ndarray,
        held_out: Sequence[list[str]],
        held_out_labels: np.ndarray,
        balanced: bool = False,
    ) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self.features = TfidfVectorizer(analyzer=_grams, sublinear_tf=True)
        inputs, others = self.features.fit_transform(train), self.features.transform(held_out)
        weight = "balanced" if balanced else None
        fits = [LogisticRegression(C=c, class_weight=weight, max_iter=1000).fit(inputs, labels) for c in STRENGTHS]
        self.model = max(fits, key=lambda fit: fit.score(others, held_out_labels))
        self.strength = float(self.model.C)

    def probabilities(self, texts: Sequence[list[str]], classes: int) -> np.ndarray:
        """Return how probable each class is (n, classes) for the tokens of texts."""
        found = np.zeros((len(texts), classes))
        found[:, self.model.classes_] = self.model.predict_proba(self.features.transform(texts))
        return found


def _grams(tokens: list[str]) -> list[str]:
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]
