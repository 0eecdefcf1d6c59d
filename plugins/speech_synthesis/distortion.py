"""How far synthetic frames are from real ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.fft import dct

ORDER = 12  # cepstral coefficients that count, after the 0th
DB = 10 / np.log(10)  # of one neper of power


def cepstra(log_mels: np.ndarray) -> np.ndarray:
    """Return c_1 to c_12 (frames, 12), where ln amplitude of band k is c_0 + sum of c_d cos(pi d (k + 1/2) / bands).

    They are those of the type-II cosine transform of the logarithm of the power in mel bands.
    """
    bands = log_mels.shape[1]
    return np.asarray(dct(log_mels.astype(np.float64) / 2, norm="ortho", axis=1)[:, 1 : ORDER + 1] * np.sqrt(2 / bands))


def distortion(answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the mel-cepstral distortion of each frame (frames,) in dB, from log mel bands (frames, bands).

    10 / ln 10 * sqrt(2 * sum over d = 1..12 of (c_d - c'_d)^2): Kubichek (1993), "Mel-cepstral distance measure for
    objective speech quality assessment", https://doi.org/10.1109/PACRIM.1993.407206. With `cepstra` as they are, it
    is the root mean square over bands of the difference in dB between two smoothed mel spectra of equal level.
    """
    return np.asarray(DB * np.sqrt(2 * ((cepstra(answer) - cepstra(truth)) ** 2).sum(1)))


def scores(
    answers: Sequence[np.ndarray], truths: Sequence[np.ndarray], spoken: Sequence[np.ndarray]
) -> dict[str, float]:
    """Return the metrics over all frames of all utterances in which somebody speaks.

    Args:
        answers: log mel bands (frames, bands) of each utterance.
        truths: the real ones.
        spoken: booleans (frames,): frames that count.
    """
    answer, truth = (np.concatenate([m[s] for m, s in zip(mels, spoken, strict=True)]) for mels in (answers, truths))
    return {
        "MCD": float(distortion(answer, truth).mean()),
        "log-mel error": float(DB * np.abs(answer.astype(np.float64) - truth).mean()),
    }
