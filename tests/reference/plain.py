"""Each op in plain NumPy: what the catalogue's mirrors must agree with, and what decides what NumPy refuses.

Where NumPy has the function, it is that one. Where it has none, it is the op's definition, with no care for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def _softmax(x: Any, *, axis: int) -> Any:
    e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return e / np.sum(e, axis=axis, keepdims=True)


def _logsumexp(x: Any, *, axis: Any, keepdims: bool) -> Any:
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def _scatter(x: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, x.dtype)
    np.add.at(out, index, x)
    return out


def _at(x: Any, labels: np.ndarray) -> Any:
    if np.any(labels < 0):
        raise IndexError("labels go from 0 on")
    return np.take_along_axis(x, labels[..., None], -1)[..., 0]


# fmt: off
PLAIN: Mapping[str, Callable[..., Any]] = {
    **{op: getattr(np, op) for op in (
        "add", "subtract", "multiply", "divide", "power", "negative", "positive", "abs", "exp", "log", "log1p", "expm1",
        "sqrt", "square", "sin", "cos", "tan", "tanh", "maximum", "minimum", "clip",
        "sum", "mean", "prod", "var", "std", "max", "min", "cumsum",
        "reshape", "transpose", "swapaxes", "expand_dims", "squeeze", "broadcast_to", "flip", "pad",
        "matmul", "dot", "outer",
    )},
    "sigmoid":     lambda x: 1 / (1 + np.exp(-x)),
    "relu":        lambda x: np.where(x > 0, x, 0 * x),
    "leaky_relu":  lambda x, *, negative_slope: np.where(x > 0, x, negative_slope * x),
    "softplus":    lambda x: np.log(np.exp(0 * x) + np.exp(x)),
    "astype":      lambda x, *, dtype: np.astype(x, dtype),
    "where":       lambda a, b, *, condition: np.where(condition, a, b),
    "logsumexp":   _logsumexp,
    "softmax":     _softmax,
    "log_softmax": lambda x, *, axis: np.log(_softmax(x, axis=axis)),
    "label_cross_entropy": lambda x, *, labels: -np.log(_at(_softmax(x, axis=-1), labels)),
    "concatenate": lambda *xs, axis: np.concatenate(xs, axis=axis),
    "stack":       lambda *xs, axis: np.stack(xs, axis=axis),
    "split":       lambda x, *, indices_or_sections, axis, piece: np.split(x, indices_or_sections, axis)[piece],
    "getitem":     lambda x, *, index: x[index],
    "scatter":     _scatter,
}
# fmt: on
