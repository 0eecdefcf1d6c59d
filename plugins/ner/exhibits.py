"""What a report shows of named entities: tagged sentences, errors, and what decides on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .entities import ERRORS, OUTSIDE, bio, by_type, count, entities, errors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Tags = Sequence[Sequence[str]]  # of sentences

# Okabe and Ito's colours, light enough for black text; types beyond repeat them, and letters tell them apart.
FILLS = ("#a8d8f5", "#fbd38a", "#9fe0c8", "#f2c2dc", "#f6ef9c", "#c9c9ee", "#f5b7a3", "#d9d9d9")
TRUTH = "truth"


def tagged(words: Sequence[Sequence[str]], truth: Tags, answers: Mapping[str, Tags], most: int) -> Any:
    """Return the first sentences in which somebody sees an entity: the truth, and each model's answer below it.

    An entity is filled with the colour of its type and followed by the type's letters; one that the truth does not
    have is framed in red.
    """
    from IPython.display import HTML

    kinds = sorted({e[0] for tags in (truth, *answers.values()) for sentence in tags for e in entities(sentence)})
    codes = _codes(kinds)
    legend = " ".join(_marked(kind, kind, codes, right=True) for kind in kinds)
    shown = [i for i in range(len(words)) if any(entities(t[i]) for t in (truth, *answers.values()))][:most]
    blocks = [f"<p>{legend} &nbsp; framed in red: not in the truth</p>"]
    for i in shown:
        rows = [(TRUTH, truth[i]), *((name, tags[i]) for name, tags in answers.items())]
        lines = "".join(
            f"<tr><td style='white-space:nowrap;color:#555;vertical-align:top'>{escape(name)}</td>"
            f"<td style='text-align:left'>{_line(words[i], tags, truth[i], codes)}</td></tr>"
            for name, tags in rows
        )
        blocks.append(f"<table style='margin-bottom:0.8em;line-height:1.9'>{lines}</table>")
    return HTML("\n".join(blocks))


def _codes(kinds: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return letters and colour of each type; the letters are as few as tell the types apart, at least three."""
    size = next((n for n in range(3, 30) if len({k[:n] for k in kinds}) == len(kinds)), 30)
    return {kind: (kind[:size].upper(), FILLS[i % len(FILLS)]) for i, kind in enumerate(kinds)}


def _line(words: Sequence[str], tags: Sequence[str], truth: Sequence[str], codes: Mapping[str, tuple[str, str]]) -> str:
    true, parts, at = set(entities(truth)), [], 0
    for entity in entities(tags):
        kind, start, end = entity
        parts += [escape(w) for w in words[at:start]]
        parts.append(_marked(" ".join(words[start:end]), kind, codes, entity in true))
        at = end
    return " ".join([*parts, *(escape(w) for w in words[at:])])


def _marked(text: str, kind: str, codes: Mapping[str, tuple[str, str]], right: bool) -> str:
    letters, fill = codes[kind]
    frame = "2px solid transparent" if right else "2px solid #c00"
    return (
        f"<span style='background:{fill};color:#000;border:{frame};border-radius:4px;padding:1px 3px'>{escape(text)} "
        f"<b style='font-size:65%'>{escape(letters)}</b></span>"
    )


def error_table(truth: Tags, answers: Mapping[str, Tags]) -> pd.DataFrame:
    """Return how many entities of each type were found, cut wrongly, taken for another type, missed, or made up."""
    import pandas as pd

    rows = []
    for name, tags in answers.items():
        found = errors(truth, tags)
        whole = sum(found.values(), Counter[str]())
        for kind, outcomes in [*found.items(), ("all", whole)]:
            true = sum(outcomes[e] for e in ERRORS if e != "spurious")
            rows.append({"model": name, "type": kind, "true": true} | {e: outcomes[e] for e in ERRORS})
    return pd.DataFrame(rows).set_index(["model", "type"])


def semeval(truth: Tags, answers: Mapping[str, Tags]) -> pd.DataFrame | str:
    """Return the scores of SemEval 2013 task 9.1, as nervaluate computes them: boundaries, types, or both count."""
    import pandas as pd

    try:
        from nervaluate.evaluator import Evaluator
    except ImportError:
        return "Not computed: pip install 'lstmlab[ner]' brings nervaluate."
    kinds = sorted({e[0] for tags in (truth, *answers.values()) for sentence in tags for e in entities(sentence)})
    rows = []
    for name, tags in answers.items():
        found = Evaluator([list(t) for t in truth], [list(t) for t in tags], tags=kinds, loader="list").evaluate()
        for scheme, told in (
            ("strict", "strict"),
            ("exact", "boundaries"),
            ("ent_type", "type"),
            ("partial", "partial"),
        ):
            r = found["overall"][scheme]
            counts = {k: getattr(r, k) for k in ("correct", "incorrect", "partial", "missed", "spurious")}
            scores = {k: round(100 * getattr(r, k), 1) for k in ("precision", "recall", "f1")}
            rows.append({"model": name, "what counts": told} | {f"{k} (%)": v for k, v in scores.items()} | counts)
    return pd.DataFrame(rows).set_index(["model", "what counts"])


def draw_types(ax: Axes, truth: Tags, answers: Mapping[str, Tags], colours: Mapping[str, Any]) -> None:
    """Draw the F1 of each type that the truth has, of each answer; one without a colour is grey."""
    found = {name: by_type(truth, tags) for name, tags in answers.items()}
    totals = {kind: c.true for kind, c in by_type(truth, truth).items()}
    shown = sorted(totals, key=lambda kind: -totals[kind])
    values = {name: [counts[kind].f1 for kind in shown] for name, counts in found.items()}
    _dots(ax, [f"{kind}\n({totals[kind]:,})" for kind in shown], values, colours)
    ax.set_xlabel("type of entity (how many the test split has)")
    ax.set_ylabel("F1 (%)")


def draw_seen(
    words: Sequence[Sequence[str]],
    truth: Tags,
    answers: Mapping[str, Tags],
    known: Set[tuple[str, tuple[str, ...]]],
    colours: Mapping[str, Any],
) -> Figure:
    """Return the F1 over entities whose words are a name in train sentences, and over all others.

    Args:
        words: of the sentences.
        truth: tags.
        answers: tags by name.
        known: type and words of the names in train sentences.
        colours: of names; one without a colour is grey.
    """
    from matplotlib.figure import Figure

    names = {name for _, name in known}

    def part(tags: Tags, seen: bool) -> list[list[str]]:
        return [
            bio([e for e in entities(t) if (tuple(w[e[1] : e[2]]) in names) == seen], len(t))
            for w, t in zip(words, tags, strict=True)
        ]

    true = {seen: part(truth, seen) for seen in (True, False)}
    totals = {seen: count(t, t).true for seen, t in true.items()}
    figure = Figure(figsize=(5.2, 3.0), layout="constrained")
    ax = figure.subplots()
    labels = [
        f"{'names of train sentences' if seen else 'names that they lack'}\n({n:,})" for seen, n in totals.items()
    ]
    values = {name: [count(true[seen], part(tags, seen)).f1 for seen in totals] for name, tags in answers.items()}
    _dots(ax, labels, values, colours)
    ax.set_ylabel("F1 (%)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
    return figure


def _dots(ax: Axes, labels: Sequence[str], values: Mapping[str, Sequence[float]], colours: Mapping[str, Any]) -> None:
    places = np.arange(len(labels))
    for at, (name, heights) in enumerate(values.items()):
        aside = (at - (len(values) - 1) / 2) * 0.6 / max(len(values), 1)
        mark = "o" if name in colours else "x"
        ax.plot(places + aside, heights, ls="", marker=mark, ms=5, color=colours.get(name, "0.45"), label=name)
    ax.set_xticks(places, labels)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    ax.set_ylim(-4, 104)


def draw_transitions(fields: Mapping[str, Any], tags: Sequence[str]) -> Figure:
    """Return the weights between tags that each model's `Transitions` has; grey where a tag cannot follow."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.1 * len(fields) + 0.6, 3.3), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(fields)))
    tables = {n: np.where(f.allowed.numpy(), f.between.detach().numpy(), np.nan) for n, f in fields.items()}
    most = max(float(np.nanmax(np.abs(t))) for t in tables.values()) or 1.0
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        image = ax.imshow(table, cmap="PuOr", vmin=-most, vmax=most)
        ax.set_facecolor("0.75")
        ax.set_xticks(range(len(tags)), tags, rotation=90, fontsize=6)
        ax.set_yticks(range(len(tags)), tags, fontsize=6)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("tag", fontsize=8)
    axes[0].set_ylabel(f"tag before ({OUTSIDE}: no entity)", fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, label="log weight (grey: impossible)")
    return figure
