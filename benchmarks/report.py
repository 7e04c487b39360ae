"""Words for what was measured: the table as text, as Markdown and as JSON. Nothing is measured here."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.cells import Cell, Ratio, Result, Weight, Weights
from benchmarks.peers import TITLES
from benchmarks.workloads import WORKLOADS

SCHEMA = 1  # goes up when a field goes, or comes to mean something else; not when one is added
FAULTS_SHOWN = ("torch",)  # beside those of the first peer; all are in the JSON
FEW = 4  # lines that are named; of more it is said how many they are
PACKAGES = ("ndgrad", "numpy", "torch", "autograd", "mygrad", "micrograd", "jax", "tinygrad")


def machine() -> dict[str, str]:
    """What the figures came from: the versions, BLAS, the processor, and when."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "blas": f"{blas['name']} {blas['version']}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def heading(about: Mapping[str, str]) -> str:
    """The lines on top: all that the figures depend on."""
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", *PACKAGES))
    return f"{about['date']}: {versions}\nBLAS {about['blas']}; {about['processor']}"


# The tables: a row of text cells for each line.

Table = Sequence[Sequence[str]]


def tables(names: Sequence[str], results: Sequence[Result], weights: Sequence[Weights]) -> list[Table]:
    """That of speed and that of memory, each with its head, as far as they were measured."""
    speed = [head(names), *map(row, results)]
    memory = [weights_head(names), *map(weights_row, weights)]
    return [table for table, measured in ((speed, results), (memory, weights)) if measured]


def head(names: Sequence[str]) -> list[str]:
    """What stands over each column. Page faults are shown beside the times that they most often explain."""
    return ["line", "threads", *(title for name in names for title in _titles(name, names[0]))]


def _titles(name: str, first: str) -> list[str]:
    faults = ["faults"] if name in (first, *FAULTS_SHOWN) else []
    return [TITLES[name], *faults, *(["aim"] if name == first else [])]


def row(result: Result) -> list[str]:
    """A line's cells: each peer's time, and its ratio to the first one's."""
    return [
        WORKLOADS[result.line].label,
        str(result.threads),
        *(text for cell in result.cells for text in _cells(result, cell)),
    ]


def _cells(result: Result, cell: Cell) -> list[str]:
    first = result.cells[0]
    faults = [f"{median(cell.faults):,.0f}" if cell.faults else "–"] if cell.peer in (first.peer, *FAULTS_SHOWN) else []
    if cell is first:
        return [_time(cell), *faults, aim(result)]
    found = result.ratio(cell.peer, first.peer)
    return [f"{_time(cell)} {times(found)}" if found else _time(cell), *faults]


def aim(result: Result) -> str:
    """What is aimed at, as a ratio of PyTorch's time to ndgrad's, and whether it was reached."""
    wanted, reached = WORKLOADS[result.line].aim, result.ratio("torch")
    if wanted is None:
        return ""
    return f"{wanted:g}" if reached is None else f"{wanted:g} {'met' if reached.median >= wanted else 'not met'}"


def times(ratio: Ratio) -> str:
    """A ratio with its quartiles."""
    return f"{ratio.median:.2f}× ({ratio.lower:.2f}–{ratio.upper:.2f})"


def _time(cell: Cell) -> str:
    if cell.rounds:
        return duration(cell.seconds)
    return "–" if not cell.reason.startswith(("fails", "WRONG")) else cell.reason.partition(":")[0]


def weights_head(names: Sequence[str]) -> list[str]:
    """What stands over each column of the table of memory."""
    titles = [TITLES[name] for name in names]
    return ["memory", titles[0], "an op", "aim", *titles[1:]]


def weights_row(found: Weights) -> list[str]:
    """A line's memory: the first peer's, and each other's with its ratio to it."""
    first, *others = found.weights
    ops = WORKLOADS[found.line].ops
    share = f"{first.bytes / ops:,.0f} B" if ops and first.bytes else ""
    cells = [
        f"{_size(w.bytes)} {w.bytes / first.bytes:.2f}×" if first.bytes and w.bytes else _size(w.bytes) for w in others
    ]
    return [found.line, _size(first.bytes), share, weight_aim(found), *cells]


def weight_aim(found: Weights) -> str:
    """How many times PyTorch's memory ndgrad's may be, and whether it is no more."""
    allowed, own, torch = WORKLOADS[found.line].weight, found.bytes("ndgrad"), found.bytes("torch")
    if allowed is None or not own or not torch:
        return f"≤ {allowed:g}"
    return f"≤ {allowed:g} {'met' if own <= allowed * torch else 'not met'}"


def _size(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size else "–"


def duration(seconds: float) -> str:
    """A time of three digits, in the unit that it has in front of the point."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def reasons(results: Sequence[Result]) -> str:
    """Why cells are empty, each reason once."""
    found: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for cell in result.cells:
            if cell.reason:
                found.setdefault((cell.peer, cell.reason), []).append(result.line)
    return "\n".join(f"{TITLES[peer]}: {reason} ({_listed(lines)})" for (peer, reason), lines in found.items())


def _listed(lines: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(lines))
    return ", ".join(distinct) if len(distinct) <= FEW else f"{len(distinct)} lines"


def aligned(rows: Table) -> str:
    """Rows as columns of text, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in rows
    )


def markdown(rows: Table) -> str:
    """The same rows as a table of Markdown."""
    first, *others = rows
    rule = ["---", *["--:"] * (len(first) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (first, rule, *others))


def document(about: Mapping[str, str], results: Sequence[Result], weights: Sequence[Weights]) -> dict[str, Any]:
    """Everything, as plain dicts and lists."""
    return {
        "schema": SCHEMA,
        "about": dict(about),
        "lines": [_line(result) for result in results],
        "memory": [
            {
                "line": found.line,
                "aim": WORKLOADS[found.line].weight,
                "peers": {w.peer: _weight(w) for w in found.weights},
            }
            for found in weights
        ],
    }


def _weight(weight: Weight) -> dict[str, Any]:
    return {"reason": weight.reason} if weight.reason else {"bytes": weight.bytes}


def _line(result: Result) -> dict[str, Any]:
    workload = WORKLOADS[result.line]
    return {
        "line": result.line,
        "what": workload.what,
        "threads": result.threads,
        "ops": workload.ops,
        "aim": workload.aim,
        "peers": {cell.peer: _peer(result, cell, workload.ops) for cell in result.cells},
    }


def _peer(result: Result, cell: Cell, ops: int | None) -> dict[str, Any]:
    if not cell.rounds:
        return {"reason": cell.reason}
    found = result.ratio(cell.peer)
    return {
        "seconds": cell.seconds,
        "seconds_per_op": cell.seconds / ops if ops else None,
        "rounds": cell.rounds,
        "faults": median(cell.faults),
        "ratio": found and {"median": found.median, "quartiles": [found.lower, found.upper]},
    }
