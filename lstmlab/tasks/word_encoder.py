"""What a model knows of a word: its vector, its letters as a recurrence reads them, and how it is written."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lstmlab.engine import RNN
from lstmlab.tasks.vocabulary import PADDING

SHAPES = ("lower", "Title", "UPPER", "miXed", "d1git", "other")  # how a word is written
TOGETHER = 12  # words that a row of characters holds


def shape_of(word: str) -> int:
    """Return how a word is written, as a number of `SHAPES`.

    >>> [SHAPES[shape_of(word)] for word in ("rain", "Rome", "NASA", "iPhone", "F16", "...")]
    ['lower', 'Title', 'UPPER', 'miXed', 'd1git', 'other']
    """
    if any(c.isdigit() for c in word):
        return 4
    if not any(c.isalpha() for c in word):
        return 5
    if word == word.lower():
        return 0
    if word[:1].isupper() and word[1:] == word[1:].lower():
        return 1
    return 2 if word == word.upper() else 3


class CharacterEncoder(nn.Module):
    """Read each word's characters in both directions; the two last outputs are what is known of it.

    Lample et al. (2016), https://arxiv.org/abs/1603.01360, section 4.1. Words are read one after the other, several to
    a row, and the recurrence starts anew at each: so next to nothing is computed on padding.
    """

    def __init__(self, rnn: RNN, characters: int, size: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, rnn.input_size)
        self.rnn = rnn
        self.projection = nn.Linear(2 * rnn.output_size, size)

    def forward(self, words: Tensor) -> Tensor:
        """Map words (n, longest), numbers of characters and `PADDING` after them, to (n, size)."""
        rows, resets, place, lengths = _laid_out(words)
        output, _ = self.rnn(self.characters(rows), None, lengths, resets)
        row, begin, end = place
        half = self.rnn.output_size
        return self.projection(torch.cat([output[row, end, :half], output[row, begin, half:]], 1))


def _laid_out(words: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor], Tensor]:
    """Return words one after the other in rows of nearly equal length.

    They are dealt out in rounds, longest first; in each round the longest goes to the row that is shortest so far.

    Returns:
        The characters (rows, time); where words begin (rows, time); row, first and last step of each word; and the
        length of each row.
    """
    sizes = (words != PADDING).sum(1)
    row, begin = torch.empty_like(sizes), torch.empty_like(sizes)
    lengths = sizes.new_zeros(-(-len(words) // TOGETHER))
    for dealt in sizes.argsort(descending=True, stable=True).split(len(lengths)):
        row[dealt] = lengths.argsort(stable=True)[: len(dealt)]
        begin[dealt] = lengths[row[dealt]]
        lengths[row[dealt]] += sizes[dealt]
    rows = words.new_zeros(len(lengths), int(lengths.max()))
    word, step = (words != PADDING).nonzero(as_tuple=True)
    rows[row[word], begin[word] + step] = words[word, step]
    resets = torch.zeros_like(rows, dtype=torch.bool)
    resets[row, begin] = True
    return rows, resets, (row, begin, begin + sizes - 1), lengths


class WordEncoder(nn.Module):
    """Vector, characters and shape of words, side by side.

    Inputs are (..., 2 + longest) whole numbers: the word, its shape, and its characters with `PADDING` after them. Only
    the different words of a batch are read letter by letter.

    Args:
        words: gives the vector of a word's number.
        characters: reads letters.
        shapes: size of the vector of a shape.
    """

    def __init__(self, words: nn.Module, characters: CharacterEncoder, shapes: int) -> None:
        super().__init__()
        self.words, self.characters = words, characters
        self.shapes = nn.Embedding(len(SHAPES), shapes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (n, 2 + longest) to (n, features)."""
        different, which = torch.unique(inputs[:, 2:], dim=0, return_inverse=True)
        spelt = self.characters(different)[which]
        return torch.cat([self.words(inputs[:, 0]), spelt, self.shapes(inputs[:, 1])], 1)
