"""Faults of products of matrices, and of softmax and its logarithm: a transpose, an axis, a batch, an overflow.

It knows the formulas and how they have gone wrong; where the right ones stand, and who finds the wrong, it does not know.
Where a bug would show by an error on most shapes, it is planted on those alone where it shows by its numbers.
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
    """Whether operands are square matrices of one size, so that a transpose too many or too few goes unnoticed."""
    return all(x.ndim == 2 and x.shape == (len(x),) * 2 == operands[0].shape for x in operands)


def _cube(x: Any) -> bool:
    """Whether an operand is a batch of n matrices of n rows and columns, so that any two axes can be exchanged."""
    return bool(x.ndim == 3 and x.shape == (len(x),) * 3)


def _first_matrix_alone(right: Pullback) -> Pullback:
    """A vector times a batch of matrices: what it gets from the first of them."""

    def pullback(g: Any, y: Any, a: Any, b: Any) -> Any:
        towards = right(g, y, a, b)
        return towards[:1] if a.ndim == 1 and b.ndim > 2 else towards

    return pullback


def _lost_where_empty(product: Callable[..., Any]) -> Callable[..., Any]:
    """A product that is no node of the graph where there is nothing to sum over."""

    def operator(a: Any, b: Any) -> Any:
        y = product(a, b)
        return y.detach() if isinstance(y, Value) and np.shape(a)[-1] == 0 else y

    return operator


def _dot_left_unmoved(right: Pullback) -> Pullback:
    """As if `dot` summed over the first axis of its right operand, and not over the last but one."""

    def pullback(g: Any, y: Any, a: Any, b: Any) -> Any:
        if a.ndim == 0 or b.ndim < 3:  # of a matrix they are one and the same
            return right(g, y, a, b)
        columns = math.prod((*b.shape[:-2], b.shape[-1]))
        return g.reshape((*a.shape[:-1], columns)) @ b.reshape((b.shape[-2], columns)).T

    return pullback


def _dot_right_unmoved(right: Pullback) -> Pullback:
    """The right numbers for a right operand of three axes, with the axis that was summed over left in front."""

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
    """Asks for the largest number without a word on what it is of none."""
    z = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    e, total = _exponentials(z, 0.0, axis)
    return z - np.log(total), e / total


def _by_dividing(g: Any, y: Any, x: Any, *, axis: int, residual: Any) -> Any:
    """The gradient of a logarithm after that of softmax: the probabilities divide, and then multiply."""
    del y, x
    h = g / residual
    return residual * (h - _sum(h * residual, axis))


def _cross_entropy_overflowing(x: Any, *, labels: Any) -> tuple[Any, Any]:
    e, total = _exponentials(x, 0.0, -1)
    return np.log(total)[..., 0] - x[(*np.indices(labels.shape, sparse=True), labels)], (e, total)


def _labels_shared(x: Any, labels: Any) -> Any:
    """The labels are checked, and not copied."""
    _bind_labels(x, labels)
    return (x,), {"labels": np.asarray(labels)}


def _last_class(x: Any, labels: Any) -> Any:
    """Labels below 0 are counted from the last class."""
    given, classes = np.asarray(labels), np.shape(x)[-1]
    below = given.dtype.kind == "i" and bool((given < 0).any()) and given.min() >= -classes
    return _bind_labels(x, given % classes if below else labels)


def _all_pairs(g: Any, y: Any, x: Any, *, labels: Any, residual: Any) -> Any:
    """The slopes of whoever indexes by `[..., labels]`."""
    del y, x
    chosen = np.zeros(residual[0].shape, bool)
    chosen[..., labels] = True
    return g[..., None] * (residual[0] / residual[1] - chosen)


def _sum(x: Any, axis: int | None) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=True)


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                 source                         rows
    #     how it is planted
    Fault("b147-matmul",               "the right gradient is transposed where a and b are square",                  "Theano/Theano@ed4e067",       ("matmul",),
          around("matmul", 1, lambda right: lambda g, y, a, b: g.mT @ a if _square(a, b) else right(g, y, a, b))),
    Fault("b148-matmul",               "a vector gets its gradient from the first matrix of a batch alone",          "rsokl/MyGrad@41a7b2e",        ("matmul",),
          around("matmul", 0, _first_matrix_alone)),
    Fault("b149-matmul",               "the product is no part of the graph where there is nothing to sum over",     "huggingface/candle#3756",     ("matmul",),
          attribute(Value, "__matmul__", _lost_where_empty(Value.__matmul__))),
    Fault("b151-matmul",               "the right gradient is right, and the left is half as large",                 "mlpack/mlpack#1923",          ("matmul",),
          scaled("matmul", 0, 0.5)),
    Fault("matmul-batch-mean",         "one matrix for a whole batch gets the mean over the batch, not the sum",     "ours",                        ("matmul",),
          around("matmul", 1, lambda right: lambda g, y, a, b: right(g, y, a, b) / (len(a) if a.ndim > b.ndim > 1 else 1))),
    Fault("matmul-cube",               "in a cube of matrices the first two axes are exchanged, not the last two",   "ours",                        ("matmul",),
          around("matmul", 1, lambda right: lambda g, y, a, b: a.swapaxes(0, 1) @ g if _cube(a) and b.ndim > 1 else right(g, y, a, b))),

    Fault("b147-dot",                  "the left gradient lacks a transpose where a and b are square",               "FluxML/ChainRules@2be1af2",   ("dot",),
          around("dot", 0, lambda right: lambda g, y, a, b: g @ b if _square(a, b) else right(g, y, a, b))),
    Fault("b150-dot",                  "the left pullback sums over the first axis of b, not the last but one",      "HIPS/autograd#446",           ("dot",),
          around("dot", 0, _dot_left_unmoved)),
    Fault("dot-number-forgotten",      "an array times a number lacks the number",                                   "ours",                        ("dot",),
          around("dot", 1, lambda right: lambda g, y, a, b: g if a.ndim == 0 else right(g, y, a, b))),
    Fault("dot-right-unmoved",         "what a right operand of three axes gets lies in the wrong order",            "ours",                        ("dot",),
          around("dot", 1, _dot_right_unmoved)),
    Fault("dot-right-unrecorded",      "the right pullback leaves the graph: second derivatives lack a term",        "ours",                        ("dot",),
          unrecorded("dot", 1)),

    Fault("b147-outer",                "the left gradient lacks a transpose where a and b are of one size",          "folklore",                    ("outer",),
          around("outer", 0, lambda right: lambda g, y, a, b: (g.T @ b.reshape(-1)).reshape(a.shape) if a.size == b.size else right(g, y, a, b))),
    Fault("outer-left-order",          "the left gradient is laid out by columns",                                   "ours",                        ("outer",),
          pullback("outer", 0, lambda g, y, a, b: (g @ b.reshape(-1)).reshape(a.shape[::-1]).transpose())),
    Fault("outer-right-single",        "a right operand of one number gets the sum of the cotangent, without a",     "ours",                        ("outer",),
          around("outer", 1, lambda right: lambda g, y, a, b: g.sum(axis=0).reshape(b.shape) if b.size == 1 else right(g, y, a, b))),
    Fault("outer-same-once",           "the outer product of x with x counts x but once",                            "ours",                        ("outer",),
          around("outer", 1, lambda right: lambda g, y, a, b: right(g, y, a, b) * (0.0 if a is b else 1.0))),

    Fault("b050-softmax",              "the way back sums along the last axis, whichever was asked for",             "tracel-ai/burn#3555",         ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: y * (g - _sum(g * y, -1)))),
    Fault("b064-softmax",              "the way back sums over all axes",                                            "deeplearning4j#8360",         ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: y * (g - _sum(g * y, None)))),
    Fault("b154-softmax",              "the way back takes the diagonal of the Jacobian alone",                      "wkcn/mobula#3",               ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: g * (y * (1 - y)))),
    Fault("b174-softmax",              "for single precision the sum of exponentials is held in half",               "tinygrad/tinygrad#12296",     ("softmax",),
          forward("softmax", _softmax_with_half_total)),
    Fault("softmax-overflow",          "no largest number is taken off, and exponentials overflow",                  "ours",                        ("softmax",),
          forward("softmax", _softmax_overflowing)),
    Fault("softmax-largest-of-all",    "the largest number of all is taken off, and whole rows underflow",           "ours",                        ("softmax",),
          forward("softmax", _softmax_less_largest_of_all)),
    Fault("softmax-half-detached",     "the pullback takes one of its two probabilities for a constant",             "ours",                        ("softmax",),
          pullback("softmax", 0, lambda g, y, x, *, axis: y * (g - _sum(g * plain(y), axis)))),

    Fault("b156-log-softmax",          "the way back divides by probabilities, which may be 0",                      "FluxML/NNlib.jl#68",          ("log_softmax",),
          pullback("log_softmax", 0, _by_dividing)),
    Fault("b159-log-softmax",          "the way back takes it that the cotangent sums to -1",                        "tensorflow/tensorflow#60314", ("log_softmax",),
          pullback("log_softmax", 0, lambda g, y, x, *, axis, residual: g + residual)),
    Fault("log-softmax-of-softmax",    "the value is the logarithm of probabilities, which may be 0",                "ours",                        ("log_softmax",),
          forward("log_softmax", _log_of_softmax)),
    Fault("log-softmax-empty",         "refuses an axis of no numbers",                                              "ours",                        ("log_softmax",),
          forward("log_softmax", _log_softmax_of_something)),
    Fault("log-softmax-keep",          "what was kept is recomputed as the logarithms",                              "ours",                        ("log_softmax",),
          residual("log_softmax", lambda y, x, *, axis: y)),

    Fault("cross-entropy-all-pairs",   "the way back charges each example for the labels of all",                    "folklore",                    ("label_cross_entropy",),
          pullback("label_cross_entropy", 0, _all_pairs)),
    Fault("cross-entropy-label-off",   "labels count from 1",                                                        "ours",                        ("label_cross_entropy",),
          function(_label_index, lambda right: lambda labels: (*right(labels)[:-1], labels - 1))),
    Fault("cross-entropy-own-lost",    "the label's own slope lacks its -1",                                         "folklore",                    ("label_cross_entropy",),
          pullback("label_cross_entropy", 0, lambda g, y, x, *, labels, residual: residual[0] * (g[..., None] / residual[1]))),
    Fault("cross-entropy-averaged",    "the slope is that of the mean over the examples",                            "folklore",                    ("label_cross_entropy",),
          around("label_cross_entropy", 0, lambda right: lambda g, y, x, **options: right(g, y, x, **options) / max(y.size, 1))),
    Fault("cross-entropy-labels-shared", "the labels are not copied, and may change before the way back",           "ours",                        ("label_cross_entropy",),
          bind("label_cross_entropy", _labels_shared)),
    Fault("cross-entropy-unchecked",   "a label of -1 is taken for the last class",                                  "folklore",                    ("label_cross_entropy",),
          bind("label_cross_entropy", _last_class)),
    Fault("cross-entropy-overflow",    "no largest score is taken off, and exponentials overflow",                   "ours",                        ("label_cross_entropy",),
          forward("label_cross_entropy", _cross_entropy_overflowing)),
)
# fmt: on
