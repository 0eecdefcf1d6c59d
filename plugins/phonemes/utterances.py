"""What was said: a signal with its phones and speaker, and how utterances are held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmlab.data.formants import PHONES as ARPABET
from lstmlab.errors import LstmlabError, nearest

ENOUGH = 3  # utterances or speakers without which no split can be made


class Utterance(NamedTuple):
    """Samples (n,), or features (frames, n) where a dataset brings those; phones; who spoke; what word or words."""

    name: str
    signal: np.ndarray
    phones: tuple[str, ...]
    speaker: str = ""
    text: str = ""


class SpeechError(LstmlabError):
    """Speech that cannot be used: which file, what is wrong, what is expected."""


def arpabet(symbols: Sequence[str], where: str) -> tuple[str, ...]:
    """Return ARPAbet phones in capitals and without digits for stress.

    Raises:
        SpeechError: for a symbol that is none, with ``where`` it stands.
    """
    phones = tuple(symbol.upper().rstrip("012") for symbol in symbols)
    for symbol, phone in zip(symbols, phones, strict=True):
        if phone not in ARPABET:
            raise SpeechError(
                f"{where}: the phone {symbol!r} is none of the ARPAbet's 39.{nearest(phone, ARPABET)} "
                "Other symbols are taken as they are with task.phone_set=any; words need task.lexicon=FILE"
            )
    return phones


def hold_out(
    utterances: Sequence[Utterance], validation: float, test: float, by_speaker: bool
) -> dict[str, list[Utterance]]:
    """Return splits: speakers, or utterances, are drawn from a fixed seed until a share of the utterances is reached.

    With ``test`` 0 there is no such split.

    Raises:
        SpeechError: when there are too few to draw from.
    """
    groups = [u.speaker if by_speaker else u.name for u in utterances]
    names = sorted(set(groups))
    if len(names) < ENOUGH:
        what = "speakers" if by_speaker else "utterances"
        more = "; with task.hold_out=utterances these are drawn instead" if by_speaker else ""
        raise SpeechError(f"{len(names)} {what} are too few to hold some out for validation and test{more}")
    order = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    sizes = {name: groups.count(name) for name in names}
    part, split_of = {"validation": validation, "test": test}, {}
    for split in [s for s in ("test", "validation") if part[s]]:
        taken = 0
        while len(order) > 1 and (not taken or taken < part[split] * len(groups) - sizes[order[-1]] / 2):
            split_of[order[-1]] = split
            taken += sizes[order.pop()]
    found: dict[str, list[Utterance]] = {"train": [], "validation": []} | ({"test": []} if test else {})
    for group, utterance in zip(groups, utterances, strict=True):
        found[split_of.get(group, "train")].append(utterance)
    return found
