"""Praat's TextGrid files: where each phone begins and ends."""

from __future__ import annotations

import re
from pathlib import Path

from lstmlab.data.text_file import read_lines

from .utterances import CorpusError

TIER = re.compile(r'name = "(?:.* - )?phones?"', re.IGNORECASE)  # aligners put a speaker's name before it
SAME = 2e-3  # seconds that two times may differ by and be one: aligners round to milliseconds


class _Lines:
    """The lines of a TextGrid, taken one after the other, each of the form that is expected."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.lines = [line.strip() for line in read_lines(path)]
        self.at = 0

    def refuse(self, what: str) -> CorpusError:
        return CorpusError(f"{self.name}, line {self.at}: {what}")

    def take(self, pattern: str, wanted: str) -> str:
        """Return what the pattern's group holds in the next line that is not empty."""
        while self.at < len(self.lines) and not self.lines[self.at]:
            self.at += 1
        line = self.lines[self.at] if self.at < len(self.lines) else "the end of the file"
        self.at += 1
        found = re.fullmatch(pattern, line)
        if found is None:
            raise self.refuse(f"{line[:60]!r}; expected {wanted}")
        return found[1] if found.re.groups else ""

    def number(self, key: str) -> float:
        """Return the number that the next line gives for a key."""
        return float(self.take(rf"{key} = (\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)", f"`{key} = SECONDS`"))

    def find(self, pattern: re.Pattern[str], wanted: str) -> None:
        """Go on behind the next line that fits."""
        for at in range(self.at, len(self.lines)):
            if pattern.fullmatch(self.lines[at]):
                self.at = at + 1
                return
        tiers = [line[7:] for line in self.lines if line.startswith("name = ")]
        raise CorpusError(f"{self.name}: no {wanted}; there are the tiers {', '.join(tiers) or 'of no name'}")


def read_textgrid(path: Path) -> tuple[list[str], list[float], float]:
    """Return the phones of a TextGrid with their durations, and where the last one ends, in seconds.

    Read is the interval tier ``phones`` (or ``phone``, or ``SPEAKER - phones``) of the long text format, which
    Praat and the Montreal Forced Aligner write.

    Raises:
        CorpusError: with file and line, when it has another form, or intervals overlap, leave gaps or run backwards.
        TextError: when it is not UTF-8.
    """
    lines = _Lines(path)
    lines.take(r'File type = "ooTextFile"', 'a TextGrid: `File type = "ooTextFile"`')
    lines.take(r'Object class = "TextGrid"', '`Object class = "TextGrid"`; save it in the long text format')
    lines.take(r"xmin = (.+)", "`xmin = SECONDS`; save it as text in the long format")
    lines.find(TIER, 'tier `name = "phones"`')
    begin, end = lines.number("xmin"), lines.number("xmax")
    count = int(lines.take(r"intervals: size = (\d+)", "`intervals: size = COUNT`, an interval tier"))
    phones, seconds, last = list[str](), list[float](), begin
    for i in range(1, count + 1):
        lines.take(rf"intervals \[{i}\]:?", f"`intervals [{i}]:`, for there are {count}")
        start, stop = lines.number("xmin"), lines.number("xmax")
        if abs(start - last) > SAME:
            kind = "overlaps the one before" if start < last else "leaves a gap after the one before"
            raise lines.refuse(f"interval {i}, {start:g} to {stop:g} s, {kind}, which ends at {last:g} s")
        if stop <= start:
            raise lines.refuse(
                f"interval {i} ends at {stop:g} s and begins at {start:g} s; expected an end that is later"
            )
        phones.append(lines.take(r'text = "(.*)"', '`text = "PHONE"`').replace('""', '"').strip())
        seconds.append(stop - last)
        last = stop
    if not phones:
        raise lines.refuse("the tier of phones has no interval; align the recording again")
    if abs(last - end) > SAME:
        raise lines.refuse(f"the last interval ends at {last:g} s, the tier at {end:g} s")
    if begin > SAME:
        raise lines.refuse(f"the tier begins at {begin:g} s; expected 0, where the recording begins")
    return phones, seconds, last
