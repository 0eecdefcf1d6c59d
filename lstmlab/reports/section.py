"""All that a report says of one task, as a section of its own."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from html import escape
from typing import Any

import pandas as pd
from IPython.display import HTML, SVG, Markdown
from matplotlib.figure import Figure
from torch import nn

from lstmlab import registry
from lstmlab.reports import figures, tables, tuning, verdict
from lstmlab.reports.style import colours, to_svg
from lstmlab.studies.files import write
from lstmlab.studies.study import Study
from lstmlab.tasks import Task


def section(study: Study, name: str) -> Iterator[Any]:
    """Yield heading and verdict, table, figures, the task's own exhibits, and its data."""
    task = study.tasks[name]
    summary = registry.task.entry(task.config.name).summary
    said = verdict.describe_task(study, name)
    yield Markdown(f"## {escape_markdown(name)}\n\n{escape_markdown(summary)}\n\n{said[:1].upper()}{said[1:]}")
    yield HTML(tables.to_html(study, name) + tuning.to_html(study, name))
    if name in figures.finished(study):
        yield draw(study, f"{name}_overview", figures.overview(study, name))
        models = figures.median_models(study, name)
        yield draw(study, f"{name}_example", figures.example(study, name, models))
        yield from _exhibits(study, name, models)
    yield Markdown(describe_data(name, task))


def _exhibits(study: Study, name: str, models: dict[str, nn.Module]) -> Iterator[Any]:
    try:
        shown = study.tasks[name].exhibits(models, colours(models))
    except Exception as error:  # whatever a plugin raises, the rest of the report is shown
        at = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        yield HTML(f"<p><strong>The exhibits of {escape(name)} could not be made:</strong> {escape(reason)}</p>")
        return
    for number, (title, what) in enumerate(shown.items()):
        yield Markdown(f"**{escape_markdown(title)}**")
        yield _shown(study, f"{name}_exhibit_{number}", what)


def _shown(study: Study, name: str, what: Any) -> Any:
    """Return an exhibit as something that a notebook displays well."""
    if isinstance(what, Figure):
        return draw(study, name, what)
    if isinstance(what, pd.DataFrame):
        return HTML(what.to_html(index=not isinstance(what.index, pd.RangeIndex), border=0, na_rep="–"))
    return what


def draw(study: Study, name: str, figure: Figure) -> SVG:
    """Return a figure as SVG, and keep it in the study's folder."""
    svg = to_svg(figure, name)
    write(study.folder / "figures" / f"{name}.svg", svg.data.encode())
    return svg


def describe_data(name: str, task: Task) -> str:
    """Return as a Markdown list where a task's data come from, under which licence, and what was done to them."""
    data = task.dataset
    lines = [
        f"- **{escape_markdown(name)}**: {data.title}",
        f"  - kind: {data.kind}; {data.size}; source: {data.source}; licence: {data.licence}",
        f"  - version (SHA-256 of the content, 12 digits): `{data.version}`",
    ]
    lines += [f"  - citation: {data.citation}"] if data.citation else []
    lines += [f"  - {escape_markdown(note)}" for note in task.told()]
    return "\n".join(lines)


def escape_markdown(text: str) -> str:
    """Return text from configs and data as Markdown that shows it literally."""
    return escape(text).replace("*", r"\*").replace("_", r"\_").replace("$", r"\$")
