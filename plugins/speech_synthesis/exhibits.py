"""What a report shows of synthetic speech: spectrograms, sounds, and which phones are far from real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.data.audio import player
from lstmlab.data.spectra import mel
from lstmlab.tasks.griffin_lim import MelFrames

from .distortion import DB, distortion
from .phones import CLASSES, OTHERS, SILENCE, class_of
from .utterances import Utterance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL = "the recording"
CEILING = "the recording through mel bands and Griffin-Lim"
RANGE = 80.0  # dB below the loudest that a spectrogram shows
LONGEST = 4.0  # seconds of a spectrogram


def draw_spectrograms(utterance: Utterance, mels: MelFrames, shown: Mapping[str, np.ndarray]) -> Figure:
    """Return spectrograms one below the other, on one scale, with the phones under them.

    Args:
        utterance: whose phones are named.
        mels: tells times and frequencies.
        shown: log mel bands (frames, bands) by name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.9, 1.35 * len(shown) + 0.7), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(shown), 1, sharex=True))
    loudest = DB * max(float(found.max()) for found in shown.values())
    for ax, (name, found) in zip(axes, shown.items(), strict=True):
        end = len(found) * mels.step / mels.rate
        image = ax.imshow(
            DB * found.T - loudest, origin="lower", aspect="auto", extent=(0, end, 0, mels.bands), cmap="magma",
            vmin=-RANGE, vmax=0, interpolation="nearest",
        )  # fmt: skip
        ax.set_title(name, loc="left", fontsize=9, fontweight="bold")
        ax.set_yticks(*_ticks(mels), fontsize=7)
        ax.set_ylabel("frequency (kHz)", fontsize=7)
        ax.set_xlim(0, min(end, LONGEST))
    _name_phones(axes[-1], utterance, min(sum(utterance.seconds), LONGEST))
    axes[-1].set_xlabel("time (s)", labelpad=22, fontsize=8)
    figure.colorbar(image, ax=axes.tolist(), label="power (dB below the loudest)", aspect=40, pad=0.01)
    return figure


def _ticks(mels: MelFrames) -> tuple[list[float], list[str]]:
    """Return where on an axis of bands some frequencies are, and what they are called."""
    top = float(mel(np.array(mels.rate / 2)))
    kilohertz = [k for k in (0.5, 1, 2, 4, 8, 16) if 1000 * k < 0.95 * mels.rate / 2]
    return [float(mel(np.array(1000 * k))) / top * mels.bands for k in kilohertz], [f"{k:g}" for k in kilohertz]


def _name_phones(ax: Axes, utterance: Utterance, until: float) -> None:
    """Write phones below an axis of time, in two rows so that short ones can be read, with lines between them."""
    ends = np.cumsum(utterance.seconds)
    for i, (phone, end) in enumerate(zip(utterance.phones, ends, strict=True)):
        middle = end - utterance.seconds[i] / 2
        if middle < until:
            ax.annotate(
                phone if phone != SILENCE else "–", (middle, 0), (0, -17 - 8 * (i % 2)), ha="center", va="top",
                fontsize=6.5, xycoords=ax.get_xaxis_transform(), textcoords="offset points", annotation_clip=False,
            )  # fmt: skip
        if end < until:
            ax.axvline(end, color="0.75", lw=0.4)


def draw_distortion(
    ax: Axes, utterance: Utterance, mels: MelFrames, real: np.ndarray, answers: Mapping[str, np.ndarray],
    colours: Mapping[str, Any],
) -> None:  # fmt: skip
    """Draw the distortion of each frame along an utterance; silence is left white, and what has no colour is grey."""
    times = mels.times(len(real))
    kept = (times < LONGEST) & utterance.spoken_at(times)
    for name, answer in answers.items():
        far = np.where(kept, distortion(answer, real), np.nan)
        ax.plot(times, far, color=colours.get(name, "0.6"), lw=1.3 if name in colours else 1.0, label=name)
    ends = np.cumsum(utterance.seconds)
    ax.set_xlim(0, min(float(ends[-1]), LONGEST))
    ax.set_ylim(0, None)
    ax.margins(y=0.25)
    for phone, end, seconds in zip(utterance.phones, ends, utterance.seconds, strict=True):
        if end < LONGEST:
            ax.axvline(end, color="0.85", lw=0.5, zorder=0)
        if phone != SILENCE and end - seconds / 2 < LONGEST:
            at = end - seconds / 2
            ax.text(at, 0.02, phone, ha="center", fontsize=6, color="0.4", transform=ax.get_xaxis_transform())
    ax.set_xlabel("time (s)")
    ax.set_ylabel("mel-cepstral distortion (dB)")


def players(utterance: Utterance, mels: MelFrames, sounds: Mapping[str, np.ndarray]) -> Any:
    """Return a table that a notebook shows: a player for each sound, and how far that is from the recording."""
    from IPython.display import HTML

    real = mels.of(utterance.samples)
    rows = [f"<tr><td>{REAL}</td><td>{player(utterance.samples, mels.rate)}</td><td></td></tr>"]
    for name, samples in sounds.items():
        heard = mels.of(samples)
        frames = min(len(heard), len(real))
        spoken = utterance.spoken_at(mels.times(frames))
        far = float(distortion(heard[:frames][spoken], real[:frames][spoken]).mean())
        rows.append(f"<tr><td>{escape(name)}</td><td>{player(samples, mels.rate)}</td><td>{far:.2f}</td></tr>")
    head = "<tr><th>sound</th><th>listen</th><th>MCD of the sound itself (dB)</th></tr>"
    phones = escape(" ".join(utterance.phones))
    return HTML(f"<p>{escape(utterance.name)}: {phones}</p><table><thead>{head}</thead>{''.join(rows)}</table>")


def by_phone(
    utterances: Sequence[Utterance], mels: MelFrames, real: Sequence[np.ndarray],
    answers: Mapping[str, Sequence[np.ndarray]],
) -> pd.DataFrame:  # fmt: skip
    """Return a row for each frame in which somebody speaks: phone, class, and the distortion of each answer."""
    import pandas as pd

    tables = []
    for i, utterance in enumerate(utterances):
        times = mels.times(len(real[i]))
        spoken = utterance.spoken_at(times)
        phones = np.array(utterance.phones)[utterance.phone_at(times)[spoken]]
        far = {name: distortion(found[i][spoken], real[i][spoken]) for name, found in answers.items()}
        tables.append(pd.DataFrame({"phone": phones, "class": [class_of(p) for p in phones], **far}))
    return pd.concat(tables)


def phone_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean distortion of each phone, the worst of the last column first, with the frames that it has."""
    grouped = table.groupby(["phone", "class"])
    means = grouped.mean().round(2)
    means.insert(0, "frames", grouped.size())
    return means.sort_values(means.columns[-1], ascending=False).reset_index()


def draw_classes(table: pd.DataFrame, others: Sequence[str], colours: Mapping[str, Any]) -> Figure:
    """Return a figure of the mean distortion of each class of phones; baselines are grey."""
    from matplotlib.figure import Figure

    means = table.drop(columns="phone").groupby("class").mean()
    classes = [c for c in (*CLASSES, OTHERS) if c in means.index]
    figure = Figure(figsize=(8.9, 2.7), layout="constrained")
    ax = figure.subplots()
    names = list(means.columns)
    for i, name in enumerate(names):
        aside = (i - (len(names) - 1) / 2) * 0.5 / len(names)
        shape = "osD^v"[i % 5] if name in colours else "x+"[i % 2]
        ax.plot(
            np.arange(len(classes)) + aside, means.loc[classes, name], ls="", marker=shape, ms=5,
            color=colours.get(name, "0.55" if i else "0.3"), label=name,
        )  # fmt: skip
    ax.set_xticks(range(len(classes)), classes, fontsize=8)
    ax.set_ylim(0, None)
    ax.set_ylabel("mel-cepstral distortion (dB)")
    ax.set_xlabel("class of phones")
    ax.legend(fontsize=7, ncols=3, frameon=False, loc="upper left", bbox_to_anchor=(0, 1.2))
    return figure
