"""Phone strings that are to be synthesised, as a file of lines or as text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from lstmlab.data.text_file import read_lines
from lstmlab.errors import nearest

from .phones import SILENCE, SILENT
from .utterances import CorpusError, Utterance

LONGEST = 60.0  # seconds of an utterance
EXPECTED = "NAME<TAB>PHONES or NAME<TAB>PHONES<TAB>VOICE, as in: hello<TAB>HH AH0 L:60 OW1:140 (60 and 140 ms)"


def read_strings(path: Path, seconds: Mapping[str, float], voices: Collection[str]) -> list[Utterance]:
    """Return the utterances of a file with a line ``NAME<TAB>PHONES`` or ``NAME<TAB>PHONES<TAB>VOICE`` each.

    Empty lines and lines that begin with ``#`` say nothing.

    Raises:
        CorpusError: with the line, when it has another form, a name stands twice, or a phone is not known.
    """
    found: dict[str, Utterance] = {}
    for at, line in enumerate(read_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        where, fields = f"{path.name}, line {at}", line.split("\t")
        if len(fields) not in (2, 3) or not re.fullmatch(r"[\w. -]*\w", fields[0]):
            raise CorpusError(
                f"{where}: {line[:60]!r}; expected {EXPECTED}; names are letters, digits, '.', '-' and '_'"
            )
        name, voice = fields[0], fields[2].strip() if len(fields) == 3 else next(iter(voices))
        if name in found:
            raise CorpusError(f"{where}: the name {name!r} stands twice; each names a sound file")
        found[name] = parse(name, fields[1], voice, seconds, voices, where)
    if not found:
        raise CorpusError(f"{path.name}: no line with phones; expected {EXPECTED}")
    return list(found.values())


def parse(
    name: str, text: str, voice: str, seconds: Mapping[str, float], voices: Collection[str], where: str = "phones"
) -> Utterance:
    """Return an utterance from phones such as ``HH AH0 L:60 OW1``; a number is a duration in milliseconds.

    Args:
        name: of the utterance.
        text: the phones.
        voice: who speaks.
        seconds: of each phone that a model knows, where the text gives none.
        voices: that the model knows.
        where: the text stands, for messages.

    Raises:
        CorpusError: for a phone, voice or duration that cannot be used.
    """
    if voice not in voices:
        raise CorpusError(f"{where}: the voice {voice!r} is not known; there are {', '.join(voices)}")
    phones, lasting = list[str](), list[float]()
    for token in text.split():
        phone, _, milliseconds = token.partition(":")
        phone = _known(phone, seconds, where)
        if milliseconds and not re.fullmatch(r"\d{1,5}(\.\d+)?", milliseconds):
            raise CorpusError(f"{where}: {token!r}; expected milliseconds after the colon, as in AA1:90")
        length = float(milliseconds) / 1000 if milliseconds else seconds[phone]
        if length <= 0:
            raise CorpusError(f"{where}: {token!r} takes no time; expected more than 0 ms")
        phones.append(phone)
        lasting.append(length)
    if not phones or set(phones) == {SILENCE}:
        raise CorpusError(f"{where}: no phone but silence; expected {EXPECTED}")
    if sum(lasting) > LONGEST:
        raise CorpusError(f"{where}: {sum(lasting):.0f} s; expected at most {LONGEST:.0f} s: divide it")
    return Utterance(name, tuple(phones), tuple(lasting), voice)


def _known(phone: str, seconds: Mapping[str, float], where: str) -> str:
    """Return a phone as the model calls it: with a stress that it knows, or without where it knows none."""
    bare = phone.rstrip("012")
    stressed = [bare + digit for digit in "102"]
    names = [phone, bare, *stressed] if phone not in SILENT else [SILENCE]
    found = next((name for name in names if name in seconds), None)
    if found is None:
        raise CorpusError(
            f"{where}: the phone {phone!r} is not among those that the model was trained on."
            f"{nearest(phone, seconds)} They are {', '.join(seconds)}"
        )
    return found
