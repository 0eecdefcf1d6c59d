"""What a report shows of samples: piano rolls, a player, and MIDI files to take away."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.data.audio import wav_player
from lstmlab.errors import LstmlabError

from .midi import midi_bytes
from .pieces import LOWEST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATE = 8000  # samples of a second: room for the fourth harmonic of the highest notes that voices sing
LONGEST = 12.0  # seconds of a player: 96 kB; what would take longer is played faster
TEMPO = 90.0  # beats per minute
HARMONICS = (1.0, 0.45, 0.25, 0.12)  # amplitudes
RELEASE = 0.08  # seconds in which a note dies away
TRUTH = "the piece itself"


def draw_rolls(rolls: Mapping[str, np.ndarray], primed: int, colours: Mapping[str, Any]) -> Figure:
    """Return piano rolls one below the other: the true piece, and how each model goes on from its beginning.

    Args:
        rolls: booleans (frames, 88) by name; one without a colour is grey.
        primed: frames that all share.
        colours: of names.
    """
    from matplotlib.figure import Figure

    sounding = np.flatnonzero(np.concatenate(list(rolls.values())).any(0))
    low, high = int(sounding.min()) - 1, int(sounding.max()) + 1
    figure = Figure(figsize=(8.9, 1.55 * len(rolls) + 0.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(rolls), 1, sharex=True))
    for ax, (name, roll) in zip(axes, rolls.items(), strict=True):
        _draw_roll(ax, roll, colours.get(name, "0.3"))
        ax.axvspan(0, primed, color="0.93", zorder=0, lw=0)
        ax.set_ylim(low - 0.5, high + 0.5)
        octaves = [k for k in range(low, high + 1) if (k + LOWEST) % 12 == 0]
        ax.set_yticks(octaves, [f"C{(k + LOWEST) // 12 - 1}" for k in octaves])
        ax.set_title(name, loc="left", fontsize=9, fontweight="bold")
        ax.tick_params(labelsize=8)
        ax.grid(axis="y", color="0.85", lw=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_ylabel("key", fontsize=8)
    axes[-1].set_xlim(0, max(len(r) for r in rolls.values()))
    axes[-1].set_xlabel(f"frame (grey: the {primed} that are given)", fontsize=8)
    return figure


def _draw_roll(ax: Axes, roll: np.ndarray, colour: Any) -> None:
    edges = np.diff(np.pad(roll.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    for key in np.flatnonzero(roll.any(0)):
        begins, ends = np.flatnonzero(edges[:, key] > 0), np.flatnonzero(edges[:, key] < 0)
        bars = [(float(a), float(b - a) - 0.08) for a, b in zip(begins, ends, strict=True)]
        ax.broken_barh(bars, (float(key) - 0.45, 0.9), facecolors=colour, zorder=2)


def draw_surprise(ax: Axes, costs: Mapping[str, np.ndarray], colours: Mapping[str, Any]) -> None:
    """Draw the cost in nats of each frame but the first, by name; one without a colour is grey."""
    for name, cost in costs.items():
        frames = np.arange(1, len(cost) + 1)
        known = name in colours
        ax.step(frames, cost, where="mid", color=colours.get(name, "0.6"), lw=1.4 if known else 1.0, label=name)
    ax.margins(y=0.25)  # room for the legend
    ax.set_xlabel("frame")
    ax.set_ylabel("surprise (nats)")


def players(rolls: Mapping[str, np.ndarray], frames_per_beat: int) -> Any:
    """Return a table that a notebook shows: a player and a MIDI file for each roll, held in the page itself."""
    from IPython.display import HTML

    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{wav_player(wav(roll, frames_per_beat))}</td>"
        f"<td>{_link(name, roll, frames_per_beat)}</td></tr>"
        for name, roll in rolls.items()
    )
    return HTML(f"<table><thead><tr><th>piece</th><th>listen</th><th>take away</th></tr></thead>{rows}</table>")


def _link(name: str, roll: np.ndarray, frames_per_beat: int) -> str:
    try:
        data = base64.b64encode(midi_bytes(roll, frames_per_beat, TEMPO)).decode()
    except LstmlabError as error:  # mido is optional
        return escape(str(error))
    file = escape(name.replace(" ", "_"), quote=True)
    return f'<a download="{file}.mid" href="data:audio/midi;base64,{data}">{file}.mid</a>'


def wav(roll: np.ndarray, frames_per_beat: int) -> bytes:
    """Return a piano roll as a mono WAV file with 8 bits a sample: each note a few harmonics that fade."""
    frame = min(60 / TEMPO / frames_per_beat, LONGEST / len(roll))
    sound = np.zeros(int(RATE * (frame * len(roll) + RELEASE)))
    edges = np.diff(np.pad(roll.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    for key in np.flatnonzero(roll.any(0)):
        begins, ends = np.flatnonzero(edges[:, key] > 0), np.flatnonzero(edges[:, key] < 0)
        for begin, end in zip(begins, ends, strict=True):
            tone = _tone(440.0 * 2 ** ((key + LOWEST - 69) / 12), (end - begin) * frame)
            at = int(RATE * frame * begin)
            sound[at : at + len(tone)] += tone[: len(sound) - at]
    loudest = max(float(np.abs(sound).max()), 1e-9)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(RATE)
        file.writeframes((127.5 + 120 * sound / loudest).astype(np.uint8).tobytes())
    return out.getvalue()


def _tone(pitch: float, seconds: float) -> np.ndarray:
    time = np.arange(int(RATE * (seconds + RELEASE))) / RATE
    heard = [(n, a) for n, a in enumerate(HARMONICS, 1) if n * pitch < RATE / 2]
    tone = sum((a * np.sin(2 * np.pi * n * pitch * time) for n, a in heard), np.zeros(len(time)))
    attack, release = np.clip(time / 0.01, 0, 1), np.clip((time[-1] - time) / RELEASE, 0, 1) if len(time) else 1.0
    return tone * attack * release * np.exp(-1.2 * time)
