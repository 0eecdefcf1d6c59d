"""The display of a study, in each of its places, with what real terminals and notebooks make of it."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
import tracemalloc
from pathlib import Path

import nbclient
import nbformat
import pytest
from conftest import ROOT, TINY
from rich.cells import cell_len
from rich.console import Console
from simulated import spec

from lstmlab.studies.display import Board, Display
from lstmlab.studies.display import display as display_module
from lstmlab.studies.display.board import Picture
from lstmlab.studies.display.lines import Lines
from lstmlab.studies.display.terminal import Terminal
from lstmlab.studies.launch import Event

DONE = {"status": "done"}
SPECS = [
    spec(task, cell, seed) for task in ("adding", "weather_new_york") for cell in ("np", "gru") for seed in range(40)
]
ATTACK = "it said [bold]x[/bold] <script>alert(1)</script>\x1b[2J\x1b]0;title\x07\u202eevil\r\nand went on"


def board(running: int = 2, failed: str | None = None) -> Board:
    """A study of 160 runs of which 10 are done and some are at work."""
    board = Board("variants", dict.fromkeys(SPECS), SPECS, 64)
    for done in SPECS[:10]:
        board.hear(Event(done, result=DONE))
    for n, at_work in enumerate(SPECS[10 : 10 + running]):
        board.hear(Event(at_work, step=n % 50, loss=1 / (n + 1)))
    if failed is not None:
        board.hear(Event(SPECS[-1], result={"status": "failed", "reason": failed}))
    return board


def shown(width: int, height: int, board: Board) -> list[str]:
    """What a terminal of this size shows."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    terminal = Terminal(console)
    terminal.close(board.picture())
    console.file = io.StringIO()
    console.print(terminal.render(board.picture()))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(120, 24), (80, 24), (60, 50), (40, 12), (30, 6)])
def test_a_table_of_64_workers_fits_into_the_terminal(width: int, height: int) -> None:
    lines = shown(width, height, board(64, "nan"))
    assert len(lines) < height
    assert max(map(cell_len, lines)) < width
    assert lines[1].startswith("11 of 160 runs, 1 failed")
    assert re.search(r"and \d+ more", lines[-1])
    rows = lines[2:-1]
    assert int(re.search(r"and (\d+) more", lines[-1])[1]) + len(rows) == 64
    assert all("%" in row for row in rows)
    assert len({row.split("%")[0] for row in rows}) == len(rows), "however narrow, the names' ends can be told apart"


def test_a_row_shows_how_far_a_run_is_and_its_loss() -> None:
    row = shown(80, 24, board(2))[3]
    assert re.fullmatch(r"  adding/np/11 +[━─]{20} +2%  loss 0.5", row)


def test_what_earlier_sessions_did_is_counted_and_a_run_that_is_over_is_counted_once() -> None:
    first, second, third, fourth = SPECS[:4]
    failed = {"status": "failed", "reason": "nan"}
    board = Board("study", {first: DONE, second: failed, third: failed, fourth: None}, [third, fourth], 1)
    now = board.picture()
    assert (now.done, now.failed, now.total) == (1, 1, 4), "the third is done again"
    for event in [Event(third, step=3), Event(third, result=DONE), Event(third, result=DONE), Event(third, step=4)]:
        board.hear(event)
    assert (board.picture().done, board.picture().running) == (2, ())


def test_runs_that_other_drivers_do_are_told_apart_and_come_back() -> None:
    one = SPECS[0]
    board = Board("study", {one: None}, [one], 1)
    board.hear(Event(one, elsewhere="host, process 7"))
    assert (board.picture().elsewhere, list(board.notes)) == (1, ["left to host, process 7: adding/np/0"])
    board.hear(Event(one, step=5))
    assert (board.picture().elsewhere, len(board.picture().running)) == (0, 1)


def test_runs_that_differ_in_other_settings_are_named_with_their_id() -> None:
    twins = [spec("adding", "np", 0), spec("adding", "np", 0, steps=7)]
    twins = [type(t)(t.config, f"{n}{t.id}") for n, t in enumerate(twins)]
    board = Board("search", dict.fromkeys(twins), twins, 2)
    for twin in twins:
        board.hear(Event(twin, step=1))
    assert [row.name for row in board.picture().running] == ["adding/np/0 0addin", "adding/np/0 1addin"]


class Memory(Lines):
    """Keeps what it prints."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def _print(self, line: str) -> None:
        self.lines.append(line)


def test_failures_are_said_at_once_and_a_summary_remains() -> None:
    view = Memory()
    with Display(board(), view) as display:
        display.hear(Event(SPECS[20], result={"status": "failed", "reason": "the loss became nan"}))
        time.sleep(2 * display_module.DRAW_EVERY)
        assert view.lines == ["failed: adding/np/20: the loss became nan"]
    assert view.lines[1:] == ["variants: 10 of 160 runs done, 1 failed, 149 still to do; 0:00"]


def test_a_log_gets_a_line_now_and_then_and_none_while_nothing_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmlab.studies.display.lines.LINE_EVERY", 0.0)
    view, seen = Memory(), board(5)
    for _ in range(3):
        view.draw(seen.picture(), [])
    seen.hear(Event(SPECS[10], step=25, loss=0.25))
    view.draw(seen.picture(), [])
    assert len(view.lines) == 2
    assert view.lines[1].startswith("variants: 10 of 160 runs; 0:00, ")
    assert view.lines[1].endswith(
        "; adding/np/10 50% loss 0.25; adding/np/11 2% loss 0.5; adding/np/12 4% loss 0.333 and 2 more"
    )


def test_text_of_a_reason_controls_no_terminal_and_is_no_markup() -> None:
    seen = board(failed=ATTACK)
    console = Console(file=io.StringIO(), width=200, height=20, force_terminal=True, color_system=None)
    terminal, log = Terminal(console), Memory()
    notes = list(seen.notes)
    for view in (terminal, log):
        view.draw(seen.picture(), notes)
    terminal.close(seen.picture())
    said = console.file.getvalue()
    for text in (re.sub(r"\x1b\[(\?25[lh]|[0-9]*[AKGm]|2K)", "", said), "\n".join(log.lines)):
        assert "it said [bold]x[/bold] <script>" in text
        assert r"\x1b[2J\x1b]0;title\x07\u202eevil and went on" in text
        assert not [c for c in text if not c.isprintable() and c not in "\r\n"]


def test_an_endless_reason_is_cut() -> None:
    (note,) = board(failed="x" * 100_000).notes
    assert len(note) < 1200
    assert "100,000 characters; see `lstmlab status`" in note


@pytest.mark.parametrize("error", [OSError("the terminal is gone"), ValueError("a mistake")])
def test_a_study_goes_on_when_its_display_breaks(error: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(Memory):
        def draw(self, now: Picture, notes: list[str]) -> None:
            raise error

    class Terminal:
        def draw(self, now: Picture, notes: list[str]) -> None:
            raise error

        close = draw

    with Display(board(failed="nan"), Terminal()) as display:
        display.hear(Event(SPECS[50], result=DONE))
    said = capfd.readouterr().err.splitlines()
    assert said[0] == f"display: plain lines from here on, because of {type(error).__name__}: {error}"
    assert said[1].startswith("failed: ")
    assert said[-1].startswith("variants: 11 of 160 runs done")
    with Display(board(), Broken()) as display:
        display.hear(Event(SPECS[50], result=DONE))


def test_a_signal_handler_can_speak_while_the_driver_is_being_heard() -> None:
    display = Display(board(), Memory())
    with display.board._lock:  # where a signal may interrupt the driver
        said = threading.Thread(target=display.say, args=("interrupted",), daemon=True)
        said.start()
        said.join(timeout=5)
    assert display.board.notes[-1] == "interrupted"


def test_memory_stays_flat_and_the_driver_is_not_slowed() -> None:
    specs = [spec("adding", f"cell{n % 20}", n) for n in range(10_000)]
    many = Board("study", dict.fromkeys(specs), specs, 8)
    view = Memory()
    tracemalloc.start()
    with Display(many, view):
        before, began = tracemalloc.get_traced_memory()[0], time.perf_counter()
        for one in specs[:5000]:
            for step in (0, 10, 30):
                many.hear(Event(one, step, 0.5))
            many.hear(Event(one, result=DONE))
        took = time.perf_counter() - began
        assert tracemalloc.get_traced_memory()[0] - before < 200_000
    tracemalloc.stop()
    assert 20_000 / took > 10_000, "events a second, even while every allocation is traced"


def screen(output: str) -> list[str]:
    """Return the lines that a terminal shows after it has got ``output``, of what our display sends."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[\??[0-9;]*[A-Za-z]|[^\x1b]", output):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and len(part) > 1:
            row -= int(part[2:-1] or 1)
        elif part == "\x1b[2K":
            lines[row] = ""
        elif len(part) == 1:
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def open_terminal(lines: int, columns: int) -> tuple[int, int]:
    """Return the two ends of a terminal of this size: the reader's, and the program's."""
    reader, program = pty.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    return reader, program


@pytest.mark.parametrize(
    ("lines", "term", "view"),
    [(24, "xterm", Terminal), (24, "dumb", Lines), (0, "xterm", Lines), (3, "xterm", Lines)],
)
def test_only_a_terminal_that_can_be_redrawn_is(
    lines: int, term: str, view: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, program = open_terminal(lines, 80)
    with os.fdopen(program, "w") as terminal, monkeypatch.context() as here:
        here.setattr(sys, "stderr", terminal)
        here.setenv("TERM", term)
        found = display_module.view()
        found.close(board().picture())
        assert type(found) is view
        assert type(display_module.view(live=False)) is Lines
    os.close(reader)


def test_a_real_study_on_a_real_terminal(tiny: list[str]) -> None:
    driver, terminal = open_terminal(24, 80)
    wild = ["train.learning_rate=1e30", "train.clip_norm=null", "train.schedule=constant", "cell=vanilla", "seed=0,1"]
    command = [sys.executable, "-m", "lstmlab", "study", "study=variants", *tiny, *wild]
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    output = b""
    try:
        while chunk := os.read(driver, 1 << 16):
            output += chunk
    except OSError:  # the other end is closed
        pass
    os.close(driver)
    assert process.wait(60) == 1
    text = output.decode()
    lines = [line for line in screen(text) if line]
    assert "\x1b[2K" in text, "it is redrawn"
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text), "no colours"
    assert [line[:6] for line in lines[:2]] == ["failed"] * 2
    assert "variants: 0 of 2 runs done, 2 failed; 0:" in text
    assert not [line for line in lines if "━" in line or "left" in line], "the table is gone at the end"
    assert text.count("\x1b[?25h") == text.count("\x1b[?25l"), "the cursor is back"


CELL = f"""
import lstmlab
overrides = {[*TINY, "cell=vanilla", "seed=0", "launch=serial"]!r}
lstmlab.study("variants", [*overrides, "outputs=OUTPUTS"]).run()
None
"""


def test_a_notebook_that_nobody_sits_at_gets_lines_and_keeps_no_widgets(tmp_path: Path) -> None:
    """As under papermill and nbconvert: what is saved must not wait for a widget that will never come."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.replace("OUTPUTS", str(tmp_path)))])
    nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    (output,) = notebook.cells[0].outputs
    assert (output.output_type, output.name) == ("stream", "stderr")
    assert re.fullmatch(r"variants: all 1 runs done; 0:\d\d\n", output.text)
    assert "widgets" not in notebook.metadata
