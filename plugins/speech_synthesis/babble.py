"""Syllables as English might have them, with durations: what the generated corpus says."""

from __future__ import annotations

import numpy as np

from lstmlab.data.formants import VOICES, utter

from .phones import CLASSES, SILENCE, class_of
from .utterances import Corpus, Utterance

SYLLABLES = (2, 5)  # fewest and most
SECONDS = {
    "vowels": 0.11,
    "diphthongs": 0.15,
    "approximants": 0.07,
    "nasals": 0.07,
    "fricatives": 0.09,
    "stops, affricates": 0.08,
    "others": 0.08,
}
SPREAD = 0.2  # of the logarithm of a duration
LAST = 1.4  # factor on the last vowel before a pause (Klatt 1976: final lengthening)
SHORT = 0.75  # factor on a vowel before a voiceless consonant (Klatt 1976)
PAUSE = 0.15  # probability of a pause between two syllables

VOWELS = CLASSES["vowels"] + CLASSES["diphthongs"]
VOICELESS = ("P", "T", "K", "F", "TH", "S", "SH", "CH")
CONSONANTS = tuple(p for name, phones in CLASSES.items() if name not in ("vowels", "diphthongs") for p in phones)
CLUSTERS = tuple(
    tuple(c.split()) for c in ("S T", "S P", "S K", "P L", "T R", "K R", "B L", "D R", "G R", "F L", "K W")
)
ONSETS = ((), *((c,) for c in CONSONANTS if c not in ("NG", "ZH")), *CLUSTERS)
CODAS = ((), (), (), *((c,) for c in CONSONANTS if c not in ("HH", "W", "Y")), ("N", "T"), ("S", "T"), ("N", "D"))

Syllable = tuple[tuple[str, ...], str, tuple[str, ...]]


def babble(random: np.random.Generator) -> tuple[list[str], list[float]]:
    """Return phones and their durations in seconds, with silence before and after."""
    phones, seconds = [SILENCE], [0.08 + 0.05 * random.random()]
    count = int(random.integers(SYLLABLES[0], SYLLABLES[1] + 1))
    for i in range(count):
        pauses = i < count - 1 and random.random() < PAUSE
        onset, vowel, coda = _drawn(random)
        for phone in (*onset, vowel, *coda):
            length = SECONDS[class_of(phone)] * float(np.exp(random.normal(0, SPREAD)))
            if phone == vowel:
                length *= (LAST if pauses or i == count - 1 else 1) * (SHORT if coda and coda[0] in VOICELESS else 1)
            phones.append(phone)
            seconds.append(length)
        if pauses or i == count - 1:
            phones.append(SILENCE)
            seconds.append(0.08 + 0.05 * random.random())
    return phones, seconds


def _drawn(random: np.random.Generator) -> Syllable:
    onset, vowel, coda = (choices[int(random.integers(len(choices)))] for choices in (ONSETS, VOWELS, CODAS))
    return tuple(onset), str(vowel), tuple(coda)


def recipes(count: int) -> list[Utterance]:
    """Return what is said, without sound: the same for every run."""
    random, names = np.random.default_rng(1952), list(VOICES)
    said = []
    for i in range(count):
        phones, seconds = babble(random)
        voice = names[int(random.integers(len(names)))]
        said.append(Utterance(f"babble {i}", tuple(phones), tuple(seconds), voice))
    return said


def spoken(utterance: Utterance, rate: int, seed: int) -> np.ndarray:
    """Return the samples of an utterance; formants, pitch and loudness differ a little from one to the next."""
    return utter(utterance.phones, utterance.seconds, rate, np.random.default_rng(seed), utterance.voice)


def corpus(count: int, rate: int) -> Corpus:
    """Return ``count`` utterances with their sound."""
    said = [Utterance(u.name, u.phones, u.seconds, u.voice, spoken(u, rate, i)) for i, u in enumerate(recipes(count))]
    return Corpus(said)
