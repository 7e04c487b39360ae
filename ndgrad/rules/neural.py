"""Rules of classification: probabilities from scores, along one axis, the last unless another is named; and a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.rules.indexing import scatter
from ndgrad.rules.plain import check_plain
from ndgrad.rules.rule import Call, Rule, floats, whole


def _along(x: Any, axis: Any = -1) -> Call:
    return (x,), {"axis": whole("axis", axis)}


def _lowered(x: Any, axis: int) -> Any:
    """The scores less their largest, so that no exponential of them overflows: floats, and this function's own."""
    x = floats(x)
    return x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


def _exponentials(x: Any, axis: int) -> tuple[Any, Any, Any]:
    """The scores less their largest, their exponentials, and the sum of these."""
    z = _lowered(x, axis)
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


def _labelled(x: Any, labels: Any) -> Call:
    """The labels are copied, so that nobody changes them behind the graph."""
    shape = np.shape(x)
    if not shape:
        raise ValueError("logits must have an axis of classes, but are one number")
    check_plain(labels, "labels")
    labels, classes = np.array(labels, dtype=None if np.size(labels) else np.intp), shape[-1]
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be whole numbers, but have dtype {labels.dtype}")
    if labels.shape != shape[:-1]:
        raise ValueError(
            f"labels must have shape {shape[:-1]}, the logits' without the {classes} classes, but have "
            f"shape {labels.shape}; if they are probabilities, make them floats"
        )
    strange = labels[(labels < 0) | (labels >= classes)]
    if strange.size:
        raise ValueError(f"with {classes} classes, labels go from 0 to {classes - 1}, but one is {strange[0]}")
    labels = labels.astype(np.intp, copy=False)
    labels.flags.writeable = False
    return (x,), {"labels": labels}


def _at(labels: Any) -> tuple[Any, ...]:
    """The index of each label's own score."""
    return (*np.indices(labels.shape, sparse=True), labels)


def _label_cross_entropy(x: Any, *, labels: Any) -> tuple[Any, Any]:
    """Keeps the exponentials and their sums: the way back divides one by the other, and saves a pass over all."""
    z = _lowered(x, -1)
    right = z[_at(labels)]
    e = np.exp(z, out=z)
    total = np.add.reduce(e, axis=-1, keepdims=True)
    return np.log(total)[..., 0] - right, (e, total)


def _towards_scores(g: Any, _y: Any, _x: Any, *, labels: Any, residual: Any) -> Any:
    """The probabilities, less 1 for the label's own class: each times the cotangent of its example."""
    e, total = residual
    h = e * (g[..., None] / total)
    if isinstance(h, np.ndarray):
        h[_at(labels)] -= g  # each place is named once
        return h
    return h - scatter.apply((g,), {"index": _at(labels), "shape": _x.shape})


# fmt: off
#             forward           pullback: (g, y, x, **options)
softmax     = Rule(_softmax,    lambda g, y, _x, *, axis: y * (g - np.add.reduce(g * y, axis=axis, keepdims=True)),
                   bind=_along)
log_softmax = Rule(_log_softmax,
                   lambda g, _y, _x, *, axis, residual: g - residual * np.add.reduce(g, axis=axis, keepdims=True),
                   residual=lambda y, _x, *, axis: np.exp(y), bind=_along)
label_cross_entropy = Rule(_label_cross_entropy, _towards_scores,
                   residual=lambda _y, x, *, labels: (softmax.apply((x,), {"axis": -1}), 1.0),
                   bind=_labelled,
                   doc="What each right label costs: minus the logarithm of its probability, `softmax(x)` along the last axis.")
# fmt: on
