"""Spectra, mel bands and cepstra are librosa's, and a sound comes back from its spectra.

The numbers are those of librosa 0.11.0 for SWEEP: ``stft(y, n_fft=256, hop_length=80, win_length=200)``,
``filters.mel(sr=8000, n_fft=256, n_mels=20)``, the logarithm of ``feature.melspectrogram(…, power=2.0)``,
``feature.mfcc(S=…, n_mfcc=13)`` and ``feature.delta(…, width=5, mode="nearest")``.
"""

from __future__ import annotations

import numpy as np
import pytest

from lstmlab.data import spectra

TIME = np.arange(4000) / 8000
SWEEP = (0.5 * np.sin(2 * np.pi * (300 * TIME + 900 * TIME**2)) + 0.1 * np.sin(2 * np.pi * 2750 * TIME)).astype("f4")


def test_short_time_spectra_are_librosas() -> None:
    found = spectra.stft(SWEEP, 256, 80, 200)
    assert found.shape == (51, 129)
    np.testing.assert_allclose(
        [found[10, 20], found[30, 88], found[0, 5]],
        [0.10735785 - 0.16311236j, 4.0516807e-05 - 5.0000367j, -3.076107 + 0.062286984j],
        atol=1e-5,
    )


def test_mel_bands_are_librosas() -> None:
    filters = spectra.mel_filters(8000, 256, 20)
    assert filters.shape == (20, 129)
    np.testing.assert_allclose(
        [filters.sum(), filters[15].max(), filters[19, 120]], [0.639682, 0.0038452325, 0.0013973237], rtol=1e-5
    )
    np.testing.assert_allclose(spectra.hertz(spectra.mel(np.array([30.0, 999, 1001, 7000]))), [30, 999, 1001, 7000])
    with pytest.raises(ValueError, match="80 bands are too narrow for 128 samples at 8000 Hz"):
        spectra.mel_filters(8000, 128, 80)


def test_log_mels_cepstra_and_slopes_are_librosas() -> None:
    mels = spectra.log_mel(SWEEP, 8000, 20)
    cepstra = spectra.mfcc(mels)
    slopes = spectra.deltas(cepstra)
    assert (mels.shape, cepstra.shape, slopes.shape) == ((51, 20), (51, 13), (51, 13))
    found = [
        mels[0, 0], mels[20, 5], mels[50, 19], mels.mean(), cepstra[0, 0], cepstra[25, 3], cepstra[50, 12],
        np.abs(cepstra).mean(), slopes[0, 0], slopes[25, 3], slopes[50, 12], np.abs(slopes).mean(),
    ]  # fmt: skip
    librosas = [
        -1.4568777, 2.156046, -6.265223, -11.347503, -25.286646, -20.950891, 1.4661524,
        10.25593, -7.3420544, -0.22201005, -0.71805376, 0.6978898,
    ]  # fmt: skip
    np.testing.assert_allclose(found, librosas, rtol=1e-4, atol=1e-5)


def test_a_sound_comes_back_from_its_spectra() -> None:
    for hop, window in ((64, None), (80, 200)):
        back = spectra.istft(spectra.stft(SWEEP, 256, hop, window), hop, len(SWEEP), window)
        np.testing.assert_allclose(back, SWEEP, atol=1e-5)


def test_silence_has_finite_logarithms() -> None:
    mels = spectra.log_mel(np.zeros(900), 8000)
    np.testing.assert_allclose(mels, np.log(spectra.FLOOR), rtol=1e-6)
