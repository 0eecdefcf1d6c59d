"""Pronunciations of words, in the format of CMUdict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lstmlab.data.text_file import read_lines
from lstmlab.errors import nearest

from .utterances import SpeechError, arpabet

Lexicon = Mapping[str, Sequence[tuple[str, ...]]]
VARIANT = re.compile(r"\(\d+\)$")  # "zero(2)" is another way to say "zero"
PUNCTUATION = re.compile(r"[^\w'.-]+")


def read_lexicon(path: Path, phone_set: str = "arpabet") -> Lexicon:
    """Return the pronunciations of each word in lower case, the usual one first, without digits for stress.

    Raises:
        SpeechError: for a line without phones, or with symbols that are none, with its number.
    """
    found: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(read_lines(path), 1):
        word, *symbols = line.partition(" #")[0].split() or [""]
        if not word or line.startswith(";;;"):
            continue
        where = f"{path.name}, line {number}"
        if not symbols:
            raise SpeechError(f"{where}: {word!r} has no phones; expected a word and its phones, separated by spaces")
        phones = arpabet(symbols, where) if phone_set == "arpabet" else tuple(symbols)
        found.setdefault(VARIANT.sub("", word).lower(), []).append(phones)
    return found


def words_of(line: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation around them."""
    parts = [part.strip(".-") for part in PUNCTUATION.split(line.lower().replace("\u2019", "'"))]
    return [part.strip("'") if part[-1] == "'" else part for part in parts if part.strip("'")]


def spell(words: Sequence[str], lexicon: Lexicon, where: str) -> tuple[str, ...]:
    """Return the phones of words, each said in the usual way.

    Raises:
        SpeechError: for a word that the lexicon has not.
    """
    for word in words:
        if word not in lexicon:
            raise SpeechError(
                f"{where}: the word {word!r} is not in the lexicon.{nearest(word, lexicon)} "
                "Add a line with its phones to the file that task.lexicon names, or correct the transcript"
            )
    return tuple(phone for word in words for phone in lexicon[word][0])
