"""Speech from formants: a small synthesiser after Klatt, for generated datasets of speech.

A buzz (one pulse per period of the voice) and noise pass through resonators, whose frequencies glide
from phone to phone. Structure and consonants are those of Klatt (1980), "Software for a cascade/parallel formant
synthesizer", J. Acoust. Soc. Am. 67:971, tables II and III; steady vowels are the men's means of Peterson and
Barney (1952), "Control methods used in a study of the vowels", J. Acoust. Soc. Am. 24:175, table II.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lstmlab.errors import LstmlabError, nearest

SILENCE = "SIL"
HOP = 0.005  # seconds between two settings of the resonators, as Klatt has it
TAIL = 0.04  # seconds after which a resonance has died away
GLIDE, ATTACK = 0.06, 0.015  # seconds over which formants and loudness go from phone to phone
BANDWIDTHS = (60.0, 90.0, 150.0)  # Hz, of the first three formants
FIXED = ((3300.0, 250.0), (3750.0, 200.0), (4900.0, 1000.0))  # Hz: formants that do not move, with their bandwidths
NASAL, NASAL_ZERO = 270.0, 450.0  # Hz, of the nose's pole, and of the zero that the mouth adds
FLOOR = 1e-3  # amplitude of the noise that is always there, as in a recording: -60 dB


@dataclass(frozen=True)
class Voice:
    """Who speaks.

    Attributes:
        pitch: mean fundamental frequency, Hz.
        tract: factor on all formants; 1 is a man's vocal tract, 1.17 a woman's.
        breath: noise that goes with the buzz, as part of its amplitude.
    """

    pitch: float
    tract: float
    breath: float = 0.02


VOICES = {
    "low": Voice(105, 1.0),
    "high": Voice(205, 1.17, 0.04),
    "deep": Voice(85, 0.94),
    "bright": Voice(170, 1.08, 0.03),
}


@dataclass(frozen=True)
class Phone:
    """What the synthesiser's controls are for one phone.

    Attributes:
        start, end: the first three formants in Hz, at the beginning and the end; None takes the neighbours'.
        buzz, breath: amplitudes of what passes through the formants.
        hiss: amplitude, centre and bandwidth (Hz) of the noise that is made at a narrow passage.
        nasal: whether the nose is open.
        stop: whether the mouth is shut first, then bursts open.
    """

    start: tuple[float, float, float] | None
    end: tuple[float, float, float] | None = None
    buzz: float = 0.0
    breath: float = 0.0
    hiss: tuple[float, float, float] = (0.0, 1000.0, 1000.0)
    nasal: bool = False
    stop: bool = False


def _vowel(*formants: float, to: tuple[float, float, float] | None = None) -> Phone:
    return Phone((formants[0], formants[1], formants[2]), to, buzz=1.0)


_TABLE = {
    # Peterson and Barney (1952), men
    "IY": _vowel(270, 2290, 3010),
    "IH": _vowel(390, 1990, 2550),
    "EH": _vowel(530, 1840, 2480),
    "AE": _vowel(660, 1720, 2410),
    "AA": _vowel(730, 1090, 2440),
    "AO": _vowel(570, 840, 2410),
    "UH": _vowel(440, 1020, 2240),
    "UW": _vowel(300, 870, 2240),
    "AH": _vowel(640, 1190, 2390),
    "ER": _vowel(490, 1350, 1690),
    # Klatt (1980), table II: diphthongs
    "EY": _vowel(480, 1720, 2520, to=(330, 2020, 2600)),
    "AY": _vowel(660, 1200, 2550, to=(400, 1880, 2500)),
    "AW": _vowel(640, 1230, 2550, to=(420, 940, 2350)),
    "OY": _vowel(550, 960, 2400, to=(360, 1820, 2450)),
    "OW": _vowel(540, 1100, 2300, to=(450, 900, 2300)),
    # Klatt (1980), table III: consonants; loudness and hiss by ear
    "W": Phone((290, 610, 2150), buzz=0.5),
    "Y": Phone((260, 2070, 3020), buzz=0.5),
    "R": Phone((310, 1060, 1380), buzz=0.5),
    "L": Phone((310, 1050, 2880), buzz=0.5),
    "M": Phone((480, 1270, 2130), buzz=0.6, nasal=True),
    "N": Phone((480, 1340, 2470), buzz=0.6, nasal=True),
    "NG": Phone((480, 2000, 2900), buzz=0.6, nasal=True),
    "F": Phone((340, 1100, 2080), hiss=(0.3, 3000, 3500)),
    "V": Phone((220, 1100, 2080), buzz=0.25, hiss=(0.15, 3000, 3500)),
    "TH": Phone((320, 1290, 2540), hiss=(0.2, 5500, 4000)),
    "DH": Phone((270, 1290, 2540), buzz=0.3, hiss=(0.1, 5500, 4000)),
    "S": Phone((320, 1390, 2530), hiss=(1.0, 4700, 900)),
    "Z": Phone((240, 1390, 2530), buzz=0.2, hiss=(0.6, 4700, 900)),
    "SH": Phone((300, 1840, 2750), hiss=(1.0, 2600, 700)),
    "ZH": Phone((300, 1840, 2750), buzz=0.2, hiss=(0.6, 2600, 700)),
    "HH": Phone(None, breath=0.1),
    "P": Phone((400, 1100, 2150), breath=0.05, hiss=(0.8, 900, 1200), stop=True),
    "B": Phone((200, 1100, 2150), buzz=0.25, hiss=(0.5, 900, 1200), stop=True),
    "T": Phone((400, 1600, 2600), breath=0.05, hiss=(1.0, 3800, 1200), stop=True),
    "D": Phone((200, 1600, 2600), buzz=0.25, hiss=(0.6, 3800, 1200), stop=True),
    "K": Phone((300, 1990, 2850), breath=0.05, hiss=(1.0, 2000, 500), stop=True),
    "G": Phone((200, 1990, 2850), buzz=0.25, hiss=(0.6, 2000, 500), stop=True),
    "CH": Phone((350, 1800, 2820), hiss=(1.0, 2700, 800), stop=True),
    "JH": Phone((260, 1800, 2820), buzz=0.25, hiss=(0.6, 2700, 800), stop=True),
    SILENCE: Phone(None),
}
PHONES = tuple(name for name in _TABLE if name != SILENCE)
_LONG_BURSTS = ("CH", "JH")  # half of an affricate is hiss


def utter(
    phones: Sequence[str],
    seconds: Sequence[float],
    rate: int = 16_000,
    random: np.random.Generator | None = None,
    voice: str | Voice = "low",
) -> np.ndarray:
    """Return samples (round(rate * sum(seconds)),), float32, within -1 and 1.

    Args:
        phones: of the ARPAbet (`PHONES`), with or without a digit for stress, or `SILENCE`.
        seconds: how long each phone takes.
        rate: samples per second, 8000 at least.
        random: lets pitch, loudness and formants differ from utterance to utterance; without it all are nominal.
        voice: a `Voice`, or one of `VOICES` by name.

    Raises:
        LstmlabError: for phones or voices that are not known, or durations that do not fit.
    """
    who, table = _checked(phones, seconds, rate, voice)
    drawn = random or np.random.default_rng(0)
    formants, loud = _controls(table, np.asarray(seconds, dtype=float), drawn if random else None)
    count, hop = round(rate * sum(seconds)), round(HOP * rate)
    pitch = np.interp(np.arange(count) / rate, *_melody(who.pitch, count / rate, drawn if random else None))
    noise = drawn.standard_normal(count)
    buzz = _pieces(_pulses(pitch, rate) + who.breath * noise, hop, len(loud))
    hiss = _pieces(noise, hop, len(loud))

    size = 1 << (2 * hop + round(TAIL * rate)).bit_length()
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size).astype(np.complex64)  # one step back
    tract = _tract(formants, who.tract, z, rate)
    glottis = _resonator(np.zeros(1), 100.0, z, rate) * (1 - z) * (rate / 100)  # Klatt's RGP, and the lips' radiation
    narrow = _resonator(np.minimum(loud[:, 3], 0.45 * rate), loud[:, 4], z, rate)
    narrow /= np.abs(narrow).max(1, keepdims=True)
    spectra = np.fft.rfft(buzz, size) * (loud[:, :1] * tract * glottis)
    spectra += np.fft.rfft(hiss, size) * (loud[:, 1:2] * tract + loud[:, 2:3] * narrow)
    sound = np.zeros((len(loud) + 1) * hop + size)
    for at, piece in enumerate(np.fft.irfft(spectra, size)):
        sound[at * hop : at * hop + size] += piece
    level = 0.1 * (1 if random is None else random.uniform(0.7, 1.2))
    return np.clip(level * sound[hop : hop + count] + FLOOR * drawn.standard_normal(count), -1, 1).astype(np.float32)


def _checked(
    phones: Sequence[str], seconds: Sequence[float], rate: int, voice: str | Voice
) -> tuple[Voice, list[Phone]]:
    names = [phone.rstrip("012") for phone in phones]
    for name in names:
        if name not in _TABLE:
            raise LstmlabError(
                f"the phone {name!r} is not known.{nearest(name, _TABLE)} Phones are {', '.join(_TABLE)}"
            )
    if len(phones) != len(seconds) or not len(phones) or not all(0 < s < 60 for s in seconds):
        raise LstmlabError(f"{len(phones)} phones and {len(seconds)} durations: give each phone above 0 and below 60 s")
    if rate < 8000:
        raise LstmlabError(f"a rate of {rate} Hz is too low for formants; expected 8000 at least")
    if isinstance(voice, str):
        if voice not in VOICES:
            raise LstmlabError(f"the voice {voice!r} is not known.{nearest(voice, VOICES)}")
        voice = VOICES[voice]
    return voice, [_TABLE[name] for name in names]


def _controls(
    table: Sequence[Phone], seconds: np.ndarray, random: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return formants and the nasal zero (frames, 4) in Hz; buzz, breath and hiss, its centre and width (frames, 5)."""
    ends = np.cumsum(seconds)
    frames = int(np.ceil(ends[-1] / HOP)) + 1
    times = np.minimum(np.arange(frames) * HOP, ends[-1] * (1 - 1e-9))
    of = np.searchsorted(ends, times, side="right")
    part = (times - (ends - seconds)[of]) / seconds[of]  # 0 to 1: where in its phone a frame is

    known = [i for i, phone in enumerate(table) if phone.start]
    near = [min(known, key=lambda k: (abs(k - i), k < i)) if known else None for i in range(len(table))]
    shapes = [table[k] if k is not None else _TABLE["AH"] for k in near]
    start = np.array([phone.start for phone in shapes])
    end = np.array([phone.end or phone.start for phone in shapes])
    for i, k in enumerate(near):  # a phone without formants of its own has those that its neighbour begins or ends with
        if k is not None and k != i:
            start[i] = end[i] = start[k] if k > i else end[k]
    if random is not None:
        spread = random.normal(1, 0.03, start.shape)
        start, end = start * spread, end * spread
    zero = np.array([NASAL_ZERO if phone.nasal else NASAL for phone in table])
    tracks = start[of] + np.clip(1.5 * part - 0.25, 0, 1)[:, None] * (end - start)[of]
    formants = _smooth(np.column_stack([tracks, zero[of]]), GLIDE)

    loud = np.array([(p.buzz, p.breath, *p.hiss) for p in table])[of]
    for i, phone in enumerate(table):
        if phone.stop:
            here = of == i
            loud[here, :3] *= _opening(part[here] * seconds[i], seconds[i], phone)
    loud[:, :3] = _smooth(loud[:, :3], ATTACK)
    return formants, loud


def _opening(time: np.ndarray, seconds: float, phone: Phone) -> np.ndarray:
    """Return factors (frames, 3) on buzz, breath and hiss of a stop: closure, burst, then breath."""
    long = phone in (_TABLE[name] for name in _LONG_BURSTS)
    opens = 0.5 * seconds if long else max(0.55 * seconds, seconds - 0.05)
    burst = seconds if long else min(opens + 0.015, seconds)
    shut = time < opens
    return np.column_stack([np.where(shut, 0.4, 1.0), ~shut, ~shut & (time < burst + HOP)])


def _melody(pitch: float, seconds: float, random: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Return points of time (s) and the pitch there (Hz): it falls from a tenth above to a tenth below the mean."""
    points = np.linspace(0, seconds, max(int(seconds / 0.2), 1) + 1)
    curve = np.linspace(1.1, 0.9, len(points))
    if random is not None:
        curve *= random.normal(1, 0.05) * random.normal(1, 0.03, len(points))
    return points, pitch * curve


def _pulses(pitch: np.ndarray, rate: int) -> np.ndarray:
    """Return one pulse per period; one that falls between two samples is shared by them."""
    phase = np.cumsum(pitch / rate)
    places = np.interp(np.arange(1, int(phase[-1]) + 1), phase, np.arange(len(phase)))
    pulses, whole = np.zeros(len(phase) + 1), places.astype(int)
    np.add.at(pulses, whole, whole + 1 - places)
    np.add.at(pulses, whole + 1, places - whole)
    return pulses[:-1] * np.sqrt(rate / pitch)  # equal power at every pitch


def _pieces(source: np.ndarray, hop: int, frames: int) -> np.ndarray:
    """Return overlapping pieces (frames, 2 * hop), faded in and out, that add up to the source."""
    padded = np.zeros((frames + 1) * hop)
    padded[hop : hop + len(source)] = source[: frames * hop]
    fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(2 * hop) / hop)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop] * fade


def _tract(formants: np.ndarray, scale: float, z: np.ndarray, rate: int) -> np.ndarray:
    """Return the response (frames, frequencies) of mouth and nose."""
    response = _resonator(np.full(1, NASAL * scale), 100.0, z, rate) / _resonator(
        formants[:, 3] * scale, 100.0, z, rate
    )
    for track, width in zip(formants[:, :3].T, BANDWIDTHS, strict=True):
        response = response * _resonator(track * scale, width, z, rate)
    for centre, width in FIXED:
        if centre * scale < 0.44 * rate:  # closer to half the rate it would be a resonance of another kind
            response = response * _resonator(np.full(1, centre * scale), width, z, rate)
    return response


def _resonator(centre: np.ndarray, width: float | np.ndarray, z: np.ndarray, rate: int) -> np.ndarray:
    """Return the response (frames, frequencies) of a digital resonator (Klatt 1980, equation 2), 1 at 0 Hz."""
    radius = np.exp(-np.pi * np.asarray(width) / rate)
    b, c = 2 * radius * np.cos(2 * np.pi * centre / rate), -(radius**2) * np.ones_like(centre)
    a, b, c = (v.astype(np.float32)[:, None] for v in (1 - b - c, b, c))
    return a / (1 - (b + c * z) * z)


def _smooth(tracks: np.ndarray, seconds: float) -> np.ndarray:
    """Return tracks (frames, n) as running means under a bell that is ``seconds`` wide."""
    bell = np.hanning(2 * max(round(seconds / HOP / 2), 1) + 1 + 2)[1:-1]
    reach = len(bell) // 2
    padded = np.pad(tracks, ((reach, reach), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, len(bell), axis=0) @ (bell / bell.sum())
