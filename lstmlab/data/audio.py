"""Sound files: read as one channel at one rate, or refused by name; and written as WAV."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from lstmlab.data.sound_header import promised_frames
from lstmlab.errors import LstmlabError

SUFFIXES = (".wav", ".flac")
SILENT = 1e-3  # of full scale, -60 dB: a recording without any sample above it holds no speech
FULL = 0.999  # of full scale; samples in a row that reach it are clipped
IN_A_ROW = 3
NAMED = 3  # files that a sentence names


class SoundError(LstmlabError):
    """A sound file that cannot be used: its name, what is wrong, what is expected."""


@dataclass(frozen=True)
class Sound:
    """Samples (n,), float32 with full scale at 1, of one channel; ``rate`` of them make a second."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


def read_sound(path: Path, rate: int | None = None) -> tuple[Sound, list[str]]:
    """Read a sound file: WAV (PCM of 8 to 32 bits, floats), FLAC, NIST SPHERE and what else libsndfile knows.

    Args:
        path: the file.
        rate: samples of a second that the sound shall have; without it, those of the file.

    Returns:
        The sound, and what was done to it or should be known of it, each in words that `remarked` counts.

    Raises:
        SoundError: when it is not a sound file, cut short, empty, silent, or holds values that are not numbers.
        LstmlabError: when soundfile is not installed.
    """
    channels, found = _decode(path)
    if not len(channels):
        raise SoundError(f"{path}: the file has a header and no samples; expected a recording")
    if not np.isfinite(channels).all():
        at = int(np.argmax(~np.isfinite(channels).all(1)))
        raise SoundError(f"{path}: sample {at} is not a finite number; expected samples between -1 and 1")
    remarks = ["clipped: three or more samples in a row at full scale"] if _clips(channels) else []
    if channels.shape[1] > 1:
        remarks.append(f"the mean of {channels.shape[1]} channels")
    samples = channels.mean(1)
    if np.abs(samples).max() < SILENT:
        raise SoundError(f"{path}: silence, no sample reaches {SILENT} of full scale; expected a recording")
    if rate and found != rate:
        remarks.append(f"resampled from {found:,} to {rate:,} Hz")
        samples = resample(samples, found, rate)
    return Sound(np.ascontiguousarray(samples, np.float32), rate or found), remarks


def _decode(path: Path) -> tuple[np.ndarray, int]:
    """Return samples (frames, channels) and their rate."""
    try:
        import soundfile
    except ImportError:
        raise LstmlabError("sound files need soundfile: pip install soundfile") from None
    try:
        with soundfile.SoundFile(str(path)) as file:
            promised = promised_frames(path) or file.frames
            channels, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise SoundError(f"{path} cannot be read as sound: {reason} Expected WAV or FLAC.") from None
    if len(channels) < promised:
        raise SoundError(
            f"{path} is cut short: its header promises {promised:,} samples, there are {len(channels):,}; "
            "copy or record it again"
        )
    return channels, rate


def _clips(channels: np.ndarray) -> bool:
    """Return whether some channel stays at full scale, at one side, for `IN_A_ROW` samples."""
    for side in (channels >= FULL, channels <= -FULL):
        run = side[IN_A_ROW - 1 :].copy()
        for back in range(1, IN_A_ROW):
            run &= side[IN_A_ROW - 1 - back : len(side) - back]
        if run.any():
            return True
    return False


def resample(samples: np.ndarray, found: int, rate: int) -> np.ndarray:
    """Return samples at another rate (polyphase filter of scipy)."""
    from scipy.signal import resample_poly

    common = gcd(found, rate)
    return np.asarray(resample_poly(samples, rate // common, found // common), np.float32)


def remarked(remarks: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each thing that `read_sound` said of files, by name: how many and which.

    >>> remarked({"a.wav": ["the mean of 2 channels"], "b.wav": []})
    ['1 of 2 sound files: the mean of 2 channels (a.wav).']
    """
    said: dict[str, list[str]] = {}
    for name, phrases in remarks.items():
        for phrase in phrases:
            said.setdefault(phrase, []).append(name)
    return [
        f"{len(names)} of {len(remarks)} sound files: {phrase} "
        f"({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})."
        for phrase, names in said.items()
    ]


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """Return a mono WAV file of 16 bits; samples beyond full scale make all of it softer, none is clipped."""
    loudest = max(float(np.abs(samples).max(initial=0)), 1.0)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples / loudest * 32767).astype("<i2").tobytes())
    return out.getvalue()


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write a mono WAV file of 16 bits."""
    path.write_bytes(wav_bytes(samples, rate))


def player(samples: np.ndarray, rate: int) -> str:
    """Return HTML that plays a sound; the sound is in it."""
    return wav_player(wav_bytes(samples, rate))


def wav_player(wav: bytes) -> str:
    """Return HTML that plays a WAV file; the file is in it."""
    data = base64.b64encode(wav).decode()
    return f'<audio controls preload="none" src="data:audio/wav;base64,{data}"></audio>'


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files below a folder, in order."""
    return sorted(f for f in folder.rglob("*") if f.is_file() and f.suffix.lower() in SUFFIXES)
