"""From mel bands back to sound: spectra that explain the bands, then phases that fit the spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lstmlab.data.spectra import istft, log_mel, mel_filters, stft

MOMENTUM = 0.99  # of Perraudin et al. (2013)
ROUNDS = 40  # of the multiplicative updates: the bands are met within a per cent


@dataclass(frozen=True)
class MelFrames:
    """How sound is seen as frames of log mel bands, and made again from them.

    Attributes:
        rate: samples per second.
        bands: mel bands, from 0 Hz to half the rate.
        hop: seconds from one frame to the next.
        window: seconds of the Hann window; four times the hop or more, or phases cannot be found.
    """

    rate: int
    bands: int
    hop: float
    window: float

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop * self.rate)

    @property
    def covered(self) -> int:
        """Samples of the window."""
        return round(self.window * self.rate)

    @property
    def n_fft(self) -> int:
        """Samples of a frame: the next power of two."""
        return 1 << (self.covered - 1).bit_length()

    def times(self, frames: int) -> np.ndarray:
        """Return the middle of each frame in seconds."""
        return np.arange(frames) * self.step / self.rate

    def of(self, samples: np.ndarray) -> np.ndarray:
        """Return the natural logarithm of the power in each band, (1 + samples // step, bands)."""
        return log_mel(samples, self.rate, self.bands, hop=self.hop, window=self.window)

    def magnitudes(self, log_mels: np.ndarray) -> np.ndarray:
        """Return amplitude spectra (frames, n_fft / 2 + 1), at least 0, whose mel bands are those given.

        There are many; multiplicative updates (Lee and Seung 2001, for the Kullback-Leibler divergence) go to one near
        the smooth spectrum that they start from, and fit soft bands as well as loud ones.
        """
        filters = mel_filters(self.rate, self.n_fft, self.bands)
        power, total = np.exp(log_mels.astype(np.float32)), filters.sum(0) + 1e-12
        found = power @ (filters / total) + 1e-12
        for _ in range(ROUNDS):
            found *= (power / (found @ filters.T + 1e-12)) @ filters / total
        return np.sqrt(found)

    def sound(self, log_mels: np.ndarray, iterations: int = 60, seed: int = 0) -> np.ndarray:
        """Return samples ((frames - 1) * step,) that sound as the log mel bands (frames, bands) say."""
        return griffin_lim(self.magnitudes(log_mels), self.step, self.covered, iterations, seed)


def griffin_lim(
    magnitudes: np.ndarray, step: int, window: int, iterations: int = 60, seed: int = 0, momentum: float = MOMENTUM
) -> np.ndarray:
    """Return samples ((frames - 1) * step,) whose short-time spectra have the given magnitudes, as far as any have.

    Spectra are projected in turn on those that some signal has, and on those of the given magnitudes (Griffin and Lim
    1984); each step goes a bit further in the direction of the last one ("fast Griffin-Lim", Perraudin, Balazs and
    Sondergaard 2013, https://doi.org/10.1109/WASPAA.2013.6701851).

    Args:
        magnitudes: (frames, n_fft / 2 + 1).
        step: samples from one frame to the next.
        window: samples that the window covers.
        iterations: pairs of projections.
        seed: of the phases at the start.
        momentum: 0 is the algorithm of 1984.
    """
    length, n_fft = (len(magnitudes) - 1) * step, 2 * (magnitudes.shape[1] - 1)
    angles = np.random.default_rng(seed).uniform(-np.pi, np.pi, magnitudes.shape).astype(np.float32)
    spectra = magnitudes * np.exp(1j * angles)
    before = np.zeros_like(spectra)
    for _ in range(iterations):
        possible = stft(istft(spectra, step, length, window), n_fft, step, window)
        ahead = possible + momentum * (possible - before)
        before = possible
        spectra = magnitudes * (ahead / np.maximum(np.abs(ahead), 1e-9))
    return istft(spectra, step, length, window)


def convergence(samples: np.ndarray, magnitudes: np.ndarray, step: int, window: int) -> float:
    """Return how far the spectra of samples are from ``magnitudes``, relative to these: 0 is a perfect match."""
    found = np.abs(stft(samples, 2 * (magnitudes.shape[1] - 1), step, window))
    return float(np.linalg.norm(found - magnitudes) / np.linalg.norm(magnitudes))
