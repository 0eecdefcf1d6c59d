"""What translates without a network, fitted on train pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lstmlab.tasks.encoder_decoder import END
from lstmlab.tasks.vocabulary import PADDING

AT_MOST = 50_000  # train pairs that model 1 is fitted on
ROUNDS = 6  # of expectation maximisation
Symbols = Sequence[int] | np.ndarray


class Nearest:
    """The translation of the train source that is most alike: cosine of TF-IDF over words and pairs of words."""

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectors = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
        self._known = self._vectors.fit_transform(sources).T.tocsc()
        self._targets = list(targets)

    def answers(self, sources: Sequence[str]) -> list[str]:
        """Return a translation for each source; the first of equally near ones."""
        found = []
        for at in range(0, len(sources), 500):  # a product of all at once would be large
            alike = (self._vectors.transform(sources[at : at + 500]) @ self._known).toarray()
            found += [self._targets[i] for i in alike.argmax(1)]
        return found


class WordByWord:
    """Each source symbol by the target symbol that it most probably causes, in the order of the source.

    Probabilities are those of IBM's model 1 (Brown et al. 1993, https://aclanthology.org/J93-2003) by expectation
    maximisation, with an empty word that takes what nothing causes.
    """

    def __init__(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]], symbols: int) -> None:
        cause, effect, place = _links(pairs[:AT_MOST])
        keys, link = np.unique(cause * symbols + effect, return_inverse=True)
        causes, effects = keys // symbols, keys % symbols
        chance = np.ones(len(keys))
        for _ in range(ROUNDS):
            share = chance[link]
            share /= np.bincount(place, share)[place]
            counts = np.bincount(link, share, len(keys))
            chance = counts / np.bincount(causes, counts, symbols)[causes]
        order = np.lexsort((-effects, chance))  # the last of each cause is the most probable; equal ones: the smallest
        self.best: dict[int, int] = dict(zip(causes[order].tolist(), effects[order].tolist(), strict=True))

    def answers(self, sources: Sequence[np.ndarray]) -> list[list[int]]:
        """Return the symbols for each source; one that train lacks stands for itself."""
        return [[self.best.get(s, s) for s in source[:-1].tolist()] for source in sources]


class AnswerAsModel:
    """Probabilities of a reference, given an answer: what makes the cross-entropy of an answer that has none.

    Each symbol is drawn from those of the answer, or as often as in train targets (Jelinek and Mercer's mixture, as
    in Zhai and Lafferty 2004, https://doi.org/10.1145/984321.984322); the weight is fitted on validation pairs.
    """

    def __init__(self, targets: Sequence[np.ndarray], symbols: int) -> None:
        counts = np.bincount(np.concatenate(targets), minlength=symbols) + 0.5
        self.usual = counts / counts.sum()
        self.weight = 0.0

    def fit(self, answers: Sequence[Symbols], targets: Sequence[np.ndarray]) -> AnswerAsModel:
        """Choose the answer's weight by expectation maximisation."""
        given, usual = self._parts(answers, targets)
        self.weight = 0.5
        for _ in range(20):
            own = self.weight * given
            self.weight = float((own / (own + (1 - self.weight) * usual)).mean())
        return self

    def cross_entropy(self, answers: Sequence[Symbols], targets: Sequence[np.ndarray]) -> float:
        """Return the mean over all symbols of the targets, in nats."""
        given, usual = self._parts(answers, targets)
        return float(-np.log(self.weight * given + (1 - self.weight) * usual).mean())

    def _parts(self, answers: Sequence[Symbols], targets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        given = []
        for answer, target in zip(answers, targets, strict=True):
            counts = Counter([*(int(s) for s in answer), END])
            given.append([counts[s] / (len(answer) + 1) for s in target.tolist()])
        return np.concatenate(given), self.usual[np.concatenate(targets)]


def most_frequent(targets: Sequence[str]) -> str:
    """Return the target that occurs most often, the first of equally frequent ones."""
    return Counter(targets).most_common(1)[0][0]


def _links(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for every link of a source and a target symbol of a pair: both, and the number of the target's place."""
    cause, effect, place, places = [], [], [], 0
    for source, target in pairs:
        causes, effects = np.concatenate([[PADDING], source[:-1]]), target[:-1]  # padding stands for the empty word
        cause.append(np.tile(causes, len(effects)))
        effect.append(np.repeat(effects, len(causes)))
        place.append(np.repeat(np.arange(places, places + len(effects)), len(causes)))
        places += len(effects)
    return np.concatenate(cause), np.concatenate(effect), np.concatenate(place)
