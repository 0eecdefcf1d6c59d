"""Texts as tokens: words of any script, fields between spaces, or characters."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

TOKENIZERS = ("words", "whitespace", "characters")
SCRIPTS = 0x20000  # all letters and their marks stand below


def tokenize(text: str, tokenizer: str = "words", lower: bool = False) -> list[str]:
    """Return the tokens of a text, at least one unless it is blank.

    Args:
        text: any; what Unicode can write in two ways (as é) is made equal first (NFC), and so are
            typographic and plain apostrophes.
        tokenizer: "words" keeps letters, digits and their marks together, with hyphens and apostrophes inside, and
            splits off English contractions as the Penn Treebank does ("wo n't", "it 's"), so that texts which are
            tokenised that way already stay as they are; what is neither letter nor space is a token of its own, up
            to three equal ones together. "whitespace" splits at spaces only. "characters" takes each character,
            whatever spaces stand together being one; scripts without spaces between words, as Chinese, need it.
        lower: in lower case.
    """
    text = unicodedata.normalize("NFC", text.lower() if lower else text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if tokenizer == "words":
        return [match.group() for match in _words().finditer(text)]
    fields = text.split()
    return fields if tokenizer == "whitespace" else list(" ".join(fields))


@cache
def _words() -> re.Pattern[str]:
    marks = re.escape("".join(c for c in map(chr, range(SCRIPTS)) if unicodedata.category(c)[0] == "M"))
    letters, short = rf"[\w{marks}]+", r"'(?:s|m|d|ll|re|ve)\b"
    inside = rf"(?:-{letters}|(?!{short})'{letters}|(?<=\d)[.,]\d+)*"
    return re.compile(
        rf"{letters}(?=n't\b)|n't\b|{short}|{letters}{inside}|(?P<sign>\S)(?P=sign){{0,2}}", re.IGNORECASE
    )
