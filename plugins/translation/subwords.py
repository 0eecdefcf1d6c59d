"""Subwords by byte pair encoding: every text can be written with them and read back exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lstmlab.errors import LstmlabError
from lstmlab.tasks.encoder_decoder import FIRST
from lstmlab.tasks.transduction import ended

BYTES = 256  # symbols that every vocabulary has: with them nothing is unknown


class Subwords:
    """Numbers for pieces of words; made of the tokenizer's JSON, which is what a run stores.

    Byte pair encoding (Sennrich, Haddow and Birch 2016, https://arxiv.org/abs/1508.07909) on bytes. The special symbols
    are not the tokenizer's, so a text that holds "<s>" is a text like any other.
    """

    def __init__(self, text: str) -> None:
        self._tokenizer = _library().Tokenizer.from_str(text)

    @classmethod
    def of(cls, lines: Iterable[str], vocabulary: int, lowercase: bool = False) -> Subwords:
        """Learn at most ``vocabulary`` pieces from the lines of the train split."""
        library = _library()
        tokenizer = library.Tokenizer(library.models.BPE())
        forms = [library.normalizers.NFC(), *([library.normalizers.Lowercase()] if lowercase else [])]
        tokenizer.normalizer = library.normalizers.Sequence(forms)
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(
            vocab_size=vocabulary, min_frequency=2, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(lines, trainer)
        return cls(tokenizer.to_str())

    @property
    def text(self) -> str:
        """The tokenizer as JSON."""
        return str(self._tokenizer.to_str())

    def __len__(self) -> int:
        """Return the number of pieces, the special symbols included."""
        return int(self._tokenizer.get_vocab_size()) + FIRST

    def encode(self, lines: Sequence[str]) -> list[np.ndarray]:
        """Return the numbers of each line's pieces, with the end after them."""
        return [ended([i + FIRST for i in found.ids]) for found in self._tokenizer.encode_batch_fast(list(lines))]

    def decode(self, symbols: Sequence[int]) -> str:
        """Return the text of numbers; special ones are left out, and bytes that are no UTF-8 become U+FFFD."""
        text: str = self._tokenizer.decode([int(s) - FIRST for s in symbols if s >= FIRST], skip_special_tokens=False)
        return text.removeprefix(" ")

    def shown(self, symbol: int) -> str:
        """Return a piece as figures show it: "_" for the space before it, names for the special ones."""
        if symbol < FIRST:
            return ("<pad>", "<unk>", "<start>", "<end>")[symbol]
        piece = str(self._tokenizer.decode([symbol - FIRST], skip_special_tokens=False)).replace(" ", "_")
        # Figures take what stands between dollars for mathematics, and fonts lack control characters.
        return piece.replace("$", r"\$") if piece.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _library() -> Any:
    try:
        import tokenizers
        from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers  # noqa: F401  become attributes
    except ImportError:
        raise LstmlabError(
            "tokenizers is missing, which cuts words into pieces: pip install 'lstmlab[translation]'"
        ) from None
    return tokenizers
