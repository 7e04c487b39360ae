"""Rules of classification: softmax and its logarithm along one axis, by default the last; and a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.rules.indexing import scatter
from ndgrad.rules.plain import check_plain
from ndgrad.rules.rule import Call, Rule, floats, whole


def _bind_axis(x: Any, axis: Any = -1) -> Call:
    return (x,), {"axis": whole("axis", axis)}


def _shifted(x: Any, axis: int) -> Any:
    """Subtract the largest score, so that no exponential overflows. The result is a new array of floats."""
    x = floats(x)
    return x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


def _exponentials(x: Any, axis: int) -> tuple[Any, Any, Any]:
    """Return the scores less the largest, their exponentials, and the sum of these."""
    z = _shifted(x, axis)
    e = np.exp(z)
    return z, e, np.add.reduce(e, axis=axis, keepdims=True)


def _softmax(x: Any, *, axis: int) -> Any:
    _, e, total = _exponentials(x, axis)
    return e / total


def _log_softmax(x: Any, *, axis: int) -> tuple[Any, Any]:
    """Compute the logarithms of the probabilities.

    The residual is the probabilities, so that the pullback needs no further exponential.
    """
    z, e, total = _exponentials(x, axis)
    z -= np.log(total)  # in place: `z` and `e` are new arrays
    e /= total
    return z, e


def _bind_labels(x: Any, labels: Any) -> Call:
    """Bind a copy of the labels, so that later writes to them do not affect the graph."""
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


def _label_index(labels: Any) -> tuple[Any, ...]:
    """Return the index of the score of each label."""
    return (*np.indices(labels.shape, sparse=True), labels)


def _label_cross_entropy(x: Any, *, labels: Any) -> tuple[Any, Any]:
    """Compute minus the logarithm of the probability of each label.

    The residual is the exponentials and their sums: the pullback divides them, which saves the forward a pass over all.
    """
    z = _shifted(x, -1)
    right = z[_label_index(labels)]
    e = np.exp(z, out=z)
    total = np.add.reduce(e, axis=-1, keepdims=True)
    return np.log(total)[..., 0] - right, (e, total)


def _label_cross_entropy_pullback(g: Any, _y: Any, _x: Any, *, labels: Any, residual: Any) -> Any:
    """Compute the probabilities, less 1 for the label's class, each times the cotangent of its example."""
    e, total = residual
    h = e * (g[..., None] / total)
    if isinstance(h, np.ndarray):
        h[_label_index(labels)] -= g  # no index is repeated
        return h
    return h - scatter.apply((g,), {"index": _label_index(labels), "shape": _x.shape})


# fmt: off
#             forward           pullback: (g, y, x, **options)
softmax     = Rule(_softmax,    lambda g, y, _x, *, axis: y * (g - np.add.reduce(g * y, axis=axis, keepdims=True)),
                   bind=_bind_axis)
log_softmax = Rule(_log_softmax,
                   lambda g, _y, _x, *, axis, residual: g - residual * np.add.reduce(g, axis=axis, keepdims=True),
                   residual=lambda y, _x, *, axis: np.exp(y), bind=_bind_axis)
label_cross_entropy = Rule(_label_cross_entropy, _label_cross_entropy_pullback,
                   residual=lambda _y, x, *, labels: (softmax.apply((x,), {"axis": -1}), 1.0),
                   bind=_bind_labels,
                   doc="Minus the logarithm of the probability of each label, where `softmax(x)` is along the last axis.")
# fmt: on
