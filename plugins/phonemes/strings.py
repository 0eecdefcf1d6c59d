"""Strings of phones that a formant synthesiser speaks: many voices, tempi, and noise (generated)."""

from __future__ import annotations

from functools import cache

import numpy as np

from lstmlab.data.formants import SILENCE, Voice, utter

from .utterances import Utterance

VOICES = 16
ONSETS, NUCLEI, CODAS = (
    row.split()
    for row in (
        "P B T D K G F V TH DH S Z SH CH JH M N W Y R L HH",
        "IY IH EH AE AA AO UH UW AH ER EY AY AW OY OW",
        "P B T D K G F V S Z SH ZH M N NG L",
    )
)
LONG, SHORT = (0.09, 0.17), (0.06, 0.12)  # seconds of vowels and consonants at the usual tempo
NOISE = (10.0, 30.0)  # dB, of the utterance above the noise


@cache
def phone_strings(count: int, rate: int, seed: int = 0) -> tuple[Utterance, ...]:
    """Return utterances of two to four syllables, in turn by `VOICES` voices; drawn once in a process."""
    random = np.random.default_rng(seed)
    voices = [_voice(random) for _ in range(VOICES)]
    return tuple(_utterance(i, rate, *voices[i % VOICES], random) for i in range(count))


def _voice(random: np.random.Generator) -> tuple[Voice, float]:
    """Return a voice and its tempo; high voices come from short vocal tracts."""
    height = random.random()
    pitch, tract = 85 * 2.6**height, 0.94 + 0.24 * height + random.normal(0, 0.02)
    return Voice(pitch, tract, random.uniform(0.02, 0.05)), random.uniform(0.8, 1.25)


def _utterance(number: int, rate: int, voice: Voice, tempo: float, random: np.random.Generator) -> Utterance:
    phones: list[str] = []
    for _ in range(random.integers(2, 5)):
        phones += [random.choice(ONSETS)] * (random.random() < 0.85) + [random.choice(NUCLEI)]
        phones += [random.choice(CODAS)] * (random.random() < 0.45)
    phones = [str(phone) for phone in phones]
    lasting = [tempo * random.uniform(*(LONG if phone in NUCLEI else SHORT)) for phone in phones]
    before, after = random.uniform(0.05, 0.25, 2)
    sound = utter([SILENCE, *phones, SILENCE], [before, *lasting, after], rate, random, voice)
    noise = random.standard_normal(len(sound)) * np.sqrt((sound**2).mean() * 10 ** (-random.uniform(*NOISE) / 10))
    signal = np.clip(sound + noise, -1, 1).astype(np.float32)
    speaker = f"voice {number % VOICES + 1}"
    return Utterance(f"{speaker}, string {number // VOICES + 1}", signal, tuple(phones), speaker)
