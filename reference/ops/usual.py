"""The usual formulas of gradients, as textbooks and most engines have them, where they lose digits at some operands.

`formula(g, y, *operands, **options)` is the gradient for each operand, before sums over broadcast axes: `g` is the
cotangent and `y` the op's value. An engine that loses no more digits than these formulas is imprecise, and not wrong.
The formulas run on floats, and on dual numbers, which differentiate them. They are not used to decide what is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.ops.definitions import counted


def tanh(g: Any, y: Any, x: Any) -> Any:
    """`1 - y**2` is 0 from x = 19.1 on."""
    del x
    return g * (1 - y * y)


def sigmoid(g: Any, y: Any, x: Any) -> Any:
    """`1 - y` is 0 from x = 36.8 on, and the second derivative's `1 - 2 * y` around x = 0."""
    del x
    return g * (y * (1 - y))


def expm1(g: Any, y: Any, x: Any) -> Any:
    """`y + 1` is 0 below x = -37.4."""
    del x
    return g * (y + 1)


def logaddexp2(g: Any, y: Any, a: Any, b: Any) -> Any:
    """Large operands lose the digits of their differences from the result."""
    return g * np.exp2(a - y), g * np.exp2(b - y)


def logsumexp(g: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """As above."""
    return _expanded(g, x, axis, keepdims) * np.exp(x - _expanded(y, x, axis, keepdims))


def softmax(g: Any, y: Any, x: Any, *, axis: int = -1) -> Any:
    """The cotangent and its mean are subtracted, and often nearly the same."""
    del x
    return y * (g - np.sum(g * y, axis=axis, keepdims=True))


def log_softmax(g: Any, y: Any, x: Any, *, axis: int = -1) -> Any:
    """As above."""
    del x
    return g - np.exp(y) * np.sum(g, axis=axis, keepdims=True)


def label_cross_entropy(g: Any, y: Any, x: Any, *, labels: np.ndarray) -> Any:
    """The probability of the label is near 1, and 1 is subtracted."""
    places = labels[..., None]
    total = np.expand_dims(y, -1) + np.take_along_axis(x, places, -1)
    wanted = np.zeros(np.shape(x))
    np.put_along_axis(wanted, places, 1.0, -1)
    return np.expand_dims(g, -1) * (np.exp(x - total) - wanted)


def var(g: Any, y: Any, x: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Numbers and their mean are often nearly the same."""
    del y
    count = counted(x, axis)
    deviations = x - np.sum(x, axis=axis, keepdims=True) / count
    return _expanded(g, x, axis, keepdims) * (2 * deviations / max(0, count - ddof))


def std(g: Any, y: Any, x: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """As above."""
    count = counted(x, axis)
    deviations = x - np.sum(x, axis=axis, keepdims=True) / count
    return _expanded(g, x, axis, keepdims) * deviations / (_expanded(y, x, axis, keepdims) * max(0, count - ddof))


def prod(g: Any, y: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The product may overflow or vanish where the products of all others do not."""
    return _expanded(g, x, axis, keepdims) * _expanded(y, x, axis, keepdims) / x


def _expanded(reduced: Any, x: Any, axis: Any, keepdims: bool) -> Any:  # noqa: FBT001 - an op's option
    """Put back the axes of length 1 that a reduction removed."""
    if keepdims:
        return reduced
    axes = range(np.ndim(x)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, np.ndim(x))
    return np.reshape(reduced, tuple(1 if a in axes else n for a, n in enumerate(np.shape(x))))
