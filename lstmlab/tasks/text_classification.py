"""Reading a text and naming its class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.errors import LstmlabError, nearest
from lstmlab.schema import option
from lstmlab.tasks.bucketing import by_length, pad
from lstmlab.tasks.classification import TOGETHER, Classification
from lstmlab.tasks.embeddings import Vectors, Words, WordsConfig, drop_words, learn_words
from lstmlab.tasks.pooling import POOLINGS, TextClassifier
from lstmlab.tasks.task import SPLITS, Batch, MakeRNN, Metric
from lstmlab.tasks.tokens import TOKENIZERS, tokenize
from lstmlab.tasks.vocabulary import PADDING, UNKNOWN

Texts = tuple[list[str], list[str]]  # texts, and the class of each
LINEAR = "TF-IDF (1-2-grams) + logistic regression"


@dataclass(kw_only=True)
class TextConfig(WordsConfig):
    """Keys of a task that names the class of a text."""

    tokenizer: str = option("words", choices=TOKENIZERS)
    lower: bool = option(True)  # texts are read in lower case
    longest: int = option(400, low=1)  # tokens of a text that are read
    pooling: str = option("attentive", choices=POOLINGS)
    dropout: float = option(0.0, low=0, below=1)  # of vectors of words, and of what is pooled
    word_dropout: float = option(0.0, low=0, below=1)  # share of the words of train texts that are made unknown
    class_weights: str = option("none", choices=("none", "balanced"))  # balanced: each class counts the same


class TextClassification(Classification):
    """Name the class of texts with a bidirectional recurrence over their words.

    A dataset's ``load()`` gives, for each split, a list of texts and a list of their classes. It may give its
    classes an order, as ``order``; without one they are sorted.

    Attributes:
        vectors: pretrained ones of the words, where `fitted` is learnt here; a finished run has them in its weights.
    """

    Config = TextConfig
    config: TextConfig
    metrics = (
        Metric("accuracy", "%", better="higher"),
        Metric("macro-F1", "%", better="higher"),
        Metric("cross-entropy", "nats"),
    )
    vectors: Vectors | None = None

    @cached_property
    def splits(self) -> dict[str, Texts]:
        """Texts and their classes."""
        found: dict[str, Texts] = self.dataset.load()
        return found

    @cached_property
    def tokens(self) -> dict[str, list[list[str]]]:
        """The tokens of each text, all of them."""
        return {split: [self.tokenize(text) for text in texts] for split, (texts, _) in self.splits.items()}

    def tokenize(self, text: str) -> list[str]:
        """Return all tokens of a text."""
        return tokenize(text, self.config.tokenizer, self.config.lower)

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``classes`` with their ``counts`` in train, and the ``words`` that are known."""
        counts = Counter(self.splits["train"][1])
        order = [c for c in getattr(self.dataset, "order", ()) if c in counts]
        classes = order or sorted(counts, key=_natural)
        words, self.vectors = learn_words((t[: self.config.longest] for t in self.tokens["train"]), self.config)
        return {"classes": classes, "counts": [counts[c] for c in classes], "words": words}

    @property
    def classes(self) -> Sequence[str]:  # type: ignore[override]
        """The classes that train texts have."""
        return list(self.fitted["classes"])

    @cached_property
    def words(self) -> Words:
        """The words that are known."""
        return Words(self.fitted["words"])

    def labels(self, split: str) -> np.ndarray:
        """Return the class numbers of the texts of a split.

        Raises:
            LstmlabError: for a class that no train text has.
        """
        numbers = {name: number for number, name in enumerate(self.classes)}
        names = self.splits[split][1]
        if unseen := sorted({*names} - {*numbers}):
            raise LstmlabError(
                f"{split}: {names.count(unseen[0])} text(s) of the class {unseen[0]!r}, which no train text has."
                f"{nearest(unseen[0], numbers)} Classes of train texts: {', '.join(numbers)}."
            )
        return np.array([numbers[name] for name in names])

    def encode(self, tokens: list[str]) -> np.ndarray:
        """Return the numbers of those tokens of a text that are read."""
        return self.words.encode(tokens[: self.config.longest])

    @cached_property
    def encoded(self) -> dict[str, tuple[list[np.ndarray], np.ndarray]]:
        """Numbers of words, and class numbers, of each split."""
        return {s: ([self.encode(t) for t in texts], self.labels(s)) for s, texts in self.tokens.items()}

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a bidirectional recurrence over words, pooled, with a linear head."""
        embedding = self.words.embedding(self.vectors)
        rnn = make_rnn(self.words.size, bidirectional=True)
        return TextClassifier(embedding, rnn, self.config.pooling, len(self.classes), self.config.dropout)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield each text once, beside others of similar length; ``random`` also drops words."""
        sequences, labels = self.encoded[split]
        for rows in by_length([len(s) for s in sequences], batch_size, random):
            inputs = [sequences[i] for i in rows]
            if random is not None and self.config.word_dropout:
                inputs = [drop_words(s, self.config.word_dropout, random) for s in inputs]
            numbers, lengths = pad(inputs, PADDING)
            yield Batch(numbers, torch.from_numpy(labels[rows]), lengths)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy in nats; with balanced weights, each class has the same part in it."""
        return nn.functional.cross_entropy(output, batch.targets, self._class_weights(output))

    def weight(self, batch: Batch) -> float:
        """Return the number of texts, or with balanced weights their sum."""
        weights = self._class_weights(batch.targets.new_empty(0, dtype=torch.float64))
        return float(len(batch.inputs) if weights is None else weights[batch.targets].sum())

    def _class_weights(self, like: Tensor) -> Tensor | None:
        """Return the weight of each class, None where all are one."""
        if self.config.class_weights != "balanced":
            return None
        counts = like.new_tensor(self.fitted["counts"])
        return counts.sum() / (len(counts) * counts)

    @torch.no_grad()
    def probabilities(self, model: nn.Module, texts: Sequence[list[str]]) -> np.ndarray:
        """Return how probable each class is (n, classes) for tokens of texts, in their order."""
        sequences = [self.encode(tokens) for tokens in texts]
        found = np.zeros((len(texts), len(self.classes)))
        for rows in by_length([len(s) for s in sequences], TOGETHER):
            numbers, lengths = pad([sequences[i] for i in rows], PADDING)
            found[rows] = model(numbers, None, lengths)[0].double().softmax(1).numpy()
        return found

    def score(self, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Return the metrics of class probabilities (n, classes); F1 is the mean over classes that occur."""
        answers, classes = probabilities.argmax(1), range(probabilities.shape[1])
        hits = np.array([((answers == k) & (labels == k)).sum() for k in classes])
        named = np.array([(answers == k).sum() + (labels == k).sum() for k in classes])
        f1 = 100 * float(np.mean(2 * hits[named > 0] / named[named > 0]))
        return super().score(probabilities, labels) | {"macro-F1": f1}

    @cached_property
    def linear(self) -> Any:
        """A logistic regression on TF-IDF of single tokens and pairs, fitted on train texts."""
        from lstmlab.tasks.tfidf import TfidfRegression

        train, held_out = (self.tokens[s] for s in ("train", "validation"))
        balanced = self.config.class_weights == "balanced"
        return TfidfRegression(train, self.labels("train"), held_out, self.labels("validation"), balanced)

    def baseline_answers(self, split: str) -> dict[str, np.ndarray]:
        """Return how probable each baseline finds each class (n, classes).

        The shares of the classes in train, and a linear model on words and pairs of neighbours, which knows no more
        of their order.
        """
        shares = np.array(self.fitted["counts"]) / sum(self.fitted["counts"])
        linear = self.linear.probabilities(self.tokens[split], len(self.classes))
        return {"most frequent class": np.tile(shares, (len(linear), 1)), LINEAR: linear}

    def baselines(self, split: str) -> dict[str, dict[str, float]]:
        """Score the most frequent class, and the linear model."""
        labels = self.labels(split)
        return {name: self.score(answers, labels) for name, answers in self.baseline_answers(split).items()}

    def example(self) -> Batch:
        """Return the first test text of several words."""
        sequences, labels = self.encoded["test"]
        at = next((i for i, s in enumerate(sequences) if len(s) > 1), 0)
        numbers, lengths = pad([sequences[at]], PADDING)
        return Batch(numbers, torch.from_numpy(labels[[at]]), lengths)

    def notes(self) -> list[str]:
        """Count texts, classes, words, and what is unknown or cut."""
        c, words = self.config, self.fitted["words"]
        sizes = ", ".join(f"{len(texts):,} {split}" for split, texts in self.tokens.items())
        counts = ", ".join(
            f"{name}: {count:,}" for name, count in zip(self.classes, self.fitted["counts"], strict=True)
        )
        mean = np.mean([len(s) for s in self.encoded["train"][0]])
        unknown = 100 * np.mean(np.concatenate(self.encoded["test"][0]) == UNKNOWN)
        told = [
            f"Texts: {sizes}; train texts by class: {counts}.",
            f"Tokens ({c.tokenizer}{', in lower case' if c.lower else ''}): {mean:.1f} in a train text; "
            f"{len(words['trained']) - 2:,} are learnt; {unknown:.1f} % of those of test texts are unknown.",
        ]
        cut = {s: sum(len(t) > c.longest for t in self.tokens[s]) for s in SPLITS}
        if any(cut.values()):
            counts = ", ".join(f"{count:,} {split}" for split, count in cut.items())
            told.append(f"Of longer texts ({counts}) the first {c.longest:,} tokens are read.")
        if c.vectors:
            told.append(
                f"{words['found']:,} train words have a vector of {words['size']} numbers in {Path(c.vectors).name}, "
                f"{'which stays as it is' if c.freeze_vectors else 'where training begins'}; "
                f"{len(words['fixed']):,} words are known by a fixed vector of that file."
            )
        if c.class_weights == "balanced":
            told.append("The loss weighs texts so that each class counts the same.")
        return told


def _natural(name: str) -> tuple[bool, int, str]:
    """Return what sorts whole numbers by value, before words."""
    number = name.isascii() and name.isdigit()
    return not number, int(name) if number else 0, name
