"""What a report shows of recognised speech: answers over time, alignments, confusions, and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lstmlab.data.audio import player
from lstmlab.data.spectra import log_mel
from lstmlab.tasks.alignments import confusions, edits, error_rate, interval

from .cepstra import HOP

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import nn

    from lstmlab.tasks.alignments import Step

    from .task import Phonemes

HMM = "Gaussian HMM"
SHOWN = 4  # utterances whose alignments are shown
GROUPS = 4  # of utterances by length
SHADES = ("#ffd9a8", "#bcd4ee", "#e3e3e3")  # of substitutions, insertions, deletions
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito: phones in turn
NOTHING = "none"  # a deletion or an insertion, in the figure of confusions
BANDS, RANGE = 32, 60.0  # mel bands and dB of the spectrogram that is shown
SPOKEN = 0.1  # probability that a phone must reach to be drawn


def exhibits(task: Phonemes, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
    """Return title -> figure, table or HTML."""
    answers = {name: task.recognised(model, "test") for name, model in models.items()}
    answers |= task.answers_without_network("test")
    aligned = {name: task.alignments(found, "test") for name, found in answers.items()}
    shown = _shown(task)
    first = task.sequences("test")[shown[0]]
    heard = {name: task.posteriors(model, [first.features])[0] for name, model in models.items()}
    return {
        "Phone error rate on test, with 95 % bootstrap intervals over utterances": table(aligned),
        f"What the cells hear over time in the test utterance {first.name}": draw_posteriors(
            task, shown[0], heard, colours
        ),
        "Test utterances, phone by phone": _alignments(task, shown, {n: aligned[n] for n in (*models, HMM)}),
        "What is taken for what on test, by phone": draw_confusions({n: aligned[n] for n in models}),
    }


def _shown(task: Phonemes) -> list[int]:
    """Return the test utterances that are shown: with sound, of middle length, of several speakers, if there are."""
    spoken = task.spoken["test"]
    middle = float(np.median([len(u.phones) for u in spoken]))
    silent = [task.dataset.sound(u) is None for u in spoken]  # type: ignore[attr-defined]
    order = sorted(range(len(spoken)), key=lambda i: (silent[i], abs(len(spoken[i].phones) - middle), i))
    first = {spoken[i].speaker: i for i in reversed(order)}
    chosen = [i for i in order if first[spoken[i].speaker] == i]
    return (chosen + [i for i in order if i not in chosen])[:SHOWN]


def table(aligned: Mapping[str, Sequence[Sequence[Step]]]) -> Any:
    """Return a row for each answer: the phone error rate, its bootstrap interval, and what kinds of edits it is of."""
    import pandas as pd

    rows = []
    for name, alignments in aligned.items():
        counts, pairs = edits(alignments), confusions(alignments)
        labels = counts[:, 1].sum() / 100
        low, high = interval(counts)
        rows.append(
            {
                "": name,
                "PER (%)": error_rate(counts),
                "from": low,
                "to": high,
                "substituted (%)": sum(n for (a, b), n in pairs.items() if a and b and a != b) / labels,
                "deleted (%)": sum(n for (a, b), n in pairs.items() if b is None) / labels,
                "inserted (%)": sum(n for (a, b), n in pairs.items() if a is None) / labels,
            }
        )
    return pd.DataFrame(rows).set_index("").round(1)


def draw_posteriors(task: Phonemes, number: int, heard: Mapping[str, np.ndarray], colours: Mapping[str, Any]) -> Figure:
    """Return the features of a test utterance, and below, for each cell, the probability of each phone over time.

    Args:
        task: whose test utterance it is.
        number: of the utterance.
        heard: log-probabilities (steps, labels) by cell.
        colours: of the cells.
    """
    from matplotlib.figure import Figure

    sequence, step = task.sequences("test")[number], HOP * task.config.stack
    figure = Figure(figsize=(8.9, 1.7 + 1.5 * len(heard)), layout="constrained")
    top, *axes = np.atleast_1d(figure.subplots(len(heard) + 1, 1, sharex=True))
    _draw_sound(top, task, number)
    top.set_title("reference: " + " ".join(sequence.labels), loc="left", fontsize=8)
    for ax, (name, log_probabilities) in zip(axes, heard.items(), strict=True):
        probabilities = np.exp(log_probabilities)
        times = (np.arange(len(probabilities)) + 0.5) * step
        ax.plot(times, probabilities[:, 0], color="0.75", lw=1)
        _draw_phones(ax, task, times, probabilities)
        answer = " ".join(task.decode(log_probabilities))
        ax.set_title(f"{name}: {answer}", loc="left", fontsize=8, color=colours[name])
        ax.set_ylim(0, 1.25)
        ax.set_ylabel("probability", fontsize=8)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("time (s); grey: blank", fontsize=8)
    axes[-1].set_xlim(0, len(sequence.features) * HOP)
    return figure


def _draw_sound(ax: Axes, task: Phonemes, number: int) -> None:
    """Draw the mel spectrogram of a test utterance; where a dataset has no sound, its normalised features."""
    samples = task.dataset.sound(task.spoken["test"][number])  # type: ignore[attr-defined]
    if samples is not None:
        values = 10 / np.log(10) * log_mel(samples, task.config.rate, BANDS, hop=HOP)
        low, high, what = float(values.max()) - RANGE, float(values.max()), "mel band"
    else:
        features = task.normalised(task.sequences("test")[number].features)
        values, low, high, what = features[:, : task.config.coefficients], -2.5, 2.5, "cepstral\ncoefficient"
    frames, count = values.shape
    ax.imshow(
        values.T, origin="lower", aspect="auto", cmap="cividis", vmin=low, vmax=high,
        extent=(0, frames * HOP, -0.5, count - 0.5),
    )  # fmt: skip
    ax.set_ylabel(what, fontsize=8)
    ax.tick_params(labelsize=8)


def _draw_phones(ax: Axes, task: Phonemes, times: np.ndarray, probabilities: np.ndarray) -> None:
    """Draw each phone that becomes likely, with its name over each peak."""
    labels = np.flatnonzero((probabilities > SPOKEN).any(0)[1:]) + 1
    colours = {int(label): LINES[at % len(LINES)] for at, label in enumerate(labels)}
    for label, colour in colours.items():
        ax.fill_between(times, probabilities[:, label], color=colour, alpha=0.25, lw=0)
        ax.plot(times, probabilities[:, label], color=colour, lw=1)
    best = probabilities.argmax(1)
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    for begin, end in zip(starts, [*starts[1:], len(best)], strict=True):
        if label := int(best[begin]):
            peak = begin + int(probabilities[begin:end, label].argmax())
            place, name = (times[peak], probabilities[peak, label] + 0.04), task.vocabulary.symbols[label]
            ax.text(*place, name, ha="center", fontsize=7, color=colours.get(label, "0.3"))


def draw_confusions(aligned: Mapping[str, Sequence[Sequence[Step]]]) -> Figure:
    """Return, for each cell, which share of each phone (row) was answered as which (column), deletions last."""
    from matplotlib.figure import Figure

    pairs = {name: confusions(alignments) for name, alignments in aligned.items()}
    phones = [*sorted({p for found in pairs.values() for pair in found for p in pair if p}), None]
    names, place = [p or NOTHING for p in phones], {p: i for i, p in enumerate(phones)}
    figure = Figure(figsize=(max(4.6 * len(pairs), 3), 4.9), layout="constrained")
    for ax, (name, found) in zip(np.atleast_1d(figure.subplots(1, len(pairs))), pairs.items(), strict=True):
        counts = np.zeros((len(phones), len(phones)))
        for (reference, answer), times in found.items():
            counts[place[reference], place[answer]] += times
        image = ax.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        ax.set_xticks(range(len(phones)), names, fontsize=5, rotation=90)
        ax.set_yticks(range(len(phones)), names, fontsize=5)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel(f"answer ({NOTHING}: deleted)", fontsize=8)
    figure.axes[0].set_ylabel(f"reference ({NOTHING}: inserted)", fontsize=8)
    bar = figure.colorbar(image, ax=figure.axes, shrink=0.7)
    bar.set_label("share of the reference's phones", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def draw_by_length(ax: Axes, aligned: Mapping[str, Sequence[Sequence[Step]]], colours: Mapping[str, Any]) -> None:
    """Draw bars: the phone error rate of utterances in groups by their number of phones; no colour is grey."""
    counts = {name: edits(alignments) for name, alignments in aligned.items()}
    lengths = next(iter(counts.values()))[:, 1]
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, GROUPS + 1)).astype(int))
    groups = [(low, high) for low, high in zip(edges[:-1] + (edges[:-1] > edges[0]), edges[1:], strict=True)]
    groups = groups or [(int(edges[0]), int(edges[0]))]
    width = 0.8 / len(counts)
    for at, (name, found) in enumerate(counts.items()):
        rates = [error_rate(found[(lengths >= low) & (lengths <= high)]) for low, high in groups]
        places = np.arange(len(groups)) + (at - (len(counts) - 1) / 2) * width
        ax.bar(places, rates, width, color=colours.get(name, "0.7"), label=name)
    labels = [f"{low} to {high}" if low < high else str(low) for low, high in groups]
    ax.set_xticks(range(len(groups)), labels)
    ax.set_xlabel("phones of the utterance")
    ax.set_ylabel("PER (%)")


def _alignments(task: Phonemes, shown: Sequence[int], aligned: Mapping[str, Sequence[Sequence[Step]]]) -> Any:
    """Return HTML: for each utterance a player where there is sound, and reference and answers phone by phone."""
    from IPython.display import HTML

    key = ", ".join(
        f'<span style="background:{shade};padding:0 .3em">{what}</span>'
        for what, shade in zip(("another phone", "inserted", "deleted"), SHADES, strict=True)
    )
    return HTML(f"<p>{key}</p>" + "".join(_utterance(task, i, {n: a[i] for n, a in aligned.items()}) for i in shown))


def _utterance(task: Phonemes, number: int, aligned: Mapping[str, Sequence[Step]]) -> str:
    spoken = task.spoken["test"][number]
    samples = task.dataset.sound(spoken)  # type: ignore[attr-defined]
    heard = f" {player(samples, task.config.rate)}" if samples is not None else ""
    said = f" ({escape(spoken.text)})" if spoken.text else ""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>{"".join(_cell(*step) for step in steps)}</tr>'
        for name, steps in aligned.items()
    )
    return (
        f"<p><b>{escape(spoken.name)}</b>{said}{heard}</p>"
        f'<div style="overflow-x:auto"><table style="font-size:80%">{rows}</table></div>'
    )


def _cell(reference: str | None, answer: str | None) -> str:
    """Return the reference above the answer, shaded where they differ."""
    kind = 1 if reference is None else 2 if answer is None else 0
    shade = "" if reference == answer else f"background:{SHADES[kind]};"
    return (
        f'<td style="{shade}text-align:center;padding:.1em .3em">{escape(reference or "–")}<br>'
        f"<b>{escape(answer or '–')}</b></td>"
    )
