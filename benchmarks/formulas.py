"""Formulas that need operators only, so they are the same for every peer with arrays.

Each takes the line's numbers, for sizes and indices, and its leaves in the peer's own type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.workloads import Numbers

Formula = Callable[..., Any]


def _chain(n: Numbers, x: Any) -> Any:
    y = x
    for _ in range(n.times):
        y = y * 0.999 + x
    return y


def _leaf(n: Numbers, x: Any) -> Any:
    y = x
    for _ in range(n.times):
        y = y + x
    return y


def _windows(n: Numbers, x: Any) -> Any:
    y = x[: n.n]
    for i in range(1, n.times):
        y = y + x[i : i + n.n]
    return y


# fmt: off
FORMULAS: Mapping[str, Formula] = {
    "chain":      _chain,
    "chain-lean": _chain,
    "leaf":       _leaf,
    "windows":    _windows,
    "pick":       lambda n, x: x[n.index],
    "embedding":  lambda n, x: x[n.index],
    "bias":       lambda _, x, b: x + b,
    "matmuls":    lambda _, a, b: a @ b,
}
# fmt: on
