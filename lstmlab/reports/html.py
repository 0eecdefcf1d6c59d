"""From an executed notebook to one HTML file that opens from disk, without code and without network."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from lstmlab.reports.style import WIDTH
from lstmlab.studies.files import write

CSS = Path(__file__).with_name("report.css")
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{css}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def export(notebook: Path, target: Path, title: str) -> None:
    """Write the outputs and prose of ``notebook`` to ``target``."""
    node = nbformat.read(notebook, as_version=4)
    for cell in node.cells:
        if cell.cell_type == "code":
            cell.outputs = [_prepared(o) for o in cell.outputs if _shown(o)]
    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(node)
    page = PAGE.format(title=escape(title), css=CSS.read_text(encoding="utf-8"), body=body)
    write(target, page.encode())


def _shown(output: NotebookNode) -> bool:
    """Leave out progress bars and log lines: they need a kernel, or say nothing to a reader."""
    return output.output_type in ("display_data", "execute_result") and (
        "application/vnd.jupyter.widget-view+json" not in output.data
    )


def _prepared(output: NotebookNode) -> NotebookNode:
    """Turn formulas into MathML, which browsers show without a script, and put figures in line."""
    text = output.data.get("text/markdown")
    if text is not None:
        output.data["text/markdown"] = re.sub(r"\$\$(.+?)\$\$", _mathml, text, flags=re.DOTALL)
    svg = output.data.pop("image/svg+xml", None)
    if svg is not None:
        output.data["text/html"] = f"<figure style='width: {_share(svg):.0%}'>{svg}</figure>"
    return output


def _share(svg: str) -> float:
    """Return how much of the page's width a figure takes: all of it, if it is as wide as figures can be."""
    width = re.search(r'width="([\d.]+)pt"', svg)
    return min(1.0, float(width[1]) / (72 * WIDTH)) if width else 1.0


def _mathml(match: re.Match[str]) -> str:
    latex = match[1].strip().replace("{aligned}", "{align*}")
    return convert(latex, display="block")
