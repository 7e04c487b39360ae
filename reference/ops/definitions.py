"""NumPy definitions of the ops for which NumPy has no function, or one that does too much. They ignore rounding.

Each works on arrays of floats and, by dispatch, on arrays of exact numbers. They take care of one thing: before an
exponential that a logarithm or a quotient undoes, the largest number is subtracted, so that nothing overflows.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple


def power(a: Any, b: Any) -> Any:
    """`a ** b`. `np.power` takes the root if all exponents are 0.5: another sign at -0, and NaN at -inf."""
    return np.float_power(a, b).astype(a.dtype)


def sigmoid(x: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def relu(x: Any) -> Any:
    """`x` above 0, and 0 below it."""
    return np.where(x < 0, 0, x)


def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    """`x` above 0, and `negative_slope * x` below it."""
    return np.where(x > 0, x, x * negative_slope)


def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return np.logaddexp(0, x)


def clip(x: Any, low: Any, high: Any) -> Any:
    """`x` limited to the range from `low` to `high`; `high` if the bounds are crossed."""
    return np.minimum(np.maximum(x, low), high)


def where(a: Any, b: Any, *, condition: np.ndarray) -> Any:
    """`a` where the condition holds, `b` elsewhere."""
    return np.where(condition, a, b)


def astype(x: Any, *, dtype: str) -> Any:
    """The same numbers, rounded to another precision. Exact numbers stay exact: rounding is the engine's error."""
    return x.astype(dtype)


def counted(x: Any, axis: Any) -> int:
    """The count of numbers in each reduced group. An array without axes accepts no axis."""
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return math.prod(x.shape[a] for a in axes)


def mean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum divided by the count."""
    count = counted(x, axis)
    return np.sum(x, axis=axis, keepdims=keepdims) / count


def var(x: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The sum of squared differences from the mean, divided by the count minus `ddof`."""
    squares = np.square(x - mean(x, axis=axis, keepdims=True))
    return np.sum(squares, axis=axis, keepdims=keepdims) / max(0, counted(x, axis) - ddof)


def std(x: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The square root of the variance."""
    return np.sqrt(var(x, axis=axis, ddof=ddof, keepdims=keepdims))


def _offset(x: Any, axis: Any) -> Any:
    """The largest number of each group, or 0 where it is not finite and so cannot be subtracted."""
    largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(largest), largest, 0)


def logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The logarithm of the sum of exponentials."""
    offset = _offset(x, axis)
    total = np.sum(np.exp(x - offset), axis=axis, keepdims=keepdims)
    return np.log(total) + np.reshape(offset, np.shape(total))


def softmax(x: Any, *, axis: int = -1) -> Any:
    """Each exponential divided by the sum of all."""
    e = np.exp(x - _offset(x, operator.index(axis)))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """The logarithm of softmax."""
    return x - logsumexp(x, axis=operator.index(axis), keepdims=True)


def label_cross_entropy(x: Any, *, labels: np.ndarray) -> Any:
    """The negative logarithm of softmax along the last axis, at each label."""
    if labels.shape != x.shape[:-1] or not ((labels >= 0) & (labels < x.shape[-1])).all():
        raise ValueError(f"labels {labels} do not fit scores of shape {x.shape}")
    return logsumexp(x, axis=-1) - np.take_along_axis(x, labels[..., None], -1)[..., 0]


def concatenate(*xs: Any, axis: int | None = 0) -> Any:
    """The arrays joined along an axis, or flattened and joined for `axis=None`."""
    return np.concatenate(xs, axis=axis)


def stack(*xs: Any, axis: int = 0) -> Any:
    """The arrays joined along a new axis."""
    return np.stack(xs, axis=axis)


def split(x: Any, *, indices_or_sections: Any, axis: int = 0, piece: int) -> Any:
    """One of the pieces that `np.split` gives."""
    return np.split(x, indices_or_sections, axis=axis)[piece]


def getitem(x: Any, *, index: Any) -> Any:
    """The numbers that the index selects."""
    return x[index]


def scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros, with the numbers of `x` added at the index."""
    out = np.zeros(shape, x.dtype)
    np.add.at(out, index, x)
    return out
