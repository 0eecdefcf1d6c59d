"""Files of CoNLL columns: a word a line, its tag in the last column, an empty line between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lstmlab.data.text_file import TextError, read_lines
from lstmlab.tasks.tagging import Sentence

from .entities import OUTSIDE, TAG, begins, bio, entities

DOCUMENT = "-DOCSTART-"
SPLIT_NAMES = {  # part of a file's name -> split; earlier ones win: eng.testa is validation
    "train": "train",
    "testa": "validation",
    "dev": "validation",
    "valid": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Columns:
    """How a file is read.

    Attributes:
        word: column of the words, from 0; negative ones count from the end.
        tag: column of the tags.
        longest: words that a sentence may have.
        strict: refuse an I- that begins an entity, rather than read it as a B-.
    """

    word: int = 0
    tag: int = -1
    longest: int = 500
    strict: bool = False


@dataclass
class Read:
    """Sentences with tags in BIO, and notes on what reading changed."""

    sentences: list[Sentence] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def rows_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield number and columns of each line of a file; none for an empty line, or one of blanks.

    Columns are separated by tabs where the first line with a word has one, else by blanks.
    """
    tabs = None
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip(" \t"):
            yield number, []
            continue
        tabs = "\t" in line if tabs is None else tabs
        yield number, [c.strip(" ") for c in line.split("\t")] if tabs else re.split("[ \t]+", line.strip(" \t"))


def read_conll(path: Path, columns: Columns) -> Read:
    """Read a file of words with tags in IOB1, IOB2 (BIO) or BIOES (BILOU).

    Raises:
        TextError: with file, line and what is expected.
    """
    read, counts = Read(), Counter[str]()
    words: list[str] = []
    tags: list[str] = []
    width = begun = 0

    def close() -> None:
        if words:
            read.sentences.append((words.copy(), bio(entities(tags), len(tags))))
            words.clear()
            tags.clear()

    for number, row in rows_of(path):
        if not row:
            close()
            continue
        where = f"{path.name}, line {number}"
        width = width or len(row)
        if len(row) != width or width < 2:
            raise TextError(
                f"{where}: {len(row)} column(s){f', {width} before' if len(row) != width else ''}; expected on each "
                "line a word and, in the last column, its tag, separated by tabs or by blanks"
            )
        if DOCUMENT in row:
            counts["documents"] += 1
            close()
            continue
        word, tag = _picked(row, columns, where)
        begun = begun if words else number
        if begins(tag, tags[-1] if tags else OUTSIDE) and tag[0] not in "BSU":
            counts["begun"] += 1
            if columns.strict:
                raise TextError(
                    f"{where}: {tag} begins an entity; expected B-{tag[2:]} (task.strict=false reads it so)"
                )
        counts["BIOES"] += tag[0] in "ESLU"
        words.append(word)
        tags.append(tag)
        if len(words) > columns.longest:
            raise TextError(
                f"{path.name}, line {begun}: a sentence of more than {columns.longest} words; put an empty line "
                "between sentences, or raise task.longest"
            )
    close()
    if not read.sentences:
        raise TextError(f"{path.name}: no sentence; expected a word and its tag on each line")
    read.notes = _notes(path.name, counts)
    return read


def _picked(row: list[str], columns: Columns, where: str) -> tuple[str, str]:
    """Return word and tag of a line."""
    for key, column in (("word_column", columns.word), ("tag_column", columns.tag)):
        if not -len(row) <= column < len(row):
            raise TextError(
                f"{where}: task.{key}={column}, but there are {len(row)} columns, 0 to {len(row) - 1}; -1 is the last"
            )
    word, tag = row[columns.word], row[columns.tag]
    if not word:
        raise TextError(f"{where}: the word is empty; expected one, or an empty line between sentences")
    if not TAG.fullmatch(tag):
        raise TextError(
            f"{where}: the tag is {tag!r}; expected O, or B-, I-, E-, S- (or L-, U-) and a type, as in B-person "
            "(task.tag_column says which column it is)"
        )
    return word, tag


def _notes(name: str, counts: Counter[str]) -> list[str]:
    told = {
        "documents": "{:,} lines -DOCSTART- were taken for the end of a sentence and left out.",
        "begun": "{:,} entities begin with I- (IOB1, or a fault); they were read as conlleval does, as if with B-.",
        "BIOES": "{:,} tags E-, S-, L- or U- (BIOES, BILOU) were converted to B- and I-.",
    }
    return [f"{name}: {text.format(counts[key])}" for key, text in told.items() if counts[key]]


def read_folder(path: Path, columns: Columns, validation: float) -> tuple[dict[str, list[Sentence]], list[str]]:
    """Return the splits of a folder whose files' names say which each is; validation is drawn from train if missing.

    Raises:
        TextError: when train or test are missing, or there are two files for a split.
    """
    found: dict[str, list[Path]] = {}
    others = []
    for file in sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith(".")):
        split = next((split for part, split in SPLIT_NAMES.items() if part in file.name.lower()), None)
        found.setdefault(split, []).append(file) if split else others.append(file.name)
    names = {split: [f.name for f in files] for split, files in found.items()}
    if not {"train", "test"} <= found.keys() or max(map(len, found.values())) > 1:
        raise TextError(
            f"{path}: expected one file with train in its name, one with test, perhaps one with dev or valid, as in "
            f"train.txt, dev.txt, test.txt; found {names or 'none of them'}"
        )
    read = {split: read_conll(files[0], columns) for split, files in found.items()}
    notes = [note for one in read.values() for note in one.notes]
    splits = {split: one.sentences for split, one in read.items()}
    if others:
        notes.append(f"Not read, since their names say neither train, dev nor test: {', '.join(others)}.")
    if "validation" not in splits:
        drawn, told = divide(splits["train"], validation, 0.0, path)
        splits |= {"train": drawn["train"], "validation": drawn["validation"]}
        notes += [*told, f"There is no dev file: {len(drawn['validation']):,} train sentences are validation."]
    return {split: splits[split] for split in ("train", "validation", "test")}, notes


def divide(
    sentences: list[Sentence], validation: float, test: float, path: Path
) -> tuple[dict[str, list[Sentence]], list[str]]:
    """Return splits with these shares of the sentences, always the same ones; a sentence that is repeated counts once.

    Raises:
        TextError: when a split would be empty.
    """
    different = list({tuple(words): (words, tags) for words, tags in reversed(sentences)}.values())[::-1]
    repeated = len(sentences) - len(different)
    order = [different[i] for i in np.random.default_rng(0).permutation(len(different))]
    tested = max(1, round(test * len(order))) if test else 0
    held = tested + max(1, round(validation * len(order)))
    if held >= len(order):
        raise TextError(f"{path.name}: {len(order)} different sentence(s) are too few for train, validation and test")
    notes = [f"{repeated:,} sentences that occur again were counted once."] if repeated else []
    return {"train": order[held:], "validation": order[tested:held], "test": order[:tested]}, notes


def read_new(path: Path, columns: Columns) -> list[list[str]]:
    """Return the words of sentences whose tags, if there are some, do not matter.

    A file is read as columns when each line has a tab, or one word, or a tag where it should be; any other as a
    sentence a line.

    Raises:
        TextError: when there is no sentence, or one that is too long.
    """
    rows, lines = list(rows_of(path)), read_lines(path)
    full = [row for _, row in rows if row]
    tabbed = all("\t" in line for line in lines if line.strip(" \t"))
    if tabbed or all(len(row) == 1 for row in full) or all(_tagged(row, columns) for row in full):
        sentences = list(_sentences(rows, columns, path))
    else:
        sentences = [tokenise(line) for line in lines]
    kept = [s for s in sentences if s]
    if not kept:
        raise TextError(f"{path.name}: no sentence; expected a word or a sentence on each line")
    for at, words in enumerate(kept, 1):
        if len(words) > columns.longest:
            raise TextError(
                f"{path.name}: sentence {at}, {' '.join(words[:5])} ..., has {len(words):,} words, more than "
                f"task.longest={columns.longest}: expected a sentence a line, or an empty line between sentences"
            )
    return kept


def _sentences(rows: list[tuple[int, list[str]]], columns: Columns, path: Path) -> Iterator[list[str]]:
    words: list[str] = []
    for number, row in [*rows, (0, [])]:
        if row and DOCUMENT not in row:
            word = row[columns.word] if -len(row) <= columns.word < len(row) else ""
            if not word:
                raise TextError(f"{path.name}, line {number}: no word in column task.word_column={columns.word}")
            words.append(word)
        else:
            yield words
            words = []


def _tagged(row: list[str], columns: Columns) -> bool:
    there = all(-len(row) <= column < len(row) for column in (columns.word, columns.tag))
    return there and len(row) > 1 and TAG.fullmatch(row[columns.tag]) is not None


def tokenise(text: str) -> list[str]:
    """Return the words of a text; punctuation stands apart, but not within words, mentions and hashtags.

    >>> tokenise("@mia flew to St. John's (Antigua), didn't she?")
    ['@mia', 'flew', 'to', 'St', '.', "John's", '(', 'Antigua', ')', ',', "didn't", 'she', '?']
    """
    return re.findall(r"https?://\S+|[@#]?\w+(?:[-'\u2019.&]\w+)*|[^\w\s]", text)
