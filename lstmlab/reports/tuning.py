"""How the settings of a study's runs were chosen."""

from __future__ import annotations

from collections import Counter
from html import escape

from lstmlab.studies.study import Study

SEARCHES = {"random": "a random search", "tpe": "a search by tree-structured Parzen estimators (Optuna's TPE)"}


def describe(study: Study) -> str:
    """Return in words whether cells were tuned, and how."""
    config = study.config
    if study.search is None:
        return (
            "Training settings belong to the task and are the same for every cell; nothing was tuned for one of them."
        )
    keys = ", ".join(f"`{axis.key}`" for axis in study.search.pairs[0].axes)
    return (
        f"Each cell was tuned on each task by itself: {config.trials} trials of {SEARCHES[str(config.search)]} over "
        f"{keys}, the same space for all, with seed {config.search_seed}. The trial that was best on validation gave "
        "the settings; the test split had no part in that, and neither had the seeds that are compared."
    )


def to_html(study: Study, task: str) -> str:
    """Return for people which settings were chosen for each cell on a task; nothing without a search."""
    if study.search is None:
        return ""
    pairs = {p.base.cell.name: p for p in study.search.pairs if p.base.task.label == task}
    first, *_ = pairs.values()
    head = ["", *(axis.key for axis in first.axes), f"{first.watched.label} on validation", "with the task's own"]
    head += ["complete", "pruned", "failed"]
    body = []
    for cell, pair in pairs.items():
        trials, chosen, usual = study.search.trials_of(pair), study.chosen[task, cell], pair.usual()
        own = [f"{t.value:.4g}" for t in trials if t.settings == usual and t.state == "complete"]
        cells = [*(str(chosen.settings[axis.key]) for axis in pair.axes), f"{chosen.value:.4g}", *(own[:1] or ["–"])]
        states = Counter(t.state for t in trials)
        cells += [str(states[state]) for state in ("complete", "pruned", "failed")]
        body.append(f"<tr><th scope='row'>{escape(cell)}</th>{''.join(f'<td>{escape(c)}</td>' for c in cells)}</tr>")
    header = "".join(f"<th scope='col'>{escape(h)}</th>" for h in head)
    table = f"<table class='lstmlab'><thead><tr>{header}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f"<p>Settings that were best on validation, of {study.config.trials} trials each:</p>{table}"
