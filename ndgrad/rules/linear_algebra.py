"""Rules of matrix products. Batches broadcast, and the engine sums the broadcasting out as for any op."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ndgrad.rules.rule import Rule


def _matmul_left(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    """Treat a vector as a matrix of one row on the left, and of one column on the right."""
    if b.ndim == 1:
        return g[..., None] * b
    if _a.ndim == 1:
        return (g[..., None, :] @ b.mT)[..., 0, :]
    return g @ b.mT


def _matmul_right(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    if a.ndim == 1:
        return g * a if _b.ndim == 1 else a[:, None] * g[..., None, :]
    if _b.ndim == 1:
        return (a.mT @ g[..., None])[..., 0]
    return a.mT @ g


def _dot(a: Any, b: Any) -> Any:
    """Call NumPy's `dot`, except for 0-d operands: for 0 times infinity its BLAS returns 0 there, not NaN."""
    return a * b if a.ndim == 0 or b.ndim == 0 else np.dot(a, b)


def _contracted(b: Any) -> Any:
    """Reshape an operand of `dot` to a matrix: the last axis but one, which is summed over, against the others."""
    return b.transpose([b.ndim - 2, *range(b.ndim - 2), b.ndim - 1]).reshape(b.shape[-2], _columns(b))


def _columns(b: Any) -> int:
    return math.prod((*b.shape[:-2], b.shape[-1]))


def _dot_left(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    """Carry back to `a`. `dot` sums over the last axis of `a` and the last but one of `b`, and joins the others."""
    if _a.ndim == 0 or b.ndim == 0:
        return g * b
    if b.ndim == 1:
        return g[..., None] * b
    return g.reshape((*_a.shape[:-1], _columns(b))) @ _contracted(b).T


def _dot_right(g: Any, _y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 0 or b.ndim == 0:
        return g * a
    rows = math.prod(a.shape[:-1])
    flat = a.reshape(rows, a.shape[-1])
    if b.ndim == 1:
        return g.reshape(rows) @ flat
    towards = (flat.T @ g.reshape(rows, _columns(b))).reshape((b.shape[-2], *b.shape[:-2], b.shape[-1]))
    return towards.transpose([*range(1, b.ndim - 1), 0, b.ndim - 1])


# fmt: off
#        forward            pullback to each operand: (g, y, a, b)
matmul = Rule(np.matmul,    _matmul_left,  _matmul_right,  operator="matmul", symbol="@")
dot    = Rule(_dot,         _dot_left,     _dot_right,     numpy=(np.dot,))
outer  = Rule(np.outer,     lambda g, _y, _a, b: (g @ b.reshape(-1)).reshape(_a.shape),
                            lambda g, _y, a, _b: (a.reshape(-1) @ g).reshape(_b.shape))
# fmt: on
