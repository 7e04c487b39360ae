"""Losses: they measure how far predictions are from their targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.engine import Value
from ndgrad.library.inputs import array_of, holds_values
from ndgrad.rules import RULES
from ndgrad.rules.plain import check_plain


def mean_squared_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Compute the squared error `(prediction - target) ** 2`, as PyTorch's `mse_loss`.

    Args:
        prediction: a Value, an array, or lists of numbers or Values.
        target: the same, and of the same shape. If it is a Value, it gets a gradient as well.
        reduction: "mean" or "sum" over all entries, or "none": a loss for each.

    Raises:
        ValueError: the shapes differ; or `reduction` is none of these.
    """
    prediction, target = _pair("prediction", prediction, "target", target)
    return _reduced(RULES["square"](prediction - target), reduction)


def hinge(score: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Compute the hinge loss `max(0, 1 - target * score)`, that of support-vector machines (Cortes and Vapnik 1995).

    Its slope at the kink is 0, as that of `relu`.

    Args:
        score: a Value, an array, or lists of numbers or Values.
        target: -1 or 1 for each score, in the same shape.
        reduction: "mean" or "sum" over all scores, or "none": a loss for each.

    Raises:
        ValueError: the shapes differ; a target is neither -1 nor 1; or `reduction` is none of these.
    """
    score, target = _pair("score", score, "target", _plain(target))
    strange = target[np.abs(target) != 1]
    if strange.size:
        raise ValueError(f"targets of the hinge loss are -1 and 1, but one is {strange[0]}")
    return _reduced(RULES["relu"](1 - target * score), reduction)


def cross_entropy(logits: Any, labels: Any, *, reduction: str = "mean") -> Any:
    """Compute the negative logarithm of the probability of the label under `softmax(logits)`.

    It is PyTorch's `cross_entropy`, but the classes are always on the last axis.

    Args:
        logits: scores of shape (..., classes): a Value, an array, or lists of numbers or Values.
        labels: class indices, integers from 0 on, of shape (...); or the probability of each class, floats of the
            logits' shape.
        reduction: "mean" or "sum" over all axes but that of the classes, or "none": a loss for each.

    Raises:
        ValueError: a shape is not as above; a label is not a class; or `reduction` is none of these.
        TypeError: labels are neither integers nor floats.
    """
    check_plain(logits, "logits")
    check_plain(labels, "labels")
    logits = array_of(logits, np.dtype(np.float64))
    if not logits.ndim:
        raise ValueError("logits must have an axis of classes, but are a single number")
    given = labels
    if not isinstance(labels, Value) and not holds_values(labels):
        labels = np.asarray(labels)
        if labels.dtype.kind in "iu":
            return _reduced(RULES["label_cross_entropy"](logits, labels), reduction)
        if labels.dtype.kind != "f":
            raise TypeError(f"labels must be integers, or probabilities, but have dtype {labels.dtype}")
    # The original labels: lists take the dtype of the logits, while arrays keep theirs.
    _, probabilities = _pair("logits", logits, "label probabilities (floats)", given)
    return _reduced(-RULES["sum"](probabilities * RULES["log_softmax"](logits), axis=-1), reduction)


def _pair(name_a: str, a: Any, name_b: str, b: Any) -> tuple[Any, Any]:
    """Convert two inputs of one shape. To broadcast would silently compare each number with many others."""
    check_plain(a, name_a)
    check_plain(b, name_b)
    a = array_of(a, np.dtype(np.float64))
    b = array_of(b, a.dtype)
    if a.shape != b.shape:
        raise ValueError(f"{name_a} and {name_b} must have the same shape, but have {a.shape} and {b.shape}")
    return a, b


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x


def _reduced(losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', but is {reduction!r}")
    return RULES[reduction](losses)
