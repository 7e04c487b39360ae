"""What ops compute that NumPy has no function for, or one that does too much: in NumPy, without care for rounding.

Each works on arrays of floats and, by dispatch, on arrays of exact numbers. Care is taken of one thing: an exponential
that a logarithm or a quotient takes back is of numbers without their largest, so that it does not overflow.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple


def power(a: Any, b: Any) -> Any:
    """Where all exponents are a half, `np.power` takes the root, which has another sign at -0 and is NaN at -inf."""
    return np.float_power(a, b).astype(a.dtype)


def sigmoid(x: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def relu(x: Any) -> Any:
    """`x` above 0, and 0 below."""
    return np.where(x < 0, 0, x)


def leaky_relu(x: Any, *, negative_slope: float = 0.01) -> Any:
    """`x` above 0, `negative_slope * x` below."""
    return np.where(x > 0, x, x * negative_slope)


def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return np.logaddexp(0, x)


def clip(x: Any, low: Any, high: Any) -> Any:
    """The upper bound has the last word."""
    return np.minimum(np.maximum(x, low), high)


def where(a: Any, b: Any, *, condition: np.ndarray) -> Any:
    """`a` where the condition holds."""
    return np.where(condition, a, b)


def astype(x: Any, *, dtype: str) -> Any:
    """The same numbers, rounded to another precision. Exact numbers stay exact: to round is an engine's error."""
    return x.astype(dtype)


def _counted(x: Any, axis: Any) -> int:
    """How many numbers go into each of the results. Of an array without axes none is to be named."""
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return math.prod(x.shape[a] for a in axes)


def mean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum by the count."""
    count = _counted(x, axis)
    return np.sum(x, axis=axis, keepdims=keepdims) / count


def var(x: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The sum of squares of what is left without the mean, by the count less `ddof`."""
    squares = np.square(x - mean(x, axis=axis, keepdims=True))
    return np.sum(squares, axis=axis, keepdims=keepdims) / max(0, _counted(x, axis) - ddof)


def std(x: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The root of the variance."""
    return np.sqrt(var(x, axis=axis, ddof=ddof, keepdims=keepdims))


def _offset(x: Any, axis: Any) -> Any:
    """The largest numbers; 0 where that is no number to subtract."""
    largest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(largest), largest, 0)


def logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The logarithm of the sum of exponentials."""
    offset = _offset(x, axis)
    total = np.sum(np.exp(x - offset), axis=axis, keepdims=keepdims)
    return np.log(total) + np.reshape(offset, np.shape(total))


def softmax(x: Any, *, axis: int = -1) -> Any:
    """Each exponential's share in their sum."""
    e = np.exp(x - _offset(x, operator.index(axis)))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """The logarithm of softmax."""
    return x - logsumexp(x, axis=operator.index(axis), keepdims=True)


def label_cross_entropy(x: Any, *, labels: np.ndarray) -> Any:
    """Minus the logarithm of softmax along the last axis, at each label."""
    if labels.shape != x.shape[:-1] or not ((labels >= 0) & (labels < x.shape[-1])).all():
        raise ValueError(f"{labels} are no labels for scores of shape {x.shape}")
    return logsumexp(x, axis=-1) - np.take_along_axis(x, labels[..., None], -1)[..., 0]


def concatenate(*xs: Any, axis: int | None = 0) -> Any:
    """One after the other."""
    return np.concatenate(xs, axis=axis)


def stack(*xs: Any, axis: int = 0) -> Any:
    """Side by side, on a new axis."""
    return np.stack(xs, axis=axis)


def split(x: Any, *, indices_or_sections: Any, axis: int = 0, piece: int) -> Any:
    """One of NumPy's pieces."""
    return np.split(x, indices_or_sections, axis=axis)[piece]


def getitem(x: Any, *, index: Any) -> Any:
    """What the index picks."""
    return x[index]


def scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros, with the numbers added at the index."""
    out = np.zeros(shape, x.dtype)
    np.add.at(out, index, x)
    return out
