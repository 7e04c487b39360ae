"""Reports of measurements: the tables as text, as Markdown and as JSON. Nothing is measured here."""

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

from benchmarks.cells import Cell, MemoryResult, PeerMemory, Ratio, Result
from benchmarks.peers import TITLES
from benchmarks.workloads import WORKLOADS

SCHEMA = 1  # incremented when a field is removed or changes its meaning, but not when one is added
FAULTS_SHOWN = ("torch",)  # peers whose page faults are shown, beside the first; all are in the JSON
FEW = 4  # up to so many lines are listed by name; more are counted
PACKAGES = ("ndgrad", "numpy", "torch", "autograd", "mygrad", "micrograd", "jax", "tinygrad")


def system_info() -> dict[str, str]:
    """Return the versions, the BLAS, the processor and the date of the measurements."""
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
    """Format the heading: all that the figures depend on."""
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", *PACKAGES))
    return f"{about['date']}: {versions}\nBLAS {about['blas']}; {about['processor']}"


# The tables: a row of text cells for each line.

Table = Sequence[Sequence[str]]


def tables(names: Sequence[str], results: Sequence[Result], memory: Sequence[MemoryResult]) -> list[Table]:
    """Return the tables of speed and of memory, with their heads, if they were measured."""
    speed = [head(names), *map(row, results)]
    memory_table = [memory_head(names), *map(memory_row, memory)]
    return [table for table, measured in ((speed, results), (memory_table, memory)) if measured]


def head(names: Sequence[str]) -> list[str]:
    """Return the column titles. Page faults are shown beside the times that they most often explain."""
    return ["line", "threads", *(title for name in names for title in _titles(name, names[0]))]


def _titles(name: str, first: str) -> list[str]:
    faults = ["faults"] if name in (first, *FAULTS_SHOWN) else []
    return [TITLES[name], *faults, *(["aim"] if name == first else [])]


def row(result: Result) -> list[str]:
    """Return the row of a line: each peer's time, and its ratio to the first peer's."""
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
    """Format the aim, a ratio of PyTorch's time to ndgrad's, and whether it was met."""
    target, reached = WORKLOADS[result.line].aim, result.ratio("torch")
    if target is None:
        return ""
    return f"{target:g}" if reached is None else f"{target:g} {'met' if reached.median >= target else 'not met'}"


def times(ratio: Ratio) -> str:
    """Format a ratio with its quartiles."""
    return f"{ratio.median:.2f}× ({ratio.lower:.2f}–{ratio.upper:.2f})"


def _time(cell: Cell) -> str:
    if cell.rounds:
        return duration(cell.seconds)
    return "–" if not cell.reason.startswith(("fails", "WRONG")) else cell.reason.partition(":")[0]


def memory_head(names: Sequence[str]) -> list[str]:
    """Return the column titles of the memory table."""
    titles = [TITLES[name] for name in names]
    return ["memory", titles[0], "an op", "aim", *titles[1:]]


def memory_row(found: MemoryResult) -> list[str]:
    """Return the memory row of a line: that of the first peer, and of the others with their ratios to it."""
    first, *others = found.cells
    ops = WORKLOADS[found.line].ops
    share = f"{first.bytes / ops:,.0f} B" if ops and first.bytes else ""
    cells = [
        f"{_size(w.bytes)} {w.bytes / first.bytes:.2f}×" if first.bytes and w.bytes else _size(w.bytes) for w in others
    ]
    return [found.line, _size(first.bytes), share, memory_aim(found), *cells]


def memory_aim(found: MemoryResult) -> str:
    """Format the aim, the largest ratio of ndgrad's memory to PyTorch's, and whether it was met."""
    allowed, own, torch = WORKLOADS[found.line].memory_aim, found.bytes("ndgrad"), found.bytes("torch")
    if allowed is None or not own or not torch:
        return f"≤ {allowed:g}"
    return f"≤ {allowed:g} {'met' if own <= allowed * torch else 'not met'}"


def _size(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size else "–"


def duration(seconds: float) -> str:
    """Format a time with three digits, in a unit that gives it an integer part."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def reasons(results: Sequence[Result]) -> str:
    """List the reasons for empty cells, each once."""
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
    """Format rows as aligned columns of text, the first left-aligned and the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
        for cells in rows
    )


def markdown(rows: Table) -> str:
    """Format rows as a Markdown table."""
    first, *others = rows
    rule = ["---", *["--:"] * (len(first) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (first, rule, *others))


def document(about: Mapping[str, str], results: Sequence[Result], memory: Sequence[MemoryResult]) -> dict[str, Any]:
    """Return all measurements as plain dicts and lists, for JSON."""
    return {
        "schema": SCHEMA,
        "about": dict(about),
        "lines": [_line(result) for result in results],
        "memory": [
            {
                "line": found.line,
                "aim": WORKLOADS[found.line].memory_aim,
                "peers": {w.peer: _peer_memory(w) for w in found.cells},
            }
            for found in memory
        ],
    }


def _peer_memory(cell: PeerMemory) -> dict[str, Any]:
    return {"reason": cell.reason} if cell.reason else {"bytes": cell.bytes}


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
