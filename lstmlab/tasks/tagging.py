"""Naming each word of a sentence: parts of speech, chunks, names."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.engine import RNN
from lstmlab.schema import option
from lstmlab.tasks import crf
from lstmlab.tasks.bucketing import by_length, pad, within
from lstmlab.tasks.embeddings import Vectors, Words, WordsConfig, learn_words
from lstmlab.tasks.task import Batch, MakeRNN, Task
from lstmlab.tasks.vocabulary import UNKNOWN, Vocabulary
from lstmlab.tasks.word_encoder import CharacterEncoder, WordEncoder, shape_of

Sentence = tuple[list[str], list[str]]  # words, and the tag of each

ROWS = 64  # sentences that are tagged side by side
RARE = 3  # times that a character must occur in train words to be known


@dataclass(kw_only=True)
class TaggingConfig(WordsConfig):
    """Keys of a task that tags words."""

    character_size: int = option(25, low=1)  # numbers of a character's vector
    spelling_size: int = option(50, low=1)  # numbers that the characters of a word come to
    shape_size: int = option(6, low=1)  # numbers of the vector of how a word is written: lower, Title, UPPER, ...
    characters: int = option(24, low=2)  # of a word that are read; of longer ones the first and the last half
    dropout: float = option(0.5, low=0, below=1)  # of what the recurrence reads and of what it answers
    unknown: float = option(0.25, low=0)  # a: in training, a word that occurs n times is unknown in a / (a + n) of them


class Tagger(nn.Module):
    """Words as vectors and as letters, a recurrence in both directions, and a conditional random field.

    Lample et al. (2016), https://arxiv.org/abs/1603.01360; Ma and Hovy (2016), https://arxiv.org/abs/1603.01354.
    """

    def __init__(self, encoder: WordEncoder, rnn: RNN, transitions: crf.Transitions, dropout: float) -> None:
        super().__init__()
        self.encoder, self.rnn, self.transitions = encoder, rnn, transitions
        self.head = nn.Linear(2 * rnn.output_size, len(transitions.first))
        self.dropout = nn.Dropout(dropout)

    def embedding(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (batch, time, 2 + characters) to what the recurrence reads (batch, time, features), zero in padding."""
        if lengths is None:
            return self.encoder(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
        real = within(lengths, inputs.shape[1])
        known = self.encoder(inputs[real])
        return known.new_zeros(*real.shape, known.shape[-1]).masked_scatter(real[:, :, None], known)

    def forward(self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """Map (batch, time, 2 + characters) to the potentials (batch, time, tags, tags) of `lstmlab.tasks.crf`."""
        output, state = self.rnn(self.dropout(self.embedding(inputs, lengths)), state, lengths)
        return self.transitions(self.head(self.dropout(output)), lengths), state


class Tagging(Task):
    """Tag each word of a sentence, the tags of a sentence together.

    A word is read as a vector, case folded, as its characters, and by how it is written. Words that are rare in
    training are taken for unknown at times, the rarer the more often (Kiperwasser and Goldberg 2016,
    arXiv:1603.04351), so that letters and context must do.
    """

    Config = TaggingConfig
    config: TaggingConfig
    vectors: Vectors | None = None  # pretrained ones, where `fitted` is learnt here

    @cached_property
    def splits(self) -> dict[str, list[Sentence]]:
        """The sentences of each split."""
        splits: dict[str, list[Sentence]] = self.dataset.load()
        return splits

    @abstractmethod
    def tag_names(self, sentences: Sequence[Sentence]) -> list[str]:
        """Return the tags that a model trained on ``sentences`` can answer; the first is for what is not in there."""

    def may_follow(self, tag: str, before: str | None) -> bool:
        """Return whether ``tag`` may come after ``before``, or begin a sentence (None)."""
        return True

    @cached_property
    def fitted(self) -> dict[str, Any]:
        """``words`` (see `Words`), ``characters`` and ``tags`` of the train split."""
        sentences = self.splits["train"]
        words, self.vectors = learn_words(([w.lower() for w in tokens] for tokens, _ in sentences), self.config)
        characters = Vocabulary.of((w for tokens, _ in sentences for w in tokens), fewest=RARE)
        return {"words": words, "characters": characters.symbols, "tags": self.tag_names(sentences)}

    @property
    def tags(self) -> list[str]:
        """Tags in the order of their numbers."""
        tags: list[str] = self.fitted["tags"]
        return tags

    def model(self, make_rnn: MakeRNN) -> nn.Module:
        """Return a tagger whose two recurrences, over letters and over words, are of the cell in question."""
        c, words = self.config, Words(self.fitted["words"])
        letters = make_rnn(c.character_size, bidirectional=True)
        spelling = CharacterEncoder(letters, len(self.fitted["characters"]), c.spelling_size)
        encoder = WordEncoder(words.embedding(self.vectors), spelling, c.shape_size)
        rnn = make_rnn(words.size + c.spelling_size + c.shape_size, bidirectional=True)
        allowed = torch.tensor([[self.may_follow(tag, before) for tag in self.tags] for before in self.tags])
        first = torch.tensor([self.may_follow(tag, None) for tag in self.tags])
        return Tagger(encoder, rnn, crf.Transitions(allowed, first), c.dropout)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.fitted, self.config.characters)

    @cached_property
    def _encoded(self) -> dict[str, list[np.ndarray]]:
        return {split: [self._encoder(tokens) for tokens, _ in found] for split, found in self.splits.items()}

    @cached_property
    def _targets(self) -> dict[str, list[np.ndarray]]:
        return {split: [self.numbers(tags) for _, tags in found] for split, found in self.splits.items()}

    def numbers(self, tags: Sequence[str]) -> np.ndarray:
        """Return the numbers (n,), int64, of tags; that of the first where the train split lacks one."""
        number = {tag: i for i, tag in enumerate(self.tags)}
        return np.array([number.get(tag, 0) for tag in tags], dtype=np.int64)

    @cached_property
    def _unknown(self) -> np.ndarray:
        """How often each number of a word is taken for unknown in training."""
        counts = Counter(number for rows in self._encoded["train"] for number in rows[:, 0].tolist())
        seen = np.array([counts[i] for i in range(len(Words(self.fitted["words"])))])
        return self.config.unknown / np.maximum(self.config.unknown + seen, 1e-9)

    def batches(self, split: str, batch_size: int, random: np.random.Generator | None = None) -> Iterator[Batch]:
        """Yield each sentence once, beside others of its length; ``random`` decides order and unknown words."""
        rows, targets = self._encoded[split], self._targets[split]
        for chosen in by_length([len(r) for r in rows], batch_size, random):
            inputs, lengths = pad([rows[i] for i in chosen])
            if random is not None:
                words = inputs[:, :, 0].numpy()
                dropped = random.random(words.shape) < self._unknown[words]
                inputs[:, :, 0] = torch.from_numpy(np.where(dropped & (words > UNKNOWN), UNKNOWN, words))
            yield Batch(inputs, pad([targets[i] for i in chosen], -1)[0], lengths)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Return the negative log-likelihood of the sentences' tags, divided by the number of words."""
        assert batch.lengths is not None
        weight = crf.log_weight(output, batch.targets, batch.lengths)
        return (crf.log_partition(output, batch.lengths) - weight).sum() / batch.lengths.sum()

    def weight(self, batch: Batch) -> float:
        """Return the number of words."""
        assert batch.lengths is not None
        return float(batch.lengths.sum())

    def notes(self) -> list[str]:
        """Say which words are unknown, which are read in part, and how many have pretrained vectors."""
        known, longest = Words(self.fitted["words"]), self.config.characters
        tested = [w for tokens, _ in self.splits["test"] for w in tokens]
        unknown = sum(w.lower() not in known for w in tested)
        notes = [f"Of {len(tested):,} test words {unknown:,} are unknown to the model but for their letters."]
        if self.config.vectors:
            found, trained = self.fitted["words"]["found"], {w.lower() for t, _ in self.splits["train"] for w in t}
            notes.append(f"Of {len(trained):,} different train words {found:,} have a pretrained vector.")
        cut = {w for found in self.splits.values() for tokens, _ in found for w in tokens if len(w) > longest}
        if cut:
            notes.append(f"Of {len(cut):,} different words of more than {longest} letters the middle is not read.")
        return notes

    @torch.no_grad()
    def answers(self, model: nn.Module, sentences: Sequence[list[str]]) -> list[tuple[list[str], list[float]]]:
        """Return the tags of sentences of words, and how probable each is given the whole sentence."""
        rows = [self._encoder(tokens) for tokens in sentences]
        found: dict[int, tuple[list[str], list[float]]] = {}
        for chosen in by_length([len(r) for r in rows], ROWS):
            inputs, lengths = pad([rows[i] for i in chosen])
            potentials, _ = model(inputs, None, lengths)
            best, likely = crf.viterbi(potentials, lengths), crf.marginals(potentials, lengths)
            sure = likely.gather(2, best.clamp(min=0)[:, :, None])[:, :, 0]
            for at, i in enumerate(chosen):
                numbers = best[at, : len(rows[i])].tolist()
                found[i] = [self.tags[n] for n in numbers], sure[at, : len(rows[i])].tolist()
        return [found[i] for i in range(len(rows))]

    def tagged(self, model: nn.Module, split: str) -> list[list[str]]:
        """Return the tags that a model gives the sentences of a split."""
        return [tags for tags, _ in self.answers(model, [tokens for tokens, _ in self.splits[split]])]


class Encoder:
    """Words as whole numbers: the word's, that of its shape, and those of its characters.

    Args:
        fitted: what the task has learnt.
        longest: characters of a word that are read.
    """

    def __init__(self, fitted: dict[str, Any], longest: int) -> None:
        self.words, self.characters = Words(fitted["words"]), Vocabulary(fitted["characters"])
        self.longest = longest
        self._known: dict[str, np.ndarray] = {}

    def __call__(self, tokens: Sequence[str]) -> np.ndarray:
        """Return (n, 2 + longest) of n words, 0 after the characters of each."""
        return np.stack([self._word(token) for token in tokens])

    def _word(self, word: str) -> np.ndarray:
        if word not in self._known:
            row = np.zeros(2 + self.longest, dtype=np.int64)
            row[0], row[1] = self.words.encode([word.lower()])[0], shape_of(word)
            read = word if len(word) <= self.longest else word[: -(-self.longest // 2)] + word[-(self.longest // 2) :]
            row[2 : 2 + len(read)] = self.characters.encode(read)
            self._known[word] = row
        return self._known[word]
