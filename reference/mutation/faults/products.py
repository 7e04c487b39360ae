"""Faults of matrix products, softmax and log-softmax: a transpose, an axis, a batch, an overflow.

The table knows the formulas and how they have gone wrong. It does not know which checks notice it. A bug that would
raise on most shapes is planted only on those shapes where it gives wrong numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ndgrad import Value
from ndgrad.rules.neural import _bind_labels, _label_index
from reference.mutation.planting import (
    Fault,
    around,
    attribute,
    bind,
    forward,
    function,
    plain,
    pullback,
    residual,
    scaled,
    unrecorded,
)

Pullback: TypeAlias = Callable[..., Any]


def _square(*operands: Any) -> bool:
    """Whether operands are square matrices of equal size, so that a wrong transpose keeps the shape."""
    return all(x.ndim == 2 and x.shape == (len(x),) * 2 == operands[0].shape for x in operands)


def _cube(x: Any) -> bool:
    """Whether an operand is a batch of n matrices of n rows and columns, so that any two axes can be swapped."""
    return bool(x.ndim == 3 and x.shape == (len(x),) * 3)


def _first_matrix_alone(right: Pullback) -> Pullback:
    """Give a vector times a batch of matrices only the gradient from the first matrix."""

    def pullback(g: Any, y: Any, a: Any, b: Any) -> Any:
        towards = right(g, y, a, b)
        return towards[:1] if a.ndim == 1 and b.ndim > 2 else towards

    return pullback


def _detached_if_empty(product: Callable[..., Any]) -> Callable[..., Any]:
    """Detach a product whose summed axis is empty."""

    def operator(a: Any, b: Any) -> Any:
        y = product(a, b)
        return y.detach() if isinstance(y, Value) and np.shape(a)[-1] == 0 else y

    return operator


def _dot_left_unmoved(right: Pullback) -> Pullback:
    """Act as if `dot` summed over the first axis of its right operand, not over the second to last."""

    def pullback(g: Any, y: Any, a: Any, b: Any) -> Any:
        if a.ndim == 0 or b.ndim < 3:  # for a matrix both are the same axis
            return right(g, y, a, b)
        columns = math.prod((*b.shape[:-2], b.shape[-1]))
        return g.reshape((*a.shape[:-1], columns)) @ b.reshape((b.shape[-2], columns)).T

    return pullback


def _dot_right_unmoved(right: Pullback) -> Pullback:
    """Leave the summed axis in front in the gradient of a right operand of three axes."""

    def pullback(g: Any, y: Any, a: Any, b: Any) -> Any:
        towards = right(g, y, a, b)
        return towards.swapaxes(0, 1).reshape(b.shape) if b.ndim == 3 and a.ndim else towards

    return pullback


def _exponentials(x: Any, largest: Any, axis: int, **options: Any) -> tuple[Any, Any]:
    e = np.exp(x - largest)
    return e, np.add.reduce(e, axis=axis, keepdims=True, **options)


def _largest(x: Any, axis: int | None) -> Any:
    return np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)


def _softmax_overflowing(x: Any, *, axis: int) -> Any:
    e, total = _exponentials(x, 0.0, axis)
    return e / total


def _softmax_less_largest_of_all(x: Any, *, axis: int) -> Any:
    e, total = _exponentials(x, _largest(x, None), axis)
    return e / total


def _softmax_with_half_total(x: Any, *, axis: int) -> Any:
    half = {"dtype": np.float16} if x.dtype == np.float32 else {}
    e, total = _exponentials(x, _largest(x, axis), axis, **half)
    return e / total.astype(x.dtype)


def _log_of_softmax(x: Any, *, axis: int) -> tuple[Any, Any]:
    e, total = _exponentials(x, _largest(x, axis), axis)
    return np.log(e / total), e / total


def _log_softmax_of_something(x: Any, *, axis: int) -> tuple[Any, Any]:
    """Take the maximum without an initial value, which fails for an empty axis."""
    z = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    e, total = _exponentials(z, 0.0, axis)
    return z - np.log(total), e / total


def _by_dividing(g: Any, y: Any, x: Any, *, axis: int, residual: Any) -> Any:
    """Compose the pullbacks of log and softmax: divide by the probabilities, then multiply."""
    del y, x
    h = g / residual
    return residual * (h - _sum(h * residual, axis))


def _cross_entropy_overflowing(x: Any, *, labels: Any) -> tuple[Any, Any]:
    e, total = _exponentials(x, 0.0, -1)
    return np.log(total)[..., 0] - x[(*np.indices(labels.shape, sparse=True), labels)], (e, total)


def _labels_shared(x: Any, labels: Any) -> Any:
    """Check the labels, but do not copy them."""
    _bind_labels(x, labels)
    return (x,), {"labels": np.asarray(labels)}


def _last_class(x: Any, labels: Any) -> Any:
    """Count negative labels from the last class."""
    given, classes = np.asarray(labels), np.shape(x)[-1]
    below = given.dtype.kind == "i" and bool((given < 0).any()) and given.min() >= -classes
    return _bind_labels(x, given % classes if below else labels)


def _all_pairs(g: Any, y: Any, x: Any, *, labels: Any, residual: Any) -> Any:
    """Index by `[..., labels]`, which selects all pairs."""
    del y, x
    chosen = np.zeros(residual[0].shape, bool)
    chosen[..., labels] = True
    return g[..., None] * (residual[0] / residual[1] - chosen)


def _sum(x: Any, axis: int | None) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=True)


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                 source                         rows
    #     its plant
    Fault("b147-matmul",               "the right gradient is transposed if a and b are square",                     "Theano/Theano@ed4e067",       ("matmul",),
          around("matmul", 1, lambda right: lambda g, y, a, b: g.mT @ a if _square(a, b) else right(g, y, a, b))),
    Fault("b148-matmul",               "a vector gets its gradient only from the first matrix of a batch",           "rsokl/MyGrad@41a7b2e",        ("matmul",),
          around("matmul", 0, _first_matrix_alone)),
    Fault("b149-matmul",               "the product is not part of the graph if the summed axis is empty",           "huggingface/candle#3756",     ("matmul",),
          attribute(Value, "__matmul__", _detached_if_empty(Value.__matmul__))),
    Fault("b151-matmul",               "the left gradient is half as large; the right one is correct",               "mlpack/mlpack#1923",          ("matmul",),
          scaled("matmul", 0, 0.5)),
    Fault("matmul-batch-mean",         "a matrix shared by a batch gets the mean over the batch, not the sum",       "ours",                        ("matmul",),
          around("matmul", 1, lambda right: lambda g, y, a, b: right(g, y, a, b) / (len(a) if a.ndim > b.ndim > 1 else 1))),
    Fault("matmul-cube",               "in a cube of matrices the first two axes are swapped, not the last two",     "ours",                        ("matmul",),
          around("matmul", 1, lambda right: lambda g, y, a, b: a.swapaxes(0, 1) @ g if _cube(a) and b.ndim > 1 else right(g, y, a, b))),

    Fault("b147-dot",                  "the left gradient lacks a transpose if a and b are square",                  "FluxML/ChainRules@2be1af2",   ("dot",),
          around("dot", 0, lambda right: lambda g, y, a, b: g @ b if _square(a, b) else right(g, y, a, b))),
    Fault("b150-dot",                  "the left pullback sums over the first axis of b, not the last but one",      "HIPS/autograd#446",           ("dot",),
          around("dot", 0, _dot_left_unmoved)),
    Fault("dot-number-forgotten",      "the gradient of an array times a number lacks the number",                   "ours",                        ("dot",),
          around("dot", 1, lambda right: lambda g, y, a, b: g if a.ndim == 0 else right(g, y, a, b))),
    Fault("dot-right-unmoved",         "the gradient of a right operand of three axes has its axes in wrong order",  "ours",                        ("dot",),
          around("dot", 1, _dot_right_unmoved)),
    Fault("dot-right-unrecorded",      "the right pullback leaves the graph: second derivatives lack a term",        "ours",                        ("dot",),
          unrecorded("dot", 1)),

    Fault("b147-outer",                "the left gradient lacks a transpose if a and b have equal size",             "folklore",                    ("outer",),
          around("outer", 0, lambda right: lambda g, y, a, b: (g.T @ b.reshape(-1)).reshape(a.shape) if a.size == b.size else right(g, y, a, b))),
    Fault("outer-left-order",          "the left gradient is laid out by columns",                                   "ours",                        ("outer",),
          pullback("outer", 0, lambda g, y, a, b: (g @ b.reshape(-1)).reshape(a.shape[::-1]).transpose())),
    Fault("outer-right-single",        "a right operand of one number gets the cotangent's sum, without factor a",   "ours",                        ("outer",),
          around("outer", 1, lambda right: lambda g, y, a, b: g.sum(axis=0).reshape(b.shape) if b.size == 1 else right(g, y, a, b))),
    Fault("outer-same-once",           "the outer product of x with x counts x only once",                           "ours",                        ("outer",),
          around("outer", 1, lambda right: lambda g, y, a, b: right(g, y, a, b) * (0.0 if a is b else 1.0))),

    Fault("b050-softmax",              "the pullback sums along the last axis, whichever axis was chosen",           "tracel-ai/burn#3555",         ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: y * (g - _sum(g * y, -1)))),
    Fault("b064-softmax",              "the pullback sums over all axes",                                            "deeplearning4j#8360",         ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: y * (g - _sum(g * y, None)))),
    Fault("b154-softmax",              "the pullback uses only the diagonal of the Jacobian",                        "wkcn/mobula#3",               ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: g * (y * (1 - y)))),
    Fault("b174-softmax",              "in single precision the sum of exponentials is held in half precision",      "tinygrad/tinygrad#12296",     ("softmax",),
          forward("softmax", _softmax_with_half_total)),
    Fault("softmax-overflow",          "the maximum is not subtracted, and exponentials overflow",                   "ours",                        ("softmax",),
          forward("softmax", _softmax_overflowing)),
    Fault("softmax-largest-of-all",    "the maximum of the whole array is subtracted, and whole rows underflow",     "ours",                        ("softmax",),
          forward("softmax", _softmax_less_largest_of_all)),
    Fault("softmax-half-detached",     "the pullback treats one of its two probabilities as a constant",             "ours",                        ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: y * (g - _sum(g * plain(y), axis)))),

    Fault("b156-log-softmax",          "the pullback divides by probabilities, which may be 0",                      "FluxML/NNlib.jl#68",          ("log_softmax",),
          pullback("log_softmax", 0, _by_dividing)),
    Fault("b159-log-softmax",          "the pullback assumes that the cotangent sums to -1",                         "tensorflow/tensorflow#60314", ("log_softmax",),
          pullback("log_softmax", 0, lambda g, y, x, *, axis, residual: g + residual)),
    Fault("log-softmax-of-softmax",    "the value is the logarithm of probabilities, which may be 0",                "ours",                        ("log_softmax",),
          forward("log_softmax", _log_of_softmax)),
    Fault("log-softmax-empty",         "an empty axis is refused",                                                   "ours",                        ("log_softmax",),
          forward("log_softmax", _log_softmax_of_something)),
    Fault("log-softmax-keep",          "the residual is recomputed as the logarithms",                               "ours",                        ("log_softmax",),
          residual("log_softmax", lambda y, x, *, axis: y)),

    Fault("cross-entropy-all-pairs",   "the pullback charges each example for the labels of all",                    "folklore",                    ("label_cross_entropy",),
          pullback("label_cross_entropy", 0, _all_pairs)),
    Fault("cross-entropy-label-off",   "labels count from 1",                                                        "ours",                        ("label_cross_entropy",),
          function(_label_index, lambda right: lambda labels: (*right(labels)[:-1], labels - 1))),
    Fault("cross-entropy-own-lost",    "the label's own slope lacks its -1",                                         "folklore",                    ("label_cross_entropy",),
          pullback("label_cross_entropy", 0, lambda g, y, x, *, labels, residual: residual[0] * (g[..., None] / residual[1]))),
    Fault("cross-entropy-averaged",    "the slope is that of the mean over the examples",                            "folklore",                    ("label_cross_entropy",),
          around("label_cross_entropy", 0, lambda right: lambda g, y, x, **options: right(g, y, x, **options) / max(y.size, 1))),
    Fault("cross-entropy-labels-shared", "the labels are not copied: changing them changes the gradient",           "ours",                        ("label_cross_entropy",),
          bind("label_cross_entropy", _labels_shared)),
    Fault("cross-entropy-unchecked",   "a label of -1 counts as the last class",                                     "folklore",                    ("label_cross_entropy",),
          bind("label_cross_entropy", _last_class)),
    Fault("cross-entropy-overflow",    "the maximum is not subtracted, and exponentials overflow",                   "ours",                        ("label_cross_entropy",),
          forward("label_cross_entropy", _cross_entropy_overflowing)),
)
# fmt: on
