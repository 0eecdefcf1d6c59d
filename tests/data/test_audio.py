"""Sound files are read as one channel at one rate; what cannot be used is refused by name."""

from __future__ import annotations

import io
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lstmlab.data.audio import Sound, SoundError, read_sound, remarked, wav_bytes, write_wav
from lstmlab.data.sound_header import promised_frames
from lstmlab.errors import LstmlabError


def tone(rate: int = 16000, pitch: float = 440.0, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [
        ("a.wav", "PCM_U8", 1 / 100), ("a.wav", "PCM_16", 1e-4), ("a.wav", "PCM_24", 1e-6), ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "FLOAT", 1e-7), ("a.wav", "DOUBLE", 1e-7), ("a.flac", "PCM_16", 1e-4), ("a.flac", "PCM_24", 1e-6),
        ("a.nist", "PCM_16", 1e-4),
    ],
)  # fmt: skip
def test_samples_are_those_that_were_written(tmp_path: Path, name: str, subtype: str, error: float) -> None:
    soundfile.write(tmp_path / name, tone(), 16000, subtype=subtype)
    sound, remarks = read_sound(tmp_path / name)
    assert (sound.rate, sound.seconds, remarks) == (16000, 0.5, [])
    assert sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, tone(), atol=error)


def test_channels_are_averaged_and_rates_converted_and_both_are_told(tmp_path: Path) -> None:
    left = tone(44100, 1000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], 1), 44100)
    sound, remarks = read_sound(tmp_path / "a.wav", 16000)
    assert remarks == ["the mean of 2 channels", "resampled from 44,100 to 16,000 Hz"]
    inner = slice(800, -800)
    np.testing.assert_allclose(sound.samples[inner], tone(16000, 1000)[inner] / 2, atol=2e-3)


def test_what_lies_above_half_the_new_rate_is_taken_away(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000, 6000), 16000)
    sound, _ = read_sound(tmp_path / "a.wav", 8000)
    assert np.abs(sound.samples[400:-400]).max() < 5e-3


def test_clipping_is_told_and_a_single_full_sample_is_none(tmp_path: Path) -> None:
    loud, peak = np.clip(4 * tone(), -1, 1), tone()
    peak[100] = 1
    soundfile.write(tmp_path / "loud.wav", loud, 16000)
    soundfile.write(tmp_path / "peak.wav", peak, 16000)
    told = {name: read_sound(tmp_path / name)[1] for name in ("loud.wav", "peak.wav")}
    assert remarked(told) == ["1 of 2 sound files: clipped: three or more samples in a row at full scale (loud.wav)."]
    many = {f"{i}.wav": ["the mean of 2 channels"] for i in range(5)}
    assert remarked(many) == ["5 of 5 sound files: the mean of 2 channels (0.wav, 1.wav, 2.wav, ...)."]


def cut(path: Path, name: str, share: float = 0.6) -> Path:
    whole = path / f"whole_{name}"
    soundfile.write(whole, tone(seconds=2), 16000, subtype="PCM_16")
    (path / name).write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    return path / name


def made(path: Path, samples: Any, **settings: Any) -> Path:
    soundfile.write(path / "bad.wav", samples, 16000, **settings)
    return path / "bad.wav"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: cut(p, "bad.wav"), r"bad\.wav is cut short: its header promises 32,000 samples, there are 19,1\d\d"),
        (lambda p: cut(p, "bad.nist"), r"bad\.nist is cut short: its header promises 32,000 samples"),
        (lambda p: cut(p, "bad.flac"), r"bad\.flac (is cut short|cannot be read)"),
        (lambda p: cut(p, "bad.wav", 0.0003), r"bad\.wav cannot be read as sound.*Expected WAV or FLAC"),
        (lambda p: made(p, np.zeros(0)), r"bad\.wav: .*no samples"),
        (lambda p: made(p, np.zeros(9000)), r"bad\.wav: silence"),
        (lambda p: made(p, [0.1, np.nan, 0.2], subtype="FLOAT"), r"bad\.wav: sample 1 is not a finite number"),
        (lambda p: Path(__file__), r"test_audio\.py cannot be read as sound"),
        (lambda p: p / "none.wav", r"none\.wav cannot be read as sound"),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(SoundError, match=f"(?s){message}"):
        read_sound(make(tmp_path))


def test_a_header_that_names_no_length_is_believed_to_the_end_of_the_file(tmp_path: Path) -> None:
    """Programs that write to a pipe leave 0xFFFFFFFF where the sizes belong."""
    data = bytearray(wav_bytes(tone(), 16000))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "pipe.wav").write_bytes(data)
    assert promised_frames(tmp_path / "pipe.wav") is None
    assert len(read_sound(tmp_path / "pipe.wav")[0].samples) == 8000


def test_what_is_written_reads_as_it_was_and_never_clips(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(), 16000)
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav")[0].samples, tone(), atol=1e-4)
    with wave.open(io.BytesIO(wav_bytes(3 * tone(), 16000))) as file:
        read = np.frombuffer(file.readframes(-1), "<i2") / 32767
    np.testing.assert_allclose(read, tone() / 0.5, atol=1e-4)


def test_without_soundfile_the_error_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(LstmlabError, match="pip install soundfile"):
        read_sound(tmp_path / "a.wav")
    assert Sound(np.zeros(8000, np.float32), 16000).seconds == 0.5
