"""Generated speech has the formants, pitch and loudness that it was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz

from lstmlab.data import formants
from lstmlab.errors import LstmlabError

RATE = 8000
MEN = {  # Peterson and Barney (1952), table II: the first three formants, Hz
    "IY": (270, 2290, 3010), "IH": (390, 1990, 2550), "EH": (530, 1840, 2480), "AE": (660, 1720, 2410),
    "AA": (730, 1090, 2440), "AO": (570, 840, 2410), "UH": (440, 1020, 2240), "UW": (300, 870, 2240),
    "AH": (640, 1190, 2390), "ER": (490, 1350, 1690),
}  # fmt: skip
SOUNDS = ["SIL", "HH", "EH", "L", "OW", "SIL", "W", "ER", "L", "D", "SIL"]


def resonances(sound: np.ndarray, order: int = 12) -> np.ndarray:
    """Return the narrow resonances (Hz) that linear prediction finds, lowest first."""
    emphasised = np.diff(sound) * np.hanning(len(sound) - 1)
    lags = np.correlate(emphasised, emphasised, "full")[len(emphasised) - 1 :][: order + 1]
    roots = np.roots([1, *-solve_toeplitz(lags[:-1], lags[1:])])
    roots = roots[(roots.imag > 0) & (abs(roots) > 0.85)]
    return np.sort(np.angle(roots)) * RATE / (2 * np.pi)


@pytest.mark.parametrize("vowel", MEN)
def test_a_vowel_has_the_formants_that_were_measured(vowel: str) -> None:
    sound = formants.utter([vowel], [0.4], RATE, voice="low")[800:2400]
    targets = np.array(MEN[vowel])
    found = resonances(sound)
    nearest = np.array([found[abs(found - t).argmin()] for t in targets])
    assert abs(nearest - targets).max() < 80, (found, targets)


def test_a_voice_has_its_pitch_and_scales_all_formants() -> None:
    for name, voice in formants.VOICES.items():
        sound = formants.utter(["AA1"], [0.6], RATE, voice=name)
        middle = sound[2000:2800]  # where the falling melody passes its mean
        lags = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        lag = 30 + lags[30:150].argmax()
        assert RATE / lag == pytest.approx(voice.pitch, rel=0.03)
    tall, short = (resonances(formants.utter(["AE"], [0.4], RATE, voice=v)[800:2400]) for v in ("low", "bright"))
    np.testing.assert_allclose(short[1:3] / tall[1:3], 1.08, atol=0.03)


def test_vowels_are_louder_than_consonants_and_silence_is_quiet() -> None:
    sound = formants.utter(["SIL", "AA", "SIL", "S", "SIL", "M", "SIL"], [0.2] * 7, RATE)
    level = [20 * np.log10(part[400:1200].std()) for part in np.array_split(sound, 7)]
    assert level[1] > max(level[3], level[5]) > level[0] + 20
    assert abs(level[0] + 60) < 3


def test_a_stop_is_shut_before_it_bursts() -> None:
    sound = formants.utter(["AA", "T", "AA"], [0.2, 0.1, 0.2], RATE)
    closure, burst = sound[1700:1950], sound[2040:2200]
    assert burst.std() > 5 * closure.std()


def test_samples_are_as_many_as_asked_for_and_the_seed_decides_them() -> None:
    seconds = np.linspace(0.05, 0.2, len(SOUNDS))
    for rate in (8000, 16_000, 22_050):
        first, again, other = (
            formants.utter(SOUNDS, seconds, rate, np.random.default_rng(s), "high") for s in (1, 1, 2)
        )
        assert first.shape == (round(rate * seconds.sum()),)
        assert first.dtype == np.float32
        assert abs(first).max() < 0.9
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


def test_every_phone_can_be_uttered_alone_and_beside_any_other() -> None:
    for phone in formants.PHONES:
        for around in ("SIL", "AA", "HH"):
            assert np.isfinite(formants.utter([around, phone, around], [0.05, 0.08, 0.05], RATE)).all()
    assert len(formants.PHONES) == 39


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["XX"], [0.1]), "the phone 'XX' is not known"),
        ((["AA"], [0.1, 0.2]), "1 phones and 2 durations"),
        ((["AA"], [0.0]), "above 0"),
        (([], []), "0 phones"),
        ((["AA"], [0.1], 4000), "too low"),
        ((["AA"], [0.1], 8000, None, "hgh"), "Did you mean 'high'"),
    ],
)
def test_what_cannot_be_uttered_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(LstmlabError, match=message):
        formants.utter(*arguments)
