"""`lstmlab bench`: ratios are those of the times, files hold what they promise, mistakes are named."""

import gc
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from torch.nn.utils import parameters_to_vector

from lstmlab import cli, registry
from lstmlab.bench import run
from lstmlab.bench.entries import BY_HAND, MODES, Entry, entries, operations, prepare
from lstmlab.bench.options import SHAPES, Shape, parse
from lstmlab.bench.table import Measurement, case_text, summarise, summary_text
from lstmlab.bench.timing import alternate
from lstmlab.engine import RNN, dispatch
from lstmlab.engine.costs import flops

TINY = ["--shapes", "3x2x2x4,2x1x3x5", "--threads", "1", "--rounds", "3", "--budget", "0"]
SHAPE = Shape(3, 2, 2, 4)


def measured(entry: Entry, seconds: list[float | None], flop: int = 100, shape: Shape = SHAPE) -> Measurement:
    return Measurement(entry, shape, 1, "forward", "float32", "fused", flop, seconds)


LSTM = measured(Entry("nn.LSTM", "torch"), [4.0, 2.0, 6.0, 8.0])


def row(table: pd.DataFrame, cell: str, engine: str = "auto") -> Any:
    (found,) = table[(table.cell == cell) & (table.engine == engine)].itertuples()
    return found


def test_a_ratio_is_the_median_of_the_ratios_in_each_round() -> None:
    """4/2, 2/4, 6/2, 8/1: not the ratio of the medians, 5/2."""
    found = row(summarise([LSTM, measured(Entry("coupled", "auto"), [2.0, 4.0, 2.0, 1.0], flop=75)]), "coupled")
    assert (found.ratio, found.ratio_low, found.ratio_high) == (2.5, 1.625, 4.25)
    assert (found.ms, found.ms_low, found.ms_high, found.rounds) == (2000, 1750, 2500, 4)
    assert found.per_flop == 2.5 * 75 / 100


def test_a_round_that_one_was_left_out_of_does_not_count() -> None:
    found = row(
        summarise([LSTM, measured(Entry("vanilla", "reference"), [8.0, 8.0, None, None])]), "vanilla", "reference"
    )
    assert (found.ratio, found.ms, found.rounds) == (0.375, 8000, 2)


def test_each_is_compared_with_its_own_layer_of_torch_at_its_own_shape() -> None:
    gru, other = measured(Entry("nn.GRU", "torch"), [3.0] * 4), Shape(9, 9, 9, 9)
    table = summarise(
        [
            *(LSTM, gru, measured(Entry("nn.LSTM", "torch"), [1.0] * 4, shape=other)),
            *(measured(Entry("gru", "auto"), [1.0] * 4), measured(Entry("vanilla", "auto"), [1.0] * 4, shape=other)),
        ]
    )
    assert (row(table, "gru").baseline, row(table, "gru").ratio) == ("nn.GRU", 3.0)
    assert (row(table, "vanilla").baseline, row(table, "vanilla").ratio) == ("nn.LSTM", 1.0)


def test_the_summary_has_the_geometric_mean_and_the_least() -> None:
    other = Shape(9, 9, 9, 9)
    table = summarise(
        [
            *(LSTM, measured(Entry("nn.LSTM", "torch"), [8.0] * 4, shape=other)),
            measured(Entry("vanilla", "auto"), [2.0, 1.0, 3.0, 4.0], flop=50),
            measured(Entry("vanilla", "auto"), [1.0] * 4, flop=50, shape=other),
            measured(Entry("peephole", "auto"), [4.0, 1.0, 6.0, 16.0]),
        ]
    )
    lines = [line.split() for line in summary_text(table).splitlines()]
    assert ["vanilla", "2.00", "±0.00", "8.00", "±0.00", "4.00", "2.00", "2.00"] in lines
    assert ["peephole", "1.00", "±0.19", "–", "1.00", "1.00", "1.00"] in lines, "a shape may be missing"


def test_the_table_of_a_case_has_all_engines_of_a_cell_in_one_line() -> None:
    rows = [LSTM, measured(Entry("vanilla", "auto"), [2.0, 1.0, 3.0, 4.0])]
    rows += [measured(Entry("coupled", "auto"), [4.0, 2.0, 6.0, 8.0], flop=75)]
    rows += [measured(Entry("vanilla", e), [8.0, 4.0, None, None]) for e in ("reference", "by hand")]
    title, _, vanilla, coupled = case_text(summarise(rows)).splitlines()
    assert title == "3×2×2×4 · 1 thread · forward · float32: nn.LSTM 5000 ms"
    assert vanilla.split() == ["vanilla", "fused", "2500", "2.00", "2.00–2.00", "2.00", *["6000", "0.50"] * 2]
    assert coupled.split() == ["coupled", "fused", "5000", "1.00", "1.00–1.00", "0.75"]


def clocked(costs: dict[str, int]) -> tuple[dict[str, Callable[[], None]], Callable[[], float], list[str]]:
    """Return calls that take whole seconds on a clock of their own, that clock, and the order of the calls."""
    now, order = [0.0], []

    def call(name: str) -> None:
        assert not gc.isenabled()
        order.append(name)
        now[0] += costs[name]

    return {name: lambda name=name: call(name) for name in costs}, lambda: now[0], order


def test_turns_alternate() -> None:
    calls, clock, order = clocked({"a": 1, "b": 2, "c": 3})
    assert alternate(calls, frozenset("a"), 4, 100.0, clock) == {"a": [1] * 4, "b": [2] * 4, "c": [3] * 4}
    assert "".join(order) == "abccbaabccba"
    assert gc.isenabled()


def test_slow_ones_stop_after_their_budget_but_not_before_three_rounds() -> None:
    """What the others are compared with goes on as long as any of them does."""
    calls, clock, _ = clocked({"base": 50, "fast": 1, "slow": 9})
    found = alternate(calls, frozenset({"base"}), 10, 5.0, clock)
    assert found == {"base": [50] * 5, "fast": [1] * 5, "slow": [9, 9, 9, None, None]}


def test_garbage_is_collected_again_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        alternate({"a": lambda: 1 // 0}, frozenset(), 1, 1.0)  # type: ignore[arg-type, return-value]
    assert gc.isenabled()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("mode", MODES)
def test_everything_can_be_called(mode: str, dtype: str) -> None:
    options = parse(["--cells", "vanilla,peephole", "--dtype", dtype])
    for entry in entries(options):
        prepare(entry, SHAPE, mode, options)()


@pytest.mark.parametrize("cell", BY_HAND)
def test_the_loop_by_hand_is_the_cell(cell: str) -> None:
    torch.manual_seed(0)
    loop, rnn, x = BY_HAND[cell](3, 5), RNN(cell, 3, 5), torch.randn(6, 2, 3)
    torch.nn.utils.vector_to_parameters(parameters_to_vector(loop.parameters()), rnn.parameters())
    torch.testing.assert_close(loop(x)[0], rnn(x)[0])


def test_operations_are_those_of_all_steps_and_sequences() -> None:
    each = flops(registry.cell.get("vanilla"), SHAPE.features, SHAPE.hidden)
    assert operations(Entry("nn.LSTM", "torch"), SHAPE, "forward") == 3 * 2 * each.forward
    assert operations(Entry("vanilla", "by hand"), SHAPE, "forward + backward") == 3 * 2 * each.both


def test_by_default_everything_is_timed() -> None:
    options = parse([])
    assert options.cells == tuple(registry.cell)
    assert [str(s) for s in SHAPES] == [
        "100×32×64×128",
        "100×64×128×256",
        "50×20×200×200",
        "128×16×40×512",
        "784×64×1×128",
        "35×20×650×650",
    ]
    assert options.shapes == SHAPES
    assert options.threads[0] == 1
    assert (options.out.parent.name, options.out.name) == ("outputs", "bench")
    found = entries(options)
    assert {e.cell for e in found if e.engine == "torch"} <= {"nn.LSTM", "nn.GRU"}
    for engine in ("auto", "reference"):
        assert [e.cell for e in found if e.engine == engine] == list(registry.cell)
    assert {e.engine for e in entries(parse(["--no-reference"]))} == {"torch", "auto"}


def test_the_files_hold_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert cli.main(["bench", *TINY, "--threads", "1,2", "--cells", "peephole,coupled", "--out", str(tmp_path)]) == 0
    assert torch.get_num_threads() == threads
    said = capsys.readouterr().out
    assert "3×2×2×4 · 1 thread · forward · float32: nn.LSTM" in said
    assert "forward + backward · 2 threads · float32\n" in said

    table = pd.read_csv(tmp_path / "bench.csv")
    keys = ["shape", "threads", "mode", "cell", "engine"]
    timed = [("nn.LSTM", "torch"), ("peephole", "auto"), ("coupled", "auto"), ("peephole", "reference")]
    timed += [("coupled", "reference"), ("peephole", "by hand")]
    assert [*table[keys].itertuples(index=False, name=None)] == [
        (shape, n, mode, *entry)
        for shape in ("3×2×2×4", "2×1×3×5")
        for n in (1, 2)
        for mode in ("forward", "forward + backward")
        for entry in timed
    ]
    assert (table.ratio[table.engine == "torch"] == 1).all()
    assert set(table.path[table.engine != "auto"]) == {"torch", "reference", "by hand"}
    assert set(table.path[table.engine == "auto"]) == {dispatch.path(registry.cell.get("peephole")).name}
    assert ((table.ratio_low <= table.ratio) & (table.ratio <= table.ratio_high)).all()

    record = json.loads((tmp_path / "bench.json").read_text())
    assert {"processor", "cores", "torch"} <= set(record["machine"])
    assert record["date"].startswith("20")
    assert (record["settings"]["shapes"], record["settings"]["rounds"]) == (["3×2×2×4", "2×1×3×5"], 3)
    assert len(record["measurements"]) == len(table)
    for measurement, r in zip(record["measurements"], table.itertuples(), strict=True):
        assert all(measurement[key] == getattr(r, key) for key in keys)
        assert sorted(measurement["seconds"])[1] * 1000 == pytest.approx(r.ms)

    picture = imread(tmp_path / "bench.png")
    assert min(picture.shape[:2]) > 300
    assert {p.name for p in tmp_path.iterdir()} == {"bench.csv", "bench.json", "bench.png"}


def test_what_fails_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(entry: Entry, *rest: Any) -> Any:
        if entry == Entry("coupled", "auto") and rest[0] == SHAPE:
            raise RuntimeError("no such luck")
        return prepare(entry, *rest)

    monkeypatch.setattr(run, "prepare", failing)
    arguments = ["bench", *TINY, "--no-reference", "--out", str(tmp_path), "--cells"]
    assert cli.main([*arguments, "vanilla,coupled"]) == 1
    said = capsys.readouterr()
    assert "lstmlab: left out: coupled (auto), forward: RuntimeError: no such luck\n" in said.err
    table = pd.read_csv(tmp_path / "bench.csv")
    assert set(table["shape"][table.cell == "coupled"]) == {"2×1×3×5"}
    assert list(json.loads((tmp_path / "bench.json").read_text())["failures"]) == [
        f"coupled (auto), {m}" for m in MODES
    ]
    assert cli.main([*arguments, "coupled", "--shapes", "3x2x2x4"]) == 2
    assert "Nothing could be timed: RuntimeError: no such luck" in capsys.readouterr().err


def test_an_interruption_keeps_what_has_been_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = count()

    def interrupted(*given: Any) -> Any:
        if next(cases) == 2:
            raise KeyboardInterrupt
        return alternate(*given)

    monkeypatch.setattr(run, "alternate", interrupted)
    assert cli.main(["bench", *TINY, "--cells", "vanilla", "--no-reference", "--out", str(tmp_path)]) == 130
    assert f"what has been measured is in {tmp_path}" in capsys.readouterr().err
    assert list(pd.read_csv(tmp_path / "bench.csv")["mode"]) == [m for m in MODES for _ in range(2)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cells", "pephole"], "Did you mean 'peephole'"),
        (["--shapes", "3x2x2"], "The shape '3x2x2' is not steps x sequences x features x units, as 100x32x64x128 is"),
        (["--shapes", "3x2x2x4,3x0x2x4"], "The shape '3x0x2x4'"),
        (["--threads", "0"], "--threads '0': a number of threads is 1 or more"),
        (["--threads", "1,all"], "--threads 'all'"),
        (["--cells", "vanilla,"], "There is no cell called ''"),
        (["--rounds", "0"], "--rounds must be 1 or more"),
        (["--budget", "nan"], "--budget 0 or more"),
        (["--out", "/dev/null/x"], "--out /dev/null/x cannot be written: Not a directory"),
    ],
    ids=" ".join,
)
def test_mistakes_are_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *TINY, *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("lstmlab: ")
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("arguments", [["--dtype", "float16"], ["--cell", "vanilla"], ["cells=vanilla"]], ids=" ".join)
def test_unknown_options_show_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", *arguments])
    assert ended.value.code == 2
    assert "usage: lstmlab bench [-h] [--cells A,B]" in capsys.readouterr().err


def test_help_names_every_option_and_how_to_read_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for text in ("--cells", "--shapes", "--threads", "--dtype", "--rounds", "--budget", "--no-reference", "--out"):
        assert text in said
    for text in ("per FLOP", "× torch", "bench.csv", "bench.json", "bench.png"):
        assert text in said
