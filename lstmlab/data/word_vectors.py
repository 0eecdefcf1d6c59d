"""Word vectors in the text format of GloVe and fastText."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from lstmlab.data.text_file import TextError
from lstmlab.progress import bar


def read_vectors(path: Path, words: Collection[str], first: int = 0) -> dict[str, np.ndarray]:
    """Return the vectors (size,), float32, of those ``words`` that a file has, and of its ``first`` words.

    Such files have frequent words first, so its first words are the most frequent of what it was made from.

    A line is a word and its numbers, separated by single spaces; fastText's first line, two counts, is
    skipped. A word may contain spaces (some of GloVe's do): the last ``size`` fields are the numbers. The
    first of several vectors of a word counts. The file is read line by line, so it may be larger than memory.

    Raises:
        TextError: when the file cannot be read, or a line does not have as many finite numbers as the first.
    """
    wanted, found = set(words), {}
    seen = size = 0
    try:
        with path.open("rb") as file, bar(path.stat().st_size, path.name, unit="B") as shown:
            for number, line in enumerate(file, 1):
                shown.update(len(line))
                fields = line.decode("utf-8", "replace").rstrip().split(" ")
                if number == 1 and len(fields) == 2:
                    continue
                seen, size = seen + 1, size or len(fields) - 1
                word = " ".join(fields[: len(fields) - size])
                if word not in found and (word in wanted or seen <= first):
                    found[word] = _numbers(fields[-size:], size, path, number)
                elif len(fields) <= size:
                    raise TextError(_refusal(path, number, size))
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}") from None
    if not size:
        raise TextError(f"{path}: no vectors; expected a word and its numbers on each line")
    return found


def _numbers(fields: list[str], size: int, path: Path, number: int) -> np.ndarray:
    try:
        vector = np.array(fields, dtype=np.float32)
    except ValueError:
        raise TextError(_refusal(path, number, size)) from None
    if not np.isfinite(vector).all():
        raise TextError(_refusal(path, number, size))
    return vector


def _refusal(path: Path, number: int, size: int) -> str:
    return f"{path}, line {number}: expected a word and {size} finite numbers, separated by single spaces"
