"""The report of a study, in the parts that the notebook shows one after the other."""

from __future__ import annotations

import datetime
import shlex
from html import escape
from typing import TYPE_CHECKING

from IPython.display import HTML, SVG, Markdown
from matplotlib.figure import Figure

from lstmlab import registry
from lstmlab.engine.tracing import trace
from lstmlab.machine import describe
from lstmlab.reports import figures, tables, verdict
from lstmlab.reports.style import to_svg
from lstmlab.studies import Study
from lstmlab.studies.store import write

if TYPE_CHECKING:
    import pandas as pd


class Report:
    """What a study's finished runs say; each method returns something that a notebook displays."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def question(self) -> Markdown:
        """The question, and what was run to answer it."""
        study = self.study.config
        n = len(self.study.specs)
        return Markdown(
            f"# Study: {_escape(study.name)}\n\n**{_escape(study.question)}**\n\n"
            f"{n} runs: {len(study.cells)} cell(s) × {len(study.tasks)} task(s) × {len(study.seeds)} seed(s). Every "
            "cell sees the same data in the same order for the same seed, and has as many units as cost the same "
            "number of parameters (within 2 %) unless a size was asked for. Values are from the test split, "
            "with the weights that were best on validation. Training settings belong to the task and are the "
            "same for every cell; nothing was tuned for one of them. Times are those of runs that share the machine."
        )

    def verdict(self) -> Markdown:
        """The answer in plain words."""
        return Markdown("\n\n".join(["## Verdict", *verdict.describe(self.study)]))

    def summary(self, task: str) -> pd.DataFrame:
        """The table of a task as data."""
        return tables.summarise(self.study, task)

    def tables(self) -> HTML:
        """A table per task, cells and baselines together, then the runs that failed."""
        parts = []
        for name in self.study.tasks:
            summary = registry.task.entry(self.study.tasks[name].config.name).summary
            parts.append(f"<h3>{escape(name)}</h3><p>{escape(summary)}</p>{tables.to_html(self.study, name)}")
        if self.study.failures:
            items = "".join(f"<li>{escape(k)}: {escape(v)}</li>" for k, v in self.study.failures.items())
            parts.append(f"<h3>Failed runs</h3><ul>{items}</ul>")
        return HTML("\n".join(parts))

    def metric_per_cell(self) -> SVG:
        """Every seed as a dot, means with intervals, and the best baseline."""
        return self._figure("metric_per_cell", figures.metric_per_cell(self.study))

    def learning_curves(self) -> SVG:
        """Validation metric over training steps, with a band over the seeds."""
        return self._figure("learning_curves", figures.learning_curves(self.study))

    def quality_against_cost(self) -> SVG:
        """Test metric over training time."""
        return self._figure("quality_against_cost", figures.quality_against_cost(self.study))

    def examples(self) -> SVG:
        """Answers of one model per cell beside the truth."""
        return self._figure("examples", figures.examples(self.study))

    def equations(self) -> Markdown:
        """The equations of the study's cells, from the same code that was trained."""
        parts = []
        for name in self.study.config.cells:
            entry = registry.cell.entry(name)
            parts.append(f"**{name}**: {_escape(entry.summary)}\n\n$$\n{trace(entry.load()).latex()}\n$$")
        return Markdown("\n\n".join(parts))

    def sources(self) -> Markdown:
        """Where the data come from, under which licence, and what was done to them."""
        parts = []
        for name, task in self.study.tasks.items():
            data = task.dataset
            lines = [
                f"- **{name}**: {data.title}",
                f"  - kind: {data.kind}; source: {data.source}; licence: {data.licence}",
                f"  - version (SHA-256 of the content, 12 digits): `{data.version}`",
            ]
            lines += [f"  - {data.citation}"] if data.citation else []
            parts += lines + [f"  - {note}" for note in task.notes()]
        return Markdown("\n".join(parts))

    def reproduction(self) -> Markdown:
        """Versions, hardware, date, and the command that makes this report again."""
        command = shlex.join(["lstmlab", "report", f"study={self.study.name}", *self._overrides()])
        machine = ", ".join(f"{k} {v}" for k, v in describe().items())
        used = [r["machine"] for r in self.study.results.values() if r and "machine" in r]
        others = [m for m in {str(m): m for m in used}.values() if m != describe()]
        note = [f"- {len(others)} other machine(s) or version(s) made some of the runs"] if others else []
        today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Markdown("\n".join([f"- rendered {today}", f"- {machine}", *note, "", f"```\n{command}\n```"]))

    def _overrides(self) -> list[str]:
        return [o for o in self.study.overrides if o.partition("=")[0] not in ("outputs", "workers")]

    def _figure(self, name: str, figure: Figure) -> SVG:
        svg = to_svg(figure, name)
        write(self.study.folder / "figures" / f"{name}.svg", svg.data.encode())
        return svg


def _escape(text: str) -> str:
    """Return text from configs as Markdown that shows it literally."""
    return escape(text).replace("*", r"\*").replace("_", r"\_").replace("$", r"\$")
