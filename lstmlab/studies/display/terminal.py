"""The view for terminals: a table that is redrawn below the lines that stay."""

from __future__ import annotations

import sys

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lstmlab.studies.display import text
from lstmlab.studies.display.board import Picture, Row

SHARE, LOSS = 5, 14  # columns of the percentage and of the loss
BAR = 20  # columns of a run's bar where there is room


class Terminal:
    """Redraws a table of the runs at work, as high as the terminal allows; notes and the summary stay."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._live = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            vertical_overflow="crop",
        )
        self._live.start()

    def draw(self, now: Picture, notes: list[str]) -> None:
        for note in notes:
            self.console.print(_styled(note), soft_wrap=True)
        self._live.update(self.render(now), refresh=True)

    def close(self, now: Picture) -> None:
        self._live.stop()
        self.console.print(Text(text.summary(now)), soft_wrap=True)

    def render(self, now: Picture) -> Text:
        """Return the table, no wider and no higher than the terminal."""
        width, room = self.console.width - 1, self.console.height - 4
        lines = [self._head(now, width), Text(_fit(text.counts(now), width))]
        shown = now.running if len(now.running) <= room else now.running[: room - 1]
        lines += [self._row(row, now.width, width) for row in shown]
        more = len(now.running) - len(shown)
        lines += [Text(_fit(f"  and {more} more", width))] if more else []
        return Text("\n").join(lines)

    def _head(self, now: Picture, width: int) -> Text:
        share, title = f" {now.share:4.0%}", _fit(now.title, max(8, width // 3)).rstrip()
        return Text.assemble(
            (title, "bold"), " ", self._bar(now.share, width - cell_len(title) - 1 - len(share)), share
        )

    def _row(self, row: Row, longest: int, width: int) -> Text:
        """Return a run's line; where it is narrow without bar, then without loss, then without the name's beginning."""
        room = width - 2 - SHARE
        loss = LOSS if room - LOSS >= longest else 0
        name = min(longest, room - loss)
        bar = min(BAR, room - loss - name - 1)
        cut = row.name if cell_len(row.name) <= name else "…" + row.name[-max(0, name - 1) :]
        line = Text("  " + set_cell_size(cut, name))
        if bar >= 8:
            line.append(" ").append(self._bar(row.share, bar))
        line.append(f" {row.share:4.0%}")
        if loss:
            line.append(f"  {text.loss(row)}")
        return line

    def _bar(self, share: float, width: int) -> Text:
        full, empty = ("━", "─") if self.console.encoding.startswith("utf") else ("#", "-")
        n = int(share * width)
        return Text.assemble((full * n, "cyan"), empty * (width - n))


def _fit(line: str, width: int) -> str:
    """Return ``line`` cut to ``width`` columns."""
    return line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…"


def _styled(note: str) -> Text:
    """Return a note with its first word set off; whatever it holds, it is text."""
    word, colon, rest = note.partition(":")
    return Text.assemble((word + colon, "bold red" if word == "failed" else "bold"), rest)
