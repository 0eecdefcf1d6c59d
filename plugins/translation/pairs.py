"""Sentences and their translations: read from files, cleaned, divided so that no sentence stands in two splits."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lstmlab.data import SPLITS
from lstmlab.data.text_file import TextError, read_lines
from lstmlab.errors import LstmlabError

Pair = tuple[str, str]
NAMED = 5  # files that a note names at most
LARGEST = 20  # pairs that hang together: larger groups stay in train, since one of them could fill a split


@dataclass
class Parallel:
    """Pairs of each split, or all under "train" while they are not divided yet."""

    splits: dict[str, list[Pair]]
    notes: list[str] = field(default_factory=list)


def clean(line: str) -> str:
    """Return a line as Unicode's normal form C, without space around it."""
    return unicodedata.normalize("NFC", line).strip()


def read_table(lines: Sequence[str], name: str, columns: int = 2) -> Parallel:
    """Return the pairs of ``source<TAB>target`` lines.

    Args:
        lines: of the file.
        name: of the file, for errors.
        columns: that a line has; those after the second are left out.

    Raises:
        TextError: for a line with another number of columns or an empty side, or when there is no line.
    """
    pairs, blank = [], 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            blank += 1
            continue
        cells = line.split("\t")
        if len(cells) != columns:
            more = f"; give task.columns={len(cells)} to read its first two" if len(cells) > 2 else ""
            raise TextError(
                f"{name}, line {number}: {len(cells)} column(s) between tabs; expected {columns}, "
                f"source<TAB>target first{more}"
            )
        pairs.append(_whole(cells[0], cells[1], f"{name}, line {number}"))
    if not pairs:
        raise TextError(f"{name} holds no pairs; expected a source<TAB>target pair in each line")
    notes = [f"{name}: {blank} empty lines were skipped."] if blank else []
    if columns > 2:
        notes.append(f"{name}: of {columns} columns the first two are read.")
    return Parallel({"train": pairs}, notes)


def read_parallel(source: Path, target: Path) -> Parallel:
    """Return the pairs of two files with a sentence a line.

    Raises:
        TextError: when they have different numbers of lines, or a line is empty in one of them only.
    """
    left, right = read_lines(source), read_lines(target)
    if len(left) != len(right):
        raise TextError(
            f"{source.name} has {len(left):,} lines and {target.name} {len(right):,}; expected as many in both, "
            "each line the translation of the other's"
        )
    pairs, blank = [], 0
    for number, (a, b) in enumerate(zip(left, right, strict=True), 1):
        if not a.strip() and not b.strip():
            blank += 1
            continue
        pairs.append(_whole(a, b, f"{source.name} and {target.name}, line {number}"))
    if not pairs:
        raise TextError(f"{source.name} and {target.name} hold no pairs; expected a sentence in each line")
    notes = [f"{source.name} and {target.name}: {blank} lines that are empty in both were skipped."] if blank else []
    return Parallel({"train": pairs}, notes)


def read_folder(folder: Path, source: str, target: str) -> Parallel:
    """Return the pairs of train.SOURCE and train.TARGET, and of validation and test where they are there.

    Raises:
        LstmlabError: when files are missing, with what is expected.
    """
    files = {f.name.removesuffix(".gz"): f for f in sorted(folder.iterdir()) if f.is_file()}
    found = [s for s in SPLITS if f"{s}.{source}" in files or f"{s}.{target}" in files]
    wanted = [f"{s}.{language}" for s in (found or ["train"]) for language in (source, target)]
    missing = [name for name in wanted if name not in files]
    if missing or found not in (["train"], list(SPLITS)):
        raise LstmlabError(
            f"{folder}: there are {', '.join(files) or 'no files'}; expected train.{source} and train.{target} "
            f"(task.source and task.target name the endings), alone or with validation.* and test.*"
            + (f"; missing: {', '.join(missing)}" if missing else "")
        )
    parts = {s: read_parallel(files[f"{s}.{source}"], files[f"{s}.{target}"]) for s in found}
    notes = [note for part in parts.values() for note in part.notes]
    if unread := [name for name in files if name not in wanted]:
        notes.append(f"{len(unread)} other file(s) of the folder are not read: {', '.join(unread[:NAMED])}.")
    return Parallel({s: part.splits["train"] for s, part in parts.items()}, notes)


def divided(found: Parallel, validation: float, test: float) -> Parallel:
    """Return all splits: those that the data bring, or drawn so that no sentence of either side is in two.

    Sentences count as the same when their letters and digits do. Pairs that share a sentence, directly or over
    others, stay together. The draw is the same for every run. Pairs that occur again are left out.

    Args:
        found: pairs of all splits, or of "train" alone.
        validation: share of the pairs.
        test: share of the pairs.

    Raises:
        LstmlabError: when a split would have no pair.
    """
    if set(found.splits) == set(SPLITS):
        return Parallel(found.splits, [*found.notes, *_shared(found.splits)])
    pairs = list(dict.fromkeys(found.splits["train"]))
    repeated = len(found.splits["train"]) - len(pairs)
    groups = _groups(pairs)
    sizes = np.bincount(groups)
    order = np.random.default_rng(0).permutation(len(sizes))
    small = order[sizes[order] <= LARGEST]
    reach = np.cumsum(sizes[small]) / len(pairs)
    home = np.zeros(len(sizes), int)
    home[small[reach <= test]] = 2
    home[small[(reach > test) & (reach <= test + validation)]] = 1
    splits: dict[str, list[Pair]] = {s: [] for s in SPLITS}
    for pair, at in zip(pairs, home[groups], strict=True):
        splits[SPLITS[at]].append(pair)
    if empty := [s for s in SPLITS if not splits[s]]:
        raise LstmlabError(
            f"{len(pairs)} different pairs, of which {len(sizes)} groups share no sentence, leave none for "
            f"{', '.join(empty)}; give more pairs, or larger task.validation and task.test"
        )
    notes = [f"{repeated:,} pairs that occur again were counted once."] if repeated else []
    if large := int(sizes[sizes > LARGEST].sum()):
        notes.append(f"{large:,} pairs hang together in groups of more than {LARGEST}: all of them are train pairs.")
    return Parallel(splits, [*found.notes, *notes])


def _whole(source: str, target: str, where: str) -> Pair:
    pair = clean(source), clean(target)
    for side, text in zip(("source", "target"), pair, strict=True):
        if not text:
            raise TextError(f"{where}: the {side} is empty; expected a sentence on both sides")
    return pair


def _shared(splits: dict[str, list[Pair]]) -> Iterable[str]:
    """Yield what splits that the data bring have in common, and what repeats: nothing is taken out of them."""
    train = splits["train"]
    if repeated := len(train) - len(set(train)):
        yield f"{repeated:,} train pairs occur again; the data's own splits are left as they are."
    known = {source for source, _ in train}
    if seen := sum(source in known for source, _ in splits["test"]):
        yield f"{seen:,} of {len(splits['test']):,} test sources are train sources too; they are left in."


def _groups(pairs: Sequence[Pair]) -> np.ndarray:
    """Return for each pair the number of its group: pairs that share a sentence of either side."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sides = []
    for side in (0, 1):
        keys = ["".join(c for c in pair[side].casefold() if c.isalnum()) or pair[side] for pair in pairs]
        sides.append(np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)[1])
    left, right = sides[0], sides[1] + sides[0].max() + 1
    nodes = int(right.max()) + 1
    graph = coo_array((np.ones(len(pairs)), (left, right)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    return np.unique(labels[left], return_inverse=True)[1]
