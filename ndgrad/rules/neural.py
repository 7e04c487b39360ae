"""Rules of classification: probabilities from scores, along one axis, the last unless another is named."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ndgrad.rules.rule import Call, Rule


def _along(x: Any, axis: Any = -1) -> Call:
    return (x,), {"axis": operator.index(axis)}


def _exponentials(x: Any, axis: int) -> tuple[Any, Any, Any]:
    """The scores less their largest, their exponentials, and the sum of these. Nothing overflows."""
    z = x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    e = np.exp(z)
    return z, e, np.add.reduce(e, axis=axis, keepdims=True)


def _softmax(x: Any, *, axis: int) -> Any:
    _, e, total = _exponentials(x, axis)
    return e / total


def _log_softmax(x: Any, *, axis: int) -> tuple[Any, Any]:
    """Keeps the probabilities, which its pullback wants and has then without another exponential."""
    z, e, total = _exponentials(x, axis)
    z -= np.log(total)  # in place, as both are this function's own
    e /= total
    return z, e


# fmt: off
#             forward           pullback: (g, y, x, **options)
softmax     = Rule(_softmax,    lambda g, y, x, *, axis: y * (g - np.add.reduce(g * y, axis=axis, keepdims=True)),
                   bind=_along)
log_softmax = Rule(_log_softmax,
                   lambda g, y, x, *, axis, kept: g - kept * np.add.reduce(g, axis=axis, keepdims=True),
                   keep=lambda y, x, *, axis: np.exp(y), bind=_along)
# fmt: on
