"""What a sound holds at which frequency: short-time spectra, mel bands, cepstra.

Frames are centred (frame t looks at the samples around t x hop, beyond the ends is silence), windows are periodic
Hann windows, and mel bands are Slaney's (Auditory Toolbox, 1998): linear below 1 kHz, each triangle with
unit area. So numbers are those of librosa's defaults; the tests have some.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dct

FLOOR = 1e-10  # of power, so that digital silence has a logarithm
LINEAR = 200 / 3  # Hz of one mel below 1 kHz
STEP = np.log(6.4) / 27  # of the logarithm of one mel above
BREAK = 1000.0  # Hz


def stft(samples: np.ndarray, n_fft: int, hop: int, window: int | None = None) -> np.ndarray:
    """Return the complex spectra (frames, n_fft / 2 + 1) of samples (n,); there are 1 + n // hop frames.

    Args:
        samples: of one channel.
        n_fft: samples of a frame.
        hop: samples from one frame to the next.
        window: samples that the Hann window covers, in the middle of the frame; all without it.
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, n_fft // 2), n_fft)[::hop]
    return np.fft.rfft(frames * _hann(n_fft, window)).astype(np.complex64)


def istft(spectra: np.ndarray, hop: int, length: int, window: int | None = None) -> np.ndarray:
    """Return the samples (length,) whose spectra are nearest to ``spectra`` (Griffin and Lim, 1984, eq. 6)."""
    n_fft = 2 * (spectra.shape[1] - 1)
    hann = _hann(n_fft, window)
    frames = np.fft.irfft(spectra, n_fft) * hann
    total, weight = np.zeros((2, n_fft + hop * (len(spectra) - 1)))
    for t, frame in enumerate(frames):
        total[t * hop : t * hop + n_fft] += frame
        weight[t * hop : t * hop + n_fft] += hann**2
    kept = slice(n_fft // 2, n_fft // 2 + length)
    found = np.where(weight > 1e-8, total / np.maximum(weight, 1e-8), 0)[kept]
    return np.pad(found, (0, length - len(found))).astype(np.float32)


def _hann(n_fft: int, window: int | None) -> np.ndarray:
    window = window or n_fft
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    left = (n_fft - window) // 2
    return np.pad(hann, (left, n_fft - window - left)).astype(np.float32)


def mel(hertz: np.ndarray) -> np.ndarray:
    """Return frequencies in mel (Slaney): linear below 1 kHz, logarithmic above."""
    above = BREAK / LINEAR + np.log(np.maximum(hertz, BREAK) / BREAK) / STEP
    return np.where(hertz < BREAK, hertz / LINEAR, above)


def hertz(mels: np.ndarray) -> np.ndarray:
    """Return the frequencies of mels (Slaney)."""
    return np.where(mels < BREAK / LINEAR, mels * LINEAR, BREAK * np.exp(STEP * (mels - BREAK / LINEAR)))


def mel_filters(rate: int, n_fft: int, bands: int, low: float = 0.0, high: float | None = None) -> np.ndarray:
    """Return triangles (bands, n_fft / 2 + 1) of unit area, evenly spaced in mel from ``low`` to ``high`` Hz.

    Raises:
        ValueError: when a band is narrower than the spectrum's resolution, so that nothing would be in it.
    """
    edges = hertz(np.linspace(mel(np.array(low)), mel(np.array(high or rate / 2)), bands + 2))
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    if not filters.any(1).all():
        raise ValueError(f"{bands} bands are too narrow for {n_fft} samples at {rate} Hz: take fewer, or longer frames")
    return filters.astype(np.float32)


def log_mel(
    samples: np.ndarray, rate: int, bands: int = 40, *, hop: float = 0.010, window: float = 0.025,
    low: float = 0.0, high: float | None = None,
) -> np.ndarray:  # fmt: skip
    """Return the natural logarithm of the power in mel bands, (frames, bands), float32.

    Args:
        samples: of one channel.
        rate: samples of a second.
        bands: between ``low`` and ``high`` Hz; without ``high``, up to half the rate.
        hop: seconds from one frame to the next.
        window: seconds of the Hann window; the frame is the next power of two in samples.
        low: Hz.
        high: Hz.
    """
    covered = round(window * rate)
    n_fft = 1 << (covered - 1).bit_length()
    power = np.abs(stft(samples, n_fft, round(hop * rate), covered)) ** 2
    return np.log(np.maximum(power @ mel_filters(rate, n_fft, bands, low, high).T, FLOOR)).astype(np.float32)


def mfcc(log_mels: np.ndarray, count: int = 13) -> np.ndarray:
    """Return the first cepstral coefficients (frames, count) of log mel bands: their orthonormal DCT-II."""
    return np.asarray(dct(log_mels, norm="ortho", axis=1)[:, :count], np.float32)


def deltas(features: np.ndarray, reach: int = 2) -> np.ndarray:
    """Return the slope of each feature over ``reach`` frames at both sides (regression; the ends are repeated).

    Young et al., The HTK Book, eq. 5.16.
    """
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    frames = len(features)
    ahead = sum(k * (padded[reach + k :][:frames] - padded[reach - k :][:frames]) for k in range(1, reach + 1))
    return np.asarray(ahead / (2 * sum(k * k for k in range(1, reach + 1))), np.float32)
