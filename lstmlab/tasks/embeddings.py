"""Words as numbers and as vectors, learnt from the train split or taken from a file of pretrained vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.data.word_vectors import read_vectors
from lstmlab.errors import LstmlabError
from lstmlab.schema import TaskConfig, option
from lstmlab.tasks.vocabulary import PADDING, UNKNOWN, Vocabulary

Vectors = dict[str, np.ndarray]


@dataclass(kw_only=True)
class WordsConfig(TaskConfig):
    """Keys of a task that reads words."""

    embedding_size: int = option(low=1)  # numbers of a word's vector; a file of vectors brings its own
    fewest: int = option(1, low=1)  # times that a word must occur in train texts to be known
    vectors: str | None = option(None, file=True)  # pretrained vectors in the text format of GloVe or fastText
    freeze_vectors: bool = option(False)  # leave the vectors of that file as they are
    vector_words: int = option(20_000, low=0)  # first words of that file that are known beside those of train texts


def learn_words(sentences: Iterable[Iterable[str]], config: WordsConfig) -> tuple[dict[str, Any], Vectors]:
    """Return the words of the train split for `fitted` (JSON-safe, see `Words`), and their pretrained vectors.

    With a file of vectors, its ``vector_words`` first words are known too, though no text of the train split has
    them: their vectors stay as they are, since nothing could move them. With ``freeze_vectors`` the same holds
    for all words that the file has. ``found`` counts the train words in it. Without a file there are no vectors.

    Raises:
        LstmlabError: when the file has none of the train words, or is damaged, with the line.
    """
    known = Vocabulary.of(sentences, config.fewest).symbols
    if config.vectors is None:
        return {"trained": known, "fixed": [], "size": config.embedding_size, "found": 0}, {}
    path = Path(config.vectors).expanduser()
    found = read_vectors(path, {*known, *(word.lower() for word in known)}, config.vector_words)
    own = {word: found[form] for word in known[2:] if (form := word if word in found else word.lower()) in found}
    if not own:
        raise LstmlabError(
            f"task.vectors={path} has none of the {len(known) - 2:,} words of the train texts, as in {known[2:5]}; "
            "expected vectors of words of the same language and script"
        )
    train = set(known)
    beyond = [word for word in found if word not in train]
    frozen = [word for word in known if word in own] if config.freeze_vectors else []
    trained = [word for word in known if word not in own] if config.freeze_vectors else known
    vectors = own | {word: found[word] for word in beyond}
    size = len(next(iter(vectors.values())))
    return {"trained": trained, "fixed": [*frozen, *beyond], "size": size, "found": len(own)}, vectors


class Words:
    """Numbers of words: padding, the unknown word, those whose vectors are trained, those whose vectors are fixed.

    Args:
        stored: what `learn_words` returned.
    """

    def __init__(self, stored: dict[str, Any]) -> None:
        self.trained, self.fixed, self.size = len(stored["trained"]), len(stored["fixed"]), int(stored["size"])
        self._vocabulary = Vocabulary([*stored["trained"], *stored["fixed"]])

    def __len__(self) -> int:
        return len(self._vocabulary)

    def __contains__(self, word: str) -> bool:
        return word in self._vocabulary or word.lower() in self._vocabulary

    def encode(self, words: Iterable[str]) -> np.ndarray:
        """Return the numbers (n,), int64; a word that is not known as it is written counts as in lower case."""
        return self._vocabulary.encode(w if w in self._vocabulary else w.lower() for w in words)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the words of numbers."""
        return self._vocabulary.decode(numbers)

    def embedding(self, vectors: Vectors | None = None) -> WordEmbedding:
        """Return an untrained layer that begins with ``vectors`` where there are some.

        A finished run has them among its weights, so that it needs none.
        """
        layer = WordEmbedding(self.trained, self.fixed, self.size)
        if vectors and not layer.trained.weight.is_meta:
            rows = {number: vectors[w] for number, w in enumerate(self._vocabulary.symbols) if w in vectors}
            layer.begin(rows)
        return layer


class WordEmbedding(nn.Module):
    """Vectors (..., size) of numbers (...): a trained table, and a fixed one for the numbers beyond it.

    Padding is zero. Trained vectors begin normal, with the spread of the pretrained ones where there are some and
    size^(-1/2) otherwise.
    """

    fixed: Tensor | None

    def __init__(self, trained: int, fixed: int, size: int) -> None:
        super().__init__()
        self.trained = nn.Embedding(trained, size, padding_idx=PADDING)
        nn.init.normal_(self.trained.weight, std=size**-0.5)
        with torch.no_grad():
            self.trained.weight[PADDING] = 0
        self.register_buffer("fixed", torch.zeros(1 + fixed, size) if fixed else None)  # its first row: not fixed

    @torch.no_grad()
    def begin(self, rows: dict[int, np.ndarray]) -> None:
        """Put vectors (size,) in place of those of numbers; the other trained ones get their spread."""
        spread = float(np.std(np.stack(list(rows.values()))))
        self.trained.weight *= spread * self.trained.embedding_dim**0.5
        for number, vector in rows.items():
            beyond = number - self.trained.num_embeddings
            if beyond < 0:
                self.trained.weight[number] = torch.from_numpy(vector)
            elif self.fixed is not None:
                self.fixed[1 + beyond] = torch.from_numpy(vector)

    def forward(self, numbers: Tensor) -> Tensor:
        """Map (...) integers to (..., size)."""
        if self.fixed is None:
            return self.trained(numbers)
        beyond = numbers - (self.trained.num_embeddings - 1)
        known = self.trained(torch.where(beyond > 0, PADDING, numbers))
        return known + nn.functional.embedding(beyond.clamp(min=0), self.fixed)


def drop_words(numbers: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Return numbers of words with this share of them unknown, drawn anew: so that a model learns what to do then."""
    return np.where(random.random(numbers.shape) < share, UNKNOWN, numbers)
