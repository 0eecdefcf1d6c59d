"""A signal comes back from its mel bands: spectra that explain them, and phases that fit."""

from __future__ import annotations

import numpy as np
import pytest

from lstmlab.data.formants import utter
from lstmlab.data.spectra import mel_filters, stft
from lstmlab.tasks.griffin_lim import MelFrames, convergence, griffin_lim

FRAMES = MelFrames(8000, 40, 0.01, 0.04)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return utter(["SIL", "M", "AA", "S", "IY", "SIL"], [0.1, 0.1, 0.2, 0.1, 0.2, 0.1], 8000)


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean difference of log mel bands, dB."""
    return float(np.abs(found - wanted).mean() * 10 / np.log(10))


def test_spectra_found_for_mel_bands_have_these_bands(speech: np.ndarray) -> None:
    wanted = FRAMES.of(speech)
    magnitudes = FRAMES.magnitudes(wanted)
    assert magnitudes.min() >= 0
    filters = mel_filters(FRAMES.rate, FRAMES.n_fft, FRAMES.bands)
    assert distance(np.log(magnitudes**2 @ filters.T), wanted) < 0.3


def test_phases_fit_the_better_the_longer_they_are_sought_and_momentum_helps(speech: np.ndarray) -> None:
    true = np.abs(stft(speech, FRAMES.n_fft, FRAMES.step, FRAMES.covered))
    misfits = [
        convergence(griffin_lim(true, FRAMES.step, FRAMES.covered, n), true, FRAMES.step, FRAMES.covered)
        for n in (0, 5, 20, 60)
    ]
    assert misfits == sorted(misfits, reverse=True)
    assert misfits[-1] < 0.12
    plain = griffin_lim(true, FRAMES.step, FRAMES.covered, 60, momentum=0)
    assert misfits[-1] < convergence(plain, true, FRAMES.step, FRAMES.covered)


def test_speech_comes_back_from_its_mel_bands(speech: np.ndarray) -> None:
    wanted = FRAMES.of(speech)
    heard = FRAMES.sound(wanted)
    assert len(heard) == len(speech) // FRAMES.step * FRAMES.step
    assert distance(FRAMES.of(heard), wanted) < 2.5
    assert distance(FRAMES.of(FRAMES.sound(wanted, iterations=1)), wanted) > 1.3 * distance(FRAMES.of(heard), wanted)
    assert np.abs(heard).max() == pytest.approx(np.abs(speech).max(), rel=0.5)


def test_the_seed_decides_the_phases(speech: np.ndarray) -> None:
    wanted = FRAMES.of(speech)
    first, again, other = (FRAMES.sound(wanted, 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
