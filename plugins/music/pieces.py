"""Pieces as piano rolls: what they are, how they are checked, and which split each is in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lstmlab.errors import LstmlabError, some
from lstmlab.tasks.task import SPLITS

KEYS = 88  # of a piano
LOWEST = 21  # MIDI number of its first key, A0
NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


class BadPieceError(LstmlabError):
    """A piece that cannot be used: which, where, what is expected."""


@dataclass(frozen=True)
class Pieces:
    """Pieces with their names.

    Attributes:
        names: of the pieces, in their order: the file, and the place in it.
        rolls: booleans (frames, 88) each: which keys sound.
        parts: the split of each piece where the data come with one.
        notes: what reading did: pieces left out, notes dropped or moved.
    """

    names: list[str]
    rolls: list[np.ndarray]
    parts: list[str] | None = None
    notes: tuple[str, ...] = ()


def key_name(key: int) -> str:
    """Return the name of a key from 0 to 87, as in C4."""
    return f"{NAMES[(key + LOWEST) % 12]}{(key + LOWEST) // 12 - 1}"


def check(array: Any, name: str, fewest: int = 2) -> np.ndarray:
    """Return a piano roll as booleans (frames, 88).

    Raises:
        BadPieceError: when it has another shape, other values, or fewer than ``fewest`` frames.
    """
    roll = np.asarray(array)
    wanted = f"expected (frames, {KEYS}) numbers 0 or 1, a row per frame and a column per key from A0 to C8"
    if roll.ndim != 2 or roll.shape[1] != KEYS:
        hint = ""
        if roll.ndim == 2 and roll.shape[0] == KEYS:
            hint = " Is it transposed? Save roll.T instead."
        elif roll.ndim == 2 and 128 in roll.shape:
            hint = " For all 128 MIDI notes, keep those of a piano: roll[:, 21:109] of (frames, 128)."
        raise BadPieceError(f"{name}: its shape is {roll.shape}; {wanted}.{hint}")
    if roll.dtype.kind not in "biuf" or not np.isin(roll, (0, 1)).all():
        raise BadPieceError(f"{name}: it holds values other than 0 and 1; {wanted}. Of velocities, save roll > 0.")
    if len(roll) < fewest:
        raise BadPieceError(f"{name}: {len(roll)} frame(s); expected at least {fewest}")
    if not roll.any():
        raise BadPieceError(f"{name}: no key sounds in its {len(roll)} frames")
    return roll.astype(bool)


def collect(found: list[tuple[str, Any, str | None]], where: Path, notes: tuple[str, ...] = ()) -> Pieces:
    """Return the pieces that can be used, and a note on those that cannot.

    Args:
        found: name, roll, and split or None of each piece.
        where: they come from, for messages.
        notes: what has been noted before.

    Raises:
        BadPieceError: when none can be used, or when some come with a split and others without.
    """
    good: list[tuple[str, np.ndarray, str | None]] = []
    empty: list[str] = []
    for name, array, part in found:
        roll = np.asarray(array)
        if roll.size == 0 or (roll.ndim == 2 and roll.shape[1] == KEYS and (len(roll) < 2 or not roll.any())):
            empty.append(name)
        else:
            good.append((name, check(roll, name), part))
    if not good:
        listed = f" Empty: {some(empty)}." if empty else ""
        raise BadPieceError(f"{where}: there is no piece with at least 2 frames and a note in it.{listed}")
    if empty:
        notes = (*notes, f"{len(empty)} pieces without a note or of fewer than 2 frames were left out: {some(empty)}.")
    names, rolls, parts = zip(*good, strict=True)
    if len({p is None for p in parts}) > 1:
        raise BadPieceError(f"{where}: some files bring their own splits and others do not; keep them in two folders")
    return Pieces(list(names), list(rolls), None if parts[0] is None else list(parts), notes)


def files_below(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files with one of ``suffixes``: ``path`` itself, or those in the folder and below, by name.

    Raises:
        BadPieceError: when there is none.
    """
    listed = " or ".join(suffixes)
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise BadPieceError(f"{path}: expected a file that ends in {listed}, or a folder of such files")
        return [path]
    if not path.exists():
        raise BadPieceError(f"{path} is not there: task.path must name a file that ends in {listed}, or a folder")
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in suffixes and f.is_file())
    if not files:
        raise BadPieceError(f"{path}: no file in this folder ends in {listed}")
    return files


def divide(pieces: Pieces, validation: float, test: float) -> dict[str, list[int]]:
    """Return the pieces of each split, by number: as the data have it, or drawn in these shares.

    What is drawn is the same for all runs, and a roll that occurs again counts once, so that no piece is in two
    splits.

    Raises:
        LstmlabError: when a split would be empty.
    """
    if pieces.parts is not None:
        splits = {split: [i for i, p in enumerate(pieces.parts) if p == split] for split in SPLITS}
    else:
        first = {roll.tobytes(): i for i, roll in reversed(list(enumerate(pieces.rolls)))}
        order = np.random.default_rng(0).permutation(sorted(first.values())).tolist()
        tested = max(1, round(test * len(order)))
        held = tested + max(1, round(validation * len(order)))
        splits = {"train": order[held:], "validation": order[tested:held], "test": order[:tested]}
    if missing := [split for split, members in splits.items() if not members]:
        raise LstmlabError(
            f"{len(pieces.rolls)} pieces leave none for {' and '.join(missing)}; "
            "give at least 3 different pieces, or smaller shares task.validation and task.test"
        )
    return splits
