"""The C source of a cell's kernel: its equations and their derivative, and the files in ``kernel/``."""

from __future__ import annotations

import math
from pathlib import Path

from lstmlab.cells import Cell, Graph, Node
from lstmlab.engine.derivative import Derivative, derive
from lstmlab.memo import memo

SOURCES = ("vectors", "products", "memory", "job", "forward", "backward", "gradients", "run")
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
INPUT_LINES, BACK_LINES = 64, 512  # rows, times steps, that are treated together while in cache
PANELS_AT_ONCE = 8  # rows of a weight's gradient, times TALL, that a thread takes at a time
# (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, interpolated at the Chebyshev nodes: exp is then off by 1e-8 and 2e-19.
POLYNOMIALS = {
    "float": (0.5, 0.166665770255979882, 0.041666554662050534, 0.0083631730745137109, 0.00139261761199355789),
    "double": (
        *(0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332614088, 0.00138888888888837524),
        *(0.00019841269874800492, 2.48015873255333638e-5, 2.75572554257464343e-6, 2.75572736613486362e-7),
        *(2.51052063739570111e-8, 2.09146793765839351e-9),
    ),
}
WIDTHS = {"float": 4, "double": 8}  # bytes
FORMATS = {
    "float": {
        "integer": "int32_t",
        "EXPONENT_BIAS": 127,
        "MANTISSA_BITS": 23,
        "ROUNDER": "12582912.f",  # 1.5 * 2^23: adding it rounds to a whole number
        "EXP_HIGH": "89.f",
        "EXP_LOW": "-104.f",
        "LN2_HIGH": "0.693359375f",  # short enough that n * LN2_HIGH is exact
        "LN2_LOW": "-2.12194440054690583e-4f",
        "ATANH_TERMS": 8,
    },
    "double": {
        "integer": "int64_t",
        "EXPONENT_BIAS": 1023,
        "MANTISSA_BITS": 52,
        "ROUNDER": "6755399441055744.",
        "EXP_HIGH": "710.",
        "EXP_LOW": "-746.",
        "LN2_HIGH": "6.93147180369123816490e-01",
        "LN2_LOW": "1.90821492927058770002e-10",
        "ATANH_TERMS": 18,
    },
}


@memo
def source(cell: type[Cell], real: str, rounded: bool = False) -> str:
    """Return the C source of a cell's kernel.

    Args:
        cell: whose equations.
        real: "float" or "double".
        rounded: round the operands of recurrent products to bfloat16.
    """
    folder = Path(__file__).with_name("kernel")
    common, *rest = ((folder / f"{name}.c").read_text(encoding="utf-8") for name in SOURCES)
    return "\n".join([_preamble(cell, real, rounded), common, _functions(derive(cell)), *rest])


def _preamble(cell: type[Cell], real: str, rounded: bool) -> str:
    fed = [g for g in cell.gates if any(g in gates for gates in cell.recurrent.values())]
    constants = dict(FORMATS[real])
    constants |= {
        "TERMS": len(POLYNOMIALS[real]),
        "GATES": len(cell.gates),
        "STATES": len(cell.states),
        "VECTORS": len(cell.vectors),
        "INPUTS": len(cell.inputs),
        "FEEDS": len(fed),
        "SOURCES": len(cell.recurrent),
        "ROUND": int(rounded),
        "INPUT_LINES": INPUT_LINES,
        "BACK_LINES": BACK_LINES,
        "PANELS_AT_ONCE": PANELS_AT_ONCE,
        "WIDTH": WIDTHS[real],
        "LOG2_E": f"((real){math.log2(math.e)!r})",
    }
    defines = [f"#define {k} {v}" for k, v in constants.items() if k != "integer"]
    tables = {
        "INPUT_OF": [cell.inputs.index(g) if g in cell.inputs else -1 for g in cell.gates],
        "INPUT_GATE": [cell.gates.index(g) for g in cell.inputs] or [0],
        "INPUT_GROUPS": _groups(len(cell.inputs)),
        "FEED_OF": [fed.index(g) if g in fed else -1 for g in cell.gates],
        "FED": [cell.gates.index(g) for g in fed] or [0],
        "FEED_GROUPS": _groups(len(fed)),
        "INPUT_RUNS": _runs([cell.gates.index(g) for g in cell.inputs]),
        "FEED_RUNS": _runs([cell.gates.index(g) for g in fed]),
        "SOURCE": [cell.states.index(s) for s in cell.recurrent] or [0],
    }
    arrays = [f"static const int {k}[] = {{{', '.join(map(str, v))}}};" for k, v in tables.items()]
    polynomial = ", ".join(map(repr, POLYNOMIALS[real]))
    return "\n".join(
        [
            "#include <pthread.h>\n#include <stdint.h>\n#include <stdlib.h>\n#include <string.h>",
            f"typedef {real} real;\ntypedef {constants['integer']} integer;",
            *defines,
            *arrays,
            f"static const real POLYNOMIAL[] = {{{polynomial}}};",
            _machine(len(cell.inputs), len(fed), WIDTHS[real]),
        ]
    )


def _groups(gates: int) -> list[int]:
    """Return how many gates a product computes side by side: as many as still leave it rows enough."""
    groups = -(-gates // 3)
    return [gates // groups + (i < gates % groups) for i in range(groups)] or [0]


def _runs(gates: list[int]) -> list[int]:
    """Return {first gate, how many} for gates that lie side by side, and an empty run as the end."""
    runs: list[int] = []
    for gate in gates:
        if runs and gate == runs[-2] + runs[-1]:
            runs[-1] += 1
        else:
            runs += [gate, 1]
    return [*runs, 0, 0]


def _machine(inputs: int, feeds: int, width: int) -> str:
    """Return the sizes that depend on the CPU: bytes of a vector, rows that fit its registers."""
    return "\n".join(
        [
            "#if defined(__AVX512F__) && defined(__AVX512BW__)",
            *_sizes(64, 32, inputs, feeds, width),
            "#elif defined(__AVX2__)",
            *_sizes(32, 16, inputs, feeds, width),
            "#elif defined(__aarch64__)",
            *_sizes(16, 32, inputs, feeds, width),
            "#else",
            *_sizes(16, 16, inputs, feeds, width),
            "#endif",
            "#if ROUND && defined(__AVX512BF16__)\n#define BFLOAT16 1\n#else\n#define BFLOAT16 0\n#endif",
            "#define MAX_THREADS 256\n",
        ]
    )


def _sizes(vector_bytes: int, registers: int, inputs: int, feeds: int, width: int) -> list[str]:
    """Return how many rows a product takes at a time: its sums, a row of the matrix and a factor fit.

    Twelve rows of two vectors, or eight of three, hide the latency of a multiplication; more only
    leave larger remainders.
    """
    rows = {n: max(1, min(24 // n, 12, (registers - n - 2) // n)) for n in (1, 2, 3)}
    tall, tile = (8, 3) if registers == 32 else (4, 2)
    lanes = vector_bytes // width
    products = [f"PRODUCT({m}, {n})" for n in rows for m in range(1, rows[n] + 1)]
    return [
        f"#define VECTOR_BYTES {vector_bytes}",
        f"#define MAX_SUMS {max(24, tall * tile)}",
        f"#define INPUT_ROWS {min(rows[n] for n in _groups(inputs))}",
        f"#define FEED_ROWS {min(rows[max(n, 1)] for n in _groups(feeds))}",
        *(f"#define ROWS_OF_{n} {rows[n]}" for n in rows),
        f"#define TALL {tall}",
        f"#define TILE {tile}",
        f"#define SHORTER {min(tall, lanes)}",
        f"#define PRODUCTS {' '.join(products)}",
    ]


def _functions(made: Derivative) -> str:
    cell = made.forward.cell
    reads = {g: f"gates[{i}]" for i, g in enumerate(cell.gates)}
    reads |= {s: f"old[{i}]" for i, s in enumerate(cell.states)}
    reads |= {v: f"vectors[{i}]" for i, v in enumerate(cell.vectors)}
    writes = [(f"kept[{i}]", made.kept[g]) for i, g in enumerate(cell.gates)]
    writes += [(f"new[{i}]", made.forward.states[s]) for i, s in enumerate(cell.states)]
    forward = _body(made.forward.graph, reads, writes)

    reads |= {f"kept:{g}": f"kept[{i}]" for i, g in enumerate(cell.gates)}
    reads |= {f"grad:{s}": f"arriving[{i}]" for i, s in enumerate(cell.states)}
    zero = made.graph.constant(0.0)
    targets = {"gates": cell.gates, "before": cell.states, "units": cell.vectors}
    writes = [(f"{k}[{i}]", made.gradients.get(n, zero)) for k, names in targets.items() for i, n in enumerate(names)]
    backward = _body(made.graph, reads, writes)
    return (
        "INLINE void cell_forward(const V *gates, const V *old, const V *vectors, V *kept, V *new) {\n"
        f"    (void)old; (void)vectors;\n{forward}}}\n\n"
        "INLINE void cell_backward(const V *kept, const V *old, const V *vectors, const V *arriving,\n"
        "                          V *gates, V *before, V *units) {\n"
        f"    (void)old; (void)vectors; (void)units;\n{backward}}}\n"
    )


def _body(graph: Graph, reads: dict[str, str], writes: list[tuple[str, Node]]) -> str:
    names: dict[int, str] = {}
    lines = []
    for node in graph.needed([node for _, node in writes]):
        args = [names[a.index] for a in node.args]
        if node.op == "input":
            names[node.index] = reads[node.value]
            continue
        if node.op == "constant":
            number = repr(node.value).replace("inf", "__builtin_inf()").replace("nan", '__builtin_nan("")')
            text = f"splat((real){number})"
        elif node.op in INFIX:
            text = f"{args[0]} {INFIX[node.op]} {args[1]}"
        else:
            text = f"op_{node.op}({', '.join(args)})"
        names[node.index] = f"v{node.index}"
        lines.append(f"    const V v{node.index} = {text};\n")
    return "".join(lines) + "".join(f"    {target} = {names[node.index]};\n" for target, node in writes)
