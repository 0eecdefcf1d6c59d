"""What a report shows of translations: where a model looked, what it wrote, and how that depends on the length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lstmlab.tasks.transduction import as_batch, ended

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .task import Translation

SIDE_BY_SIDE = 10  # sentences in the table of translations
BINS = 5  # groups of test sentences by length
DRAWN = 5  # translations that are drawn of one sentence
READABLE = 18  # pieces of the longer side of what an attention map shows: at most so many, at least half of them


def of(task: Translation, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> dict[str, Any]:
    """Return title -> figure or table; models are trained ones by cell."""
    if not models:
        return {}
    c, pairs = task.config, task.texts["test"]
    sources = [source for source, _ in pairs]
    answers = {name: task.translate(model, sources) for name, model in models.items()}
    at = _telling(task)
    drawn = f"temperature {c.temperature:g}, the likeliest {100 * c.top_p:g} %, seed {c.sample_seed}"
    return {
        "Where each model looked while it translated a test sentence": draw_attention(task, models, at),
        f"Test translations ({c.beam} beams, length penalty {c.length_penalty:g})": side_by_side(pairs, answers),
        f"{_score(task)} by length of the test source": draw_lengths(task, answers, colours),
        f"A test sentence translated at random ({drawn})": draw_samples(task, models, at),
    }


def draw_attention(task: Translation, models: Mapping[str, nn.Module], at: int) -> Figure:
    """Return a map for each model: a row for each piece that it wrote, dark where it looked in the source."""
    from matplotlib.figure import Figure

    source = task.pairs("test")[at][0]
    maps = {name: attention(task, model, source) for name, model in models.items()}
    tallest = max(len(written) for written, _ in maps.values())
    width = min(0.9 + 0.24 * len(source), 4.2)
    figure = Figure(figsize=(max(width * len(maps), 3.5), 1.3 + 0.2 * tallest), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(maps)))
    for ax, (name, (written, weights)) in zip(axes, maps.items(), strict=True):
        image = ax.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        ax.set_xticks(range(len(source)), [task.shown(s) for s in source.tolist()], rotation=90, fontsize=7)
        ax.set_yticks(range(len(written)), [task.shown(s) for s in written], fontsize=7)
        ax.set_title(name, fontsize=9, fontweight="bold")
        ax.set_xlabel("source, piece by piece", fontsize=8)
    axes[0].set_ylabel("translation, piece by piece", fontsize=8)
    bar = figure.colorbar(image, ax=axes.tolist(), shrink=0.8, aspect=25)
    bar.set_label("attention (share)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


@torch.no_grad()
def attention(task: Translation, model: nn.Module, source: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return what a model writes for a source, its end included, and the attention (written, source) meanwhile."""
    (written,) = task.write(model, [source])
    target = ended(written.symbols)
    weights: Tensor = model.attention(as_batch([(source, target)]).inputs)  # type: ignore[operator]
    return target.tolist(), weights[0].numpy()


def side_by_side(pairs: Sequence[tuple[str, str]], answers: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return source, reference and translations, one below the other, of pairs spread over the test split."""
    import pandas as pd

    rows = np.unique(np.linspace(0, len(pairs) - 1, min(SIDE_BY_SIDE, len(pairs))).astype(int))
    lines = [
        (f"test {i + 1}", who, said)
        for i in rows
        for who, said in (
            *zip(("source", "reference"), pairs[i], strict=True),
            *((name, found[i]) for name, found in answers.items()),
        )
    ]
    return pd.DataFrame(lines, columns=["pair", "who", "sentence"]).set_index(["pair", "who"])


def draw_lengths(task: Translation, answers: Mapping[str, Sequence[str]], colours: Mapping[str, Any]) -> Figure:
    """Return the score of test sentences in groups of about equal size, from short sources to long ones."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    pairs = task.texts["test"]
    lengths = np.array([len(source) - 1 for source, _ in task.pairs("test")])
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)).astype(int))
    group = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, max(len(edges) - 2, 0))
    figure = Figure(figsize=(5.6, 2.8), layout="constrained")
    ax = figure.subplots()
    found = np.unique(group)
    middles = [float(lengths[group == g].mean()) for g in found]
    for (name, texts), marker in zip(answers.items(), "os^DvPX*<>" * len(answers), strict=False):
        scores = []
        for g in found:
            rows = np.flatnonzero(group == g)
            given = [texts[i] for i in rows], [pairs[i][1] for i in rows]
            scores.append(task.score(*given)[task.metric.name])
        ax.plot(middles, scores, color=colours[name], marker=marker, ms=5, lw=1.5, alpha=0.8, label=name)
    for g, x in zip(found, middles, strict=True):
        counted = f"n = {int((group == g).sum())}"
        ax.annotate(counted, (x, 0.02), xycoords=("data", "axes fraction"), ha="center", fontsize=7, color="0.4")
    ax.margins(y=0.2)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("pieces of the source (mean of a group)")
    ax.set_ylabel(_score(task))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_samples(task: Translation, models: Mapping[str, nn.Module], at: int) -> pd.DataFrame:
    """Return a test sentence, its reference, each model's translation, and some that were drawn, with their nats."""
    import pandas as pd

    c = task.config
    source, reference = task.texts["test"][at]
    symbols = task.pairs("test")[at][0]
    rows = [("source", "", source, np.nan), ("reference", "", reference, np.nan)]
    for name, model in models.items():
        (best,) = task.write(model, [symbols])
        rows.append((name, f"{c.beam} beams", task.subwords.decode(best.symbols), -best.log_probability))
        drawn = task.draw(model, symbols, DRAWN, c.temperature, c.top_p, c.sample_seed)
        times = Counter(tuple(w.symbols) for w in drawn)
        rows += [
            (name, f"drawn {times[drawn_symbols]} of {DRAWN} times", task.subwords.decode(drawn_symbols), cost)
            for drawn_symbols, cost in {tuple(w.symbols): -w.log_probability for w in drawn}.items()
        ]
    return pd.DataFrame(rows, columns=["who", "how", "sentence", "cost (nats)"]).round({"cost (nats)": 2})


def _telling(task: Translation) -> int:
    """Return the first test pair of which a map is readable and not trivial; if there is none, the shortest."""
    longest = [max(len(source), len(target)) for source, target in task.pairs("test")]
    readable = (i for i, pieces in enumerate(longest) if READABLE // 2 <= pieces <= READABLE)
    return next(readable, int(np.argmin(longest)))


def _score(task: Translation) -> str:
    label = task.metric.label
    return label[0].upper() + label[1:]
