"""The pitch of a voice over time."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

LOWEST, HIGHEST = 60.0, 400.0  # Hz
WINDOW = 0.05  # seconds: three periods of the lowest pitch
VOICED = 0.5  # how alike a sound is to itself one period later, where it has a pitch
QUIET = 0.02  # of the loudest frame's amplitude: softer ones have no pitch
OCTAVE = 0.05  # cost of each octave that a pitch lies below the highest: of two periods the shorter is taken
STEADY = 5  # frames whose median a frame's pitch is


def track(samples: np.ndarray, rate: int, step: int, frames: int) -> np.ndarray:
    """Return the pitch (frames,) in Hz, NaN where there is none; frame t is centred at sample t * step.

    The autocorrelation of a windowed frame is divided by that of the window (Boersma 1993, "Accurate short-term
    analysis of the fundamental frequency", Proc. Institute of Phonetic Sciences Amsterdam 17:97); its largest
    peak is taken for each frame by itself.
    """
    size = round(WINDOW * rate)
    hann = np.hanning(size + 2)[1:-1]
    padded = np.pad(samples, (size // 2, size + frames * step))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[::step][:frames]
    pieces = (pieces - pieces.mean(1, keepdims=True)) * hann
    n_fft = 1 << (size + int(rate / LOWEST) + 1).bit_length()  # what wraps around lies beyond the longest lag
    alike, window = _autocorrelation(pieces, n_fft), _autocorrelation(hann[None], n_fft)
    lags = np.arange(int(rate / HIGHEST), int(rate / LOWEST) + 1)
    strength = alike / np.maximum(alike[:, :1], 1e-12) / (window / window[:, :1]).clip(1e-3)
    before, here, after = (strength[:, lags + d] for d in (-1, 0, 1))
    peak = (here >= before) & (here >= after)
    aside = np.where(peak, 0.5 * (after - before) / np.maximum(2 * here - before - after, 1e-9), 0).clip(-0.5, 0.5)
    height = np.where(peak, here + 0.25 * (after - before) * aside, 0)  # of the parabola through three lags
    best = (height - OCTAVE * np.log2(lags / lags[0])).argmax(1)
    rows = np.arange(frames)
    pitch = rate / (lags[best] + aside[rows, best])
    loud = np.sqrt((pieces**2).mean(1))
    voiced = (height[rows, best] > VOICED) & (loud > QUIET * max(float(loud.max()), 1e-9))
    return np.where(voiced, pitch, np.nan)


def contour(samples: np.ndarray, rate: int, step: int, frames: int) -> np.ndarray | None:
    """Return the pitch (frames,) in octaves above 1 Hz, drawn through where there is none; None without any."""
    found = track(samples, rate, step, frames)
    known = np.flatnonzero(~np.isnan(found))
    if not len(known):
        return None
    return median_filter(np.interp(np.arange(frames), known, np.log2(found[known])), STEADY, mode="nearest")


def _autocorrelation(pieces: np.ndarray, n_fft: int) -> np.ndarray:
    return np.fft.irfft(np.abs(np.fft.rfft(pieces, n_fft)) ** 2)
