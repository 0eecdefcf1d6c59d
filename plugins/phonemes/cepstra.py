"""Cepstra of speech, with the log energy of a frame in place of the first.

Pre-emphasis of 0.97, Hamming windows of 25 ms every 10 ms, as many as fit; power in triangles that are evenly spaced
in HTK's mel from 20 Hz to half the rate, with corners at whole bins of the spectrum; orthonormal DCT-II of its natural
logarithm. To the last digit that is what the 13 coefficients of the speechocean762 file are, so a model trained on
them hears new recordings too.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dct

from lstmlab.data.spectra import FLOOR

EMPHASIS, WINDOW, HOP, LOWEST = 0.97, 0.025, 0.010, 20.0  # -, seconds, seconds, Hz
FEWEST = WINDOW  # seconds: one window


def mfcc(samples: np.ndarray, rate: int, bands: int = 26, count: int = 13) -> np.ndarray:
    """Return (frames, count), float32, of samples that last one window at least."""
    window, hop = round(WINDOW * rate), round(HOP * rate)
    samples = samples.astype(np.float64)
    emphasised = np.append(samples[0], samples[1:] - EMPHASIS * samples[:-1])
    frames, plain = (np.lib.stride_tricks.sliding_window_view(x, window)[::hop] for x in (emphasised, samples))
    n_fft = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hamming(window), n_fft)) ** 2
    cepstra = dct(np.log(np.maximum(power @ triangles(rate, n_fft, bands).T, FLOOR)), norm="ortho", axis=1)[:, :count]
    cepstra[:, 0] = np.log(np.maximum((plain**2).sum(1), FLOOR))
    return np.asarray(cepstra, np.float32)


def triangles(rate: int, n_fft: int, bands: int) -> np.ndarray:
    """Return filters (bands, n_fft / 2 + 1) with a peak of 1 and corners at whole bins."""
    low, high = (1127 * np.log(1 + f / 700) for f in (LOWEST, rate / 2))
    corners = np.floor((n_fft + 1) * 700 * (np.exp(np.linspace(low, high, bands + 2) / 1127) - 1) / rate)
    bins = np.arange(n_fft // 2 + 1)
    rising, falling = (bins - corners[:-2, None]), (corners[2:, None] - bins)
    widths = np.maximum(np.diff(corners), 1e-9)
    return np.maximum(0, np.minimum(rising / widths[:-1, None], falling / widths[1:, None]))
