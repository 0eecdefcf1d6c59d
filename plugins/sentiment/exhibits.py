"""What a report shows of answers: where models look, where they err, and in which texts word order matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .task import Sentiment

TEXTS = 6  # test texts whose weights are shown
LENGTHS = (5, 30)  # tokens of such a text
ERRORS = 10  # texts that are shown
CHARACTERS = 300  # of a text in the table of errors
FEWEST = 10  # texts of a group that are worth a row
BLUE = "0, 114, 178"  # on it up to 0.55 opaque, black text has a contrast above 4.5
EVEN = 3  # words of equal weight get a third of the full blue
NEGATIONS = {"not", "n't", "never", "no", "nobody", "nothing", "neither", "nor", "cannot", "without", "hardly"}
CONTRASTS = {"but", "although", "though", "however", "despite", "yet", "while"}


def chosen(task: Sentiment, split: str = "test") -> list[int]:
    """Return the test texts whose weights are shown: the first of a fitting length, the first of all if none fits."""
    low, high = LENGTHS
    fitting = [i for i, tokens in enumerate(task.tokens[split]) if low <= len(tokens) <= high]
    return (fitting or list(range(len(task.tokens[split]))))[:TEXTS]


def weights(task: Sentiment, model: nn.Module, tokens: list[str]) -> np.ndarray | None:
    """Return what share (tokens,) each word has in what is pooled, None where only the ends count."""
    numbers = torch.from_numpy(task.encode(tokens))[None]
    found = model.weights(numbers, torch.tensor([numbers.shape[1]]))
    return None if found is None else found[0].numpy()


def draw_weights(task: Sentiment, ax: Axes, models: Mapping[str, nn.Module], colours: Mapping[str, Any]) -> None:
    """Draw the weight of each word of a test text, one with a negation if there is one."""
    texts = [task.tokens["test"][i][: task.config.longest] for i in chosen(task)]
    tokens = next((t for t in texts if NEGATIONS & {w.lower() for w in t}), texts[0])[: LENGTHS[1]]
    for name, model in models.items():
        found = weights(task, model, tokens)
        assert found is not None
        ax.plot(100 * found, marker="o", ms=4, lw=1.2, color=colours[name], label=name)
    ax.set_xticks(range(len(tokens)), [_plain(t) for t in tokens], rotation=60, ha="right", fontsize=7)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("word")
    ax.set_ylabel("weight (%)")


def weights_table(task: Sentiment, models: Mapping[str, nn.Module]) -> Any:
    """Return test texts as HTML: for each model its answer, and words the bluer the more weight they have."""
    from IPython.display import HTML

    rows = []
    for i in chosen(task):
        tokens, truth = task.tokens["test"][i][: task.config.longest], task.splits["test"][1][i]
        for at, (name, model) in enumerate(models.items()):
            answer = task.probabilities(model, [tokens])[0]
            best = int(answer.argmax())
            found = weights(task, model, tokens)
            assert found is not None
            said = f"{escape(task.classes[best])} {answer[best]:.2f}{'' if task.classes[best] == truth else ' ✗'}"
            first = f'<td rowspan="{len(models)}">{escape(truth)}</td>' if at == 0 else ""
            line = ' style="border-top: 1px solid #999"' if at == 0 else ""
            rows.append(
                f"<tr{line}>{first}<td>{escape(name)}</td><td>{said}</td>"
                f'<td style="text-align:left">{_coloured(tokens, found)}</td></tr>'
            )
    head = "<tr><th>truth</th><th>cell</th><th>answer</th><th>words</th></tr>"
    return HTML(f"<table style='border-collapse: collapse'><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>")


def _coloured(tokens: Sequence[str], shares: np.ndarray) -> str:
    """Return words on blue, the one with the most weight underlined; each says its weight when pointed at."""
    most = float(shares.max())
    full = max(most, EVEN / len(shares))
    words = []
    for token, share in zip(tokens, shares, strict=True):
        style = f"color: #000; background: rgba({BLUE}, {0.55 * share / full:.2f})"
        style += "; text-decoration: underline" if share == most else ""
        words.append(f'<span title="{100 * share:.0f} %" style="{style}">{escape(token)}</span>')
    return f'<span style="background: #fff; padding: 2px">{" ".join(words)}</span>'


def errors(task: Sentiment, models: Mapping[str, nn.Module]) -> Any:
    """Return as HTML the test texts of whose class the models, on average, are least sure."""
    from IPython.display import HTML

    labels = task.labels("test")
    answers = {name: task.probabilities(model, task.tokens["test"]) for name, model in models.items()}
    sure = np.mean([p[np.arange(len(labels)), labels] for p in answers.values()], axis=0)
    rows = []
    for i in np.argsort(sure, kind="stable")[:ERRORS]:
        text, truth = task.splits["test"][0][i], task.splits["test"][1][i]
        shown = text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
        cells = "".join(
            f"<td>{escape(task.classes[int(p[i].argmax())])} {p[i].max():.2f}</td>" for p in answers.values()
        )
        rows.append(f'<tr><td style="text-align:left">{escape(shown)}</td><td>{escape(truth)}</td>{cells}</tr>')
    head = "".join(f"<th>{escape(name)}</th>" for name in ("text", "truth", *answers))
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>")


def groups(task: Sentiment, models: Mapping[str, nn.Module], baselines: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the accuracy in percent on groups of test texts, of all models and baselines."""
    tokens, labels = task.tokens["test"], task.labels("test")
    words = [{t.lower() for t in text} for text in tokens]
    median = float(np.median([len(text) for text in tokens]))
    members = {
        "all": np.ones(len(labels), bool),
        "with a negation": np.array([bool(w & NEGATIONS) for w in words]),
        "with a contrast": np.array([bool(w & CONTRASTS) for w in words]),
        "with neither": np.array([not w & (NEGATIONS | CONTRASTS) for w in words]),
        f"up to {median:.0f} tokens": np.array([len(t) <= median for t in tokens]),
        f"more than {median:.0f} tokens": np.array([len(t) > median for t in tokens]),
    }
    answers = dict(baselines) | {name: task.probabilities(model, tokens) for name, model in models.items()}
    rows = []
    for name, belong in members.items():
        if belong.sum() >= FEWEST:
            right = {n: f"{100 * float((p.argmax(1) == labels)[belong].mean()):.1f}" for n, p in answers.items()}
            rows.append({"test texts": name, "count": int(belong.sum())} | right)
    return pd.DataFrame(rows)


def _plain(token: str) -> str:
    """Return a token that matplotlib does not take for mathematics."""
    return token.replace("$", r"\$")
