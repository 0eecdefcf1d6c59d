"""The view for notebooks: widgets while it goes on, plain HTML of what remains."""

from __future__ import annotations

from collections import deque
from html import escape

import ipywidgets
from IPython.display import DisplayHandle, display

from lstmlab.studies.display import text
from lstmlab.studies.display.board import Picture, Row

KEPT = 100  # notes that are shown
BAR = (
    "<progress max='1' value='{share:.3f}' style='width: {width}; accent-color: var(--jp-brand-color1, #1976d2)'>"
    "{share:.0%}</progress>"
)
CELL = "padding: 0 1em 0 0; text-align: left; border: 0"


class Widget:
    """Three pieces of HTML, which change each for itself so that a reason can be marked and copied.

    A notebook that is saved keeps neither widgets nor their state: at the end a summary takes their place.
    """

    def __init__(self) -> None:
        self._notes: deque[str] = deque(maxlen=KEPT)
        self._earlier = 0
        self._overall, self._running, self._said = (ipywidgets.HTML() for _ in range(3))
        self._box = ipywidgets.VBox([self._overall, self._running, self._said])
        bundle = self._box._repr_mimebundle_() | {"text/plain": "a study is running; no widgets can be shown here"}
        self._handle: DisplayHandle = display(bundle, raw=True, display_id=True)

    def draw(self, now: Picture, notes: list[str]) -> None:
        self._overall.value = (
            f"<b>{escape(now.title)}</b> {BAR.format(share=now.share, width='20em')} {escape(text.counts(now))}"
        )
        self._running.value = f"<table>{''.join(map(_row, now.running))}</table>" if now.running else ""
        if notes:
            self._earlier += max(0, len(self._notes) + len(notes) - KEPT)
            self._notes.extend(notes)
            self._said.value = self._list()

    def close(self, now: Picture) -> None:
        said = text.summary(now)
        self._handle.update({"text/html": f"<div>{escape(said)}</div>{self._list()}", "text/plain": said}, raw=True)
        for widget in (self._overall, self._running, self._said, self._box):
            widget.close()

    def _list(self) -> str:
        earlier = [f"{self._earlier} earlier ones are not shown"] if self._earlier else []
        return "".join(
            f"<div style='overflow-wrap: anywhere'>{escape(note)}</div>" for note in [*earlier, *self._notes]
        )


def _row(row: Row) -> str:
    cells = (escape(row.name), BAR.format(share=row.share, width="12em"), f"{row.share:.0%}", escape(text.loss(row)))
    return f"<tr>{''.join(f'<td style={CELL!r}>{cell}</td>' for cell in cells)}</tr>"
