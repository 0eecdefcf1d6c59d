"""From seconds to medians, ratios and their spread, and to text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lstmlab.bench.entries import Entry
from lstmlab.bench.options import Shape

HOW_TO_READ = """\
Times as fast as torch's layer at equal sizes, ± half the distance of the quartiles; the geometric mean
over shapes, also scaled by operations; and the least of all shapes."""


@dataclass(frozen=True)
class Measurement:
    """All times of one entry in one case.

    Attributes:
        path: what computed it: that which "auto" chose, "fused" for example, or the engine itself.
        operations: floating-point operations of a call.
        seconds: by round, None for rounds that it was left out of.
    """

    entry: Entry
    shape: Shape
    threads: int
    mode: str
    dtype: str
    path: str
    operations: int
    seconds: list[float | None]

    @property
    def facts(self) -> dict[str, Any]:
        """What was measured."""
        return {
            "shape": str(self.shape),
            **self.shape._asdict(),
            "threads": self.threads,
            "mode": self.mode,
            "dtype": self.dtype,
            **self.entry._asdict(),
            "path": self.path,
            "baseline": self.entry.baseline,
            "gflop": self.operations / 1e9,
        }


def summarise(measurements: Sequence[Measurement]) -> pd.DataFrame:
    """Return one row per measurement.

    Columns: what was measured (`Measurement.facts`, ``gflop`` being 1e9 operations of a call);
    ``rounds`` that were timed; ``ms``, the median of their milliseconds, with quartiles;
    ``ratio``, the median over rounds of the baseline's time / the own time in the same round
    (above 1 is faster), with quartiles; ``per_flop``, that ratio times operations / operations
    of the baseline.
    """
    cases = {(m.shape, m.threads, m.mode, m.entry.cell): m for m in measurements if m.entry.engine == "torch"}
    rows = []
    for m in measurements:
        base = cases[m.shape, m.threads, m.mode, m.entry.baseline]
        pairs = [b / s for b, s in zip(base.seconds, m.seconds, strict=True) if b is not None and s is not None]
        timed = [1000 * s for s in m.seconds if s is not None]
        ms_low, ms, ms_high = np.quantile(timed, [0.25, 0.5, 0.75])
        low, ratio, high = np.quantile(pairs, [0.25, 0.5, 0.75])
        rows.append(
            {
                **m.facts,
                "rounds": len(timed),
                "ms": ms,
                "ms_low": ms_low,
                "ms_high": ms_high,
                "ratio": ratio,
                "ratio_low": low,
                "ratio_high": high,
                "per_flop": ratio * m.operations / base.operations,
            }
        )
    return pd.DataFrame(rows)


def case_text(rows: pd.DataFrame) -> str:
    """Return the table of one case, a cell a line."""
    first = rows.iloc[0]
    torch_ms = [f"{r.cell} {_ms(r.ms)} ms" for r in rows[rows.engine == "torch"].itertuples()]
    title = f"{first['shape']} · {_threads(first.threads)} · {first['mode']} · {first['dtype']}: {', '.join(torch_ms)}"
    others = [engine for engine in ("reference", "by hand") if engine in set(rows.engine)]
    cells = {(r.cell, r.engine): r for r in rows.itertuples()}
    lines = [
        [
            "cell",
            "path",
            "ms",
            "× torch",
            "quartiles",
            "per FLOP",
            *(part for o in others for part in (f"{o}, ms", "×")),
        ]
    ]
    for (cell, engine), r in cells.items():
        if engine != "auto":
            continue
        line = [cell, r.path, _ms(r.ms), f"{r.ratio:.2f}", f"{r.ratio_low:.2f}–{r.ratio_high:.2f}", f"{r.per_flop:.2f}"]
        for other in others:
            o = cells.get((cell, other))
            line += [_ms(o.ms), f"{o.ratio:.2f}"] if o else ["", ""]
        lines.append(line)
    return f"{title}\n{_aligned(lines)}\n"


def summary_text(table: pd.DataFrame) -> str:
    """Return, for each mode and number of threads, the ratio of every cell at every shape, with its spread."""
    parts = []
    auto = table[table.engine == "auto"]
    for (mode, threads), rows in auto.groupby(["mode", "threads"], sort=False):
        shapes = list(rows["shape"].unique())
        lines = [["cell", *shapes, "mean", "per FLOP", "least"]]
        for cell, own in rows.groupby("cell", sort=False):
            found = {r.shape: f"{r.ratio:.2f} ±{(r.ratio_high - r.ratio_low) / 2:.2f}" for r in own.itertuples()}
            means = [f"{np.exp(np.log(own[column]).mean()):.2f}" for column in ("ratio", "per_flop")]
            lines.append([str(cell), *(found.get(s, "–") for s in shapes), *means, f"{own.ratio.min():.2f}"])
        parts.append(f"{mode} · {_threads(threads)} · {rows['dtype'].iloc[0]}\n{_aligned(lines)}\n")
    return f"{HOW_TO_READ}\n\n" + "\n".join(parts)


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count != 1 else ''}"


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _aligned(lines: list[list[str]]) -> str:
    """Return lines of columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])] for first, *rest in lines)
    return "\n".join(("  " + "  ".join(line)).rstrip() for line in padded)
