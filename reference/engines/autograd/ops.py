"""HIPS autograd's functions for the ops. Only those with another name or meaning have a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from autograd import numpy as anp
from autograd.tracer import isbox
from numpy.lib.array_utils import normalize_axis_tuple


def _plain(x: Any) -> np.ndarray:
    """Return the numbers without tracing."""
    while isbox(x):
        x = x._value  # noqa: SLF001 - autograd's own `getval` removes only one of several boxes
    return np.asarray(x)


def _largest(x: Any, axis: Any) -> np.ndarray:
    """Return the numbers to subtract before exponentials, so that they do not overflow. The result is the same."""
    with np.errstate(all="ignore"):
        largest = np.max(_plain(x), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(largest), largest, np.zeros((), largest.dtype))


def _logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    offset = _largest(x, axis)
    y = anp.log(anp.sum(anp.exp(x - offset), axis=axis, keepdims=True)) + offset
    return y if keepdims else anp.reshape(y, np.sum(_plain(x), axis=axis).shape)


def _softmax(x: Any, *, axis: int = -1) -> Any:
    e = anp.exp(x - _largest(x, axis))
    return e / anp.sum(e, axis=axis, keepdims=True)


def _label_cross_entropy(x: Any, *, labels: np.ndarray) -> Any:
    if labels.shape != x.shape[:-1] or not ((labels >= 0) & (labels < x.shape[-1])).all():
        raise ValueError(f"labels {labels} do not fit scores of shape {x.shape}")
    return _logsumexp(x, axis=-1) - x[(*np.indices(labels.shape, sparse=True), labels)]


def _pad(x: Any, *, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Any:
    """Pad the places of the numbers and select by these, for autograd's own `pad` has only the mode `constant`."""
    places = np.pad(np.arange(1, x.size + 1).reshape(x.shape), pad_width, mode=mode)  # type: ignore[call-overload]
    numbers = anp.concatenate([np.full(1, constant_values, x.dtype), anp.reshape(x, -1)])
    return numbers[places]


def _where(a: Any, b: Any, *, condition: np.ndarray) -> Any:
    """Broadcast first, for autograd's own `where` does not sum gradients over broadcast axes."""
    whole = np.zeros(np.broadcast_shapes(a.shape, b.shape, condition.shape), a.dtype)
    return anp.where(condition, a + whole, b + whole)


def _flip(x: Any, *, axis: Any = None) -> Any:
    axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    return x[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim))]


def _concatenate(*xs: Any, axis: int | None = 0) -> Any:
    return anp.concatenate([anp.reshape(x, -1) for x in xs] if axis is None else xs, axis=axis or 0)


# fmt: off
LINES: Mapping[str, Callable[..., Any]] = {
    # op           autograd's function
    "sigmoid":      lambda x: anp.exp(-anp.logaddexp(0.0, -x)),
    "relu":         lambda x: anp.where(x <= 0, 0.0, x),
    "leaky_relu":   lambda x, *, negative_slope=0.01: anp.where(x > 0, x, x * negative_slope),
    "softplus":     lambda x: anp.logaddexp(0.0, x),
    "clip":         lambda x, low, high: anp.minimum(anp.maximum(x, low), high),
    "where":        _where,
    "astype":       lambda x, *, dtype: x.astype(dtype),
    "logsumexp":    _logsumexp,
    "softmax":      _softmax,
    "log_softmax":  lambda x, *, axis=-1: x - _logsumexp(x, axis=axis, keepdims=True),
    "label_cross_entropy": _label_cross_entropy,
    "positive":     lambda x: x * np.ones((), x.dtype),
    "reshape":      lambda x, *, shape: anp.reshape(x, shape),
    "broadcast_to": lambda x, *, shape: x * np.broadcast_to(np.ones((), x.dtype), shape),
    "flip":         _flip,
    "concatenate":  _concatenate,
    "stack":        lambda *xs, axis=0: anp.stack(xs, axis=axis),
    "split":        lambda x, *, indices_or_sections, axis=0, piece: anp.split(x, indices_or_sections, axis)[piece],
    "pad":          _pad,
    "getitem":      lambda x, *, index: x[index],
    "outer":        lambda a, b: anp.reshape(a, (-1, 1)) * anp.reshape(b, (1, -1)),
}
# fmt: on
WITHOUT = ("scatter",)  # autograd cannot add at an index
CONVENTIONS = frozenset({"arctan2", "clip", "std"})  # ops at whose kinks it has other conventions than their rows
# fmt: off
KNOWN: Mapping[str, str] = {
    # op           where it is wrong
    "power":       "where the base is not above 0, its slope towards the exponent is NaN times 0",
    "abs":         "its slope is x by its size, whose own slope is what rounding leaves of 0",
    "prod":        "its slope is the product divided by the number, which is NaN at 0",
    "std":         "its slope is divided by the spread; a second slope that is 0 is what rounding leaves",
    "var":         "a second slope that is 0 is what rounding leaves",
    "logaddexp2":  "a second slope that is 0 is what rounding leaves",
    "softmax":     "made of exponentials and a quotient: a slope that is 0 is what rounding leaves",
    "log_softmax": "made of exponentials and a logarithm: a slope that is 0 is what rounding leaves",
    "label_cross_entropy": "made of exponentials and a logarithm: a slope that is 0 is what rounding leaves",
    "logsumexp":   "made of exponentials and a logarithm: a slope that is 0 is what rounding leaves",
    "sigmoid":     "made of an exponential of a logarithm, it is NaN beside an infinity",
    "softplus":    "its slope is NaN beside an infinity",
    "sqrt":        "its slope at -0 is -infinity, and beside an infinity NaN",
    "maximum":     "beside NaN neither operand gets a slope",
    "minimum":     "beside NaN neither operand gets a slope",
    "transpose":   "it does not invert axes that are counted from the end",
}
# fmt: on
