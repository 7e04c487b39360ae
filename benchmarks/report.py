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

from benchmarks.cells import Cell, Ratio, Result
from benchmarks.peers import TITLES
from benchmarks.workloads import WORKLOADS

SCHEMA = 1  # goes up when a field goes, or comes to mean something else; not when one is added
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


# The table: a row of text cells for each line.


def head(names: Sequence[str]) -> list[str]:
    """What stands over each column."""
    titles = [TITLES[name] for name in names]
    return ["line", "threads", titles[0], "faults", "aim", *titles[1:]]


def row(result: Result) -> list[str]:
    """A line's cells: the first peer's time and page faults a step, then each other's time and ratio to it."""
    first, *others = result.cells
    faults = f"{median(first.faults):,.0f}" if first.faults else "–"
    return [result.line, str(result.threads), _time(first), faults, aim(result), *(_cell(result, c) for c in others)]


def aim(result: Result) -> str:
    """What is aimed at, as a ratio of PyTorch's time to ndgrad's, and whether it was reached."""
    wanted, reached = WORKLOADS[result.line].aim, result.ratio("torch")
    if wanted is None:
        return ""
    return f"{wanted:g}" if reached is None else f"{wanted:g} {'met' if reached.median >= wanted else 'not met'}"


def _cell(result: Result, cell: Cell) -> str:
    found = result.ratio(cell.peer, result.cells[0].peer)
    return f"{_time(cell)} {times(found)}" if found else _time(cell)


def times(ratio: Ratio) -> str:
    """A ratio with its quartiles."""
    return f"{ratio.median:.2f}× ({ratio.lower:.2f}–{ratio.upper:.2f})"


def _time(cell: Cell) -> str:
    if cell.rounds:
        return duration(cell.seconds)
    return "–" if not cell.reason.startswith(("fails", "WRONG")) else cell.reason.partition(":")[0]


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
    return "\n".join(f"{TITLES[peer]}: {reason} ({', '.join(lines)})" for (peer, reason), lines in found.items())


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in rows
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same rows as a table of Markdown."""
    first, *others = rows
    rule = ["---", *["--:"] * (len(first) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (first, rule, *others))


def document(about: Mapping[str, str], results: Sequence[Result]) -> dict[str, Any]:
    """Everything, as plain dicts and lists."""
    return {"schema": SCHEMA, "about": dict(about), "lines": [_line(result) for result in results]}


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
