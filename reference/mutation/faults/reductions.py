"""Faults of reductions: reduced axes, wrong counts, ties, zeros, and wrong second derivatives.

The table knows how those rules are written. It does not know which programs show a fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ndgrad import Value
from ndgrad.rules import RULES
from ndgrad.rules.reductions import (
    _bind_axes,
    _bind_variance,
    _logsumexp,
    _mean,
    _product_of_others,
    _reduced,
    _std,
    _sum,
    _var_pullback,
    _variance,
    count,
    restore,
)
from ndgrad.rules.rule import floats
from reference.mutation.planting import (
    Fault,
    around,
    bind,
    forward,
    function,
    plain,
    pullback,
    residual,
)

Pullback: TypeAlias = Callable[..., Any]

_GRAIN = 32  # the size from which a blocked reduction uses blocks

# Sums and means.


def _inserted(g: Any, axis: Any) -> Any:
    """Restore axes one by one in the listed order, each counted in the shape so far."""
    lengths = list(g.shape)
    for a in axis if isinstance(axis, tuple) else (axis,):
        lengths.insert(a if a >= 0 else a + len(lengths) + 1, 1)
    return g.reshape(lengths)


def _expanded_again(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    del y, keepdims
    return np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis) * np.ones(x.shape)


def _whole_blocks(x: Any, *, axis: Any, keepdims: bool) -> Any:
    """Sum in blocks of eight, and leave out the remainder."""
    if axis is not None or x.size < _GRAIN:
        return _sum(x, axis=axis, keepdims=keepdims)
    total = np.sum(x.reshape(-1)[: x.size - x.size % 8])
    return total.reshape((1,) * x.ndim) if keepdims else total


def _by_rank_of_result(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    """Count negative axes from the end of the result, which has fewer axes."""
    del keepdims
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    counted = tuple(a % max(y.ndim, 1) if a < 0 else a for a in axes)
    whole = restore(g / count(x.shape, axis), x.shape, None if axis is None else counted)
    return np.broadcast_to(whole, x.shape)


def _divided_by(divisor: Callable[[Any, Any, Any], int]) -> Pullback:
    """Make a pullback of mean that divides by `divisor(x, y, axis)`."""

    def wrong(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        del keepdims
        return np.broadcast_to(restore(g / divisor(x, y, axis), x.shape, axis), x.shape)

    return wrong


def _first_length(x: Any, y: Any, axis: Any) -> int:
    """Return the length of the first axis, even if several are listed."""
    del y
    return count(x.shape, axis[0] if isinstance(axis, tuple) and axis else axis)


def _detached(x: Any, *args: Any, **options: Any) -> Any:
    """Compute from the bare numbers, so that the result is a constant."""
    return _bind_axes(x.detach() if isinstance(x, Value) else x, *args, **options)


def _in_half_precision(x: Any, **options: Any) -> Any:
    short = x.astype(np.float16) if x.dtype == np.float32 else x
    return _mean(short, **options).astype(x.dtype)


# Products.


def _shapeless_at_zero(right: Pullback) -> Pullback:
    def wrong(g: Any, y: Any, x: Any, **options: Any) -> Any:
        h = right(g, y, x, **options)
        return h.reshape(()) if x.size == 1 and np.equal(x, 0).all() else h

    return wrong


def _zeros_anywhere(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    """If there is any zero, give all nonzero numbers slope 0, in every row."""
    del keepdims
    zeros = np.equal(x, 0)
    slopes = np.where(zeros, _product_of_others(x, axis), 0.0) if zeros.any() else restore(y, x.shape, axis) / x
    return restore(g, x.shape, axis) * slopes


def _brought_last_again(right: Pullback) -> Pullback:
    """Move the reduced axes, which were moved last, there again instead of back."""

    def others(x: Any, axis: Any) -> Any:
        reduced = _reduced(x.shape, axis)
        order = sorted(range(x.ndim), key=lambda i: reduced[i])
        return right(x, axis).transpose(order).transpose(order)

    return others


def _quotient(change: Callable[[Any, Any], Any]) -> Pullback:
    """Make a pullback of prod that divides, `change(y, x)`, even by zeros."""
    return lambda g, y, x, *, axis, **_: restore(g, x.shape, axis) * change(restore(y, x.shape, axis), x)


# Extremes.


def _shared(share: Callable[[Any, Any], Any], tie: Callable[[Any, Any], Any] = np.equal) -> Pullback:
    """Make a pullback of max or min with another count of ties, `share(winners, axis)`, or another idea of a tie."""

    def wrong(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        del keepdims
        winners = tie(x, restore(y, x.shape, axis))
        return restore(g, x.shape, axis) * winners / share(winners, axis)

    return wrong


def _along_last(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    del y, keepdims
    return restore(g, x.shape, axis) * np.equal(x, np.minimum.reduce(plain(x), axis=-1, keepdims=True))


# Spreads.


def _infinite(right: Pullback) -> Pullback:
    """Return infinity in the cotangent's shape if no degree of freedom is left."""

    def wrong(g: Any, y: Any, x: Any, *, axis: Any, ddof: float, **options: Any) -> Any:
        free = count(x.shape, axis) - ddof
        return right(g, y, x, axis=axis, ddof=ddof, **options) if free else g * math.inf

    return wrong


def _some_freedom(right: Pullback) -> Pullback:
    """Use 1 if no degree of freedom is left."""

    def spread(x: Any, *, axis: Any, ddof: float, keepdims: bool) -> Any:
        n = count(x.shape, axis)
        return right(x, axis=axis, ddof=ddof if n > ddof else n - 1, keepdims=keepdims)

    return spread


def _rooted_twice(x: Any, *, axis: Any, **options: Any) -> Any:
    """Combine the blocks' deviations, which are roots already, by another root."""
    y, d = _std(x, axis=axis, **options)
    return np.sqrt(y) if count(x.shape, axis) > _GRAIN else y, d


# Logarithms of sums, and running sums.


def _shares(x: Any, axis: Any) -> Any:
    return np.exp(x - RULES["logsumexp"](x, axis=axis, keepdims=True))


def _over_last_listed(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool, residual: Any) -> Any:
    del y, keepdims, residual
    return restore(g, x.shape, axis) * _shares(x, axis[-1] if isinstance(axis, tuple) and axis else axis)


def _infinite_top(x: Any, *, axis: Any, keepdims: bool) -> Any:
    """Subtract the maximum, even if it is infinite."""
    x = floats(x)
    with np.errstate(all="ignore"):
        top = np.maximum.reduce(x, axis=axis, keepdims=True)
        e = np.exp(x - top)
        total = np.add.reduce(e, axis=axis, keepdims=True)
        y = np.log(total) + top
        return y if keepdims else y.reshape(np.add.reduce(x, axis=axis).shape), e / total


def _a_little_more(x: Any, **options: Any) -> Any:
    y, shares = _logsumexp(x, **options)
    return y * (1 + 1e-9), shares


def _from_the_end(g: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def _one_axis_off(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
    """Add the rank minus 1 to a negative axis."""
    del y
    wrong = 0 if axis is None else axis if axis >= 0 else axis + x.ndim - 1
    return _from_the_end(g, wrong).reshape(x.shape)


def _along_first(right: Pullback) -> Pullback:
    def wrong(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
        return _from_the_end(g.reshape(x.shape), 0) if axis is None and x.ndim else right(g, y, x, axis=axis)

    return wrong


def _in_memory_order(x: Any, *, axis: Any) -> Any:
    return np.cumsum(x.ravel("K") if axis is None else x, axis=axis)


def _divided_as_a_constant(right: Callable[..., Any]) -> Callable[..., Any]:
    """Divide the product by each number even where slopes are recorded, and do not record the product."""

    def pullback(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        if not np.all(np.not_equal(x, 0)):
            return right(g, y, x, axis=axis, keepdims=keepdims)
        return restore(g, x.shape, axis) * (restore(plain(y), x.shape, axis) / x)

    return pullback


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                     what is wrong                                                                 source                          rows
    #     its plant
    Fault("b040-sum",              "the cotangent is broadcast without the reduced axes",                        "pytorch/pytorch#1813",         ("sum",),
          pullback("sum", 0, lambda g, y, x, **_: np.broadcast_to(g, x.shape))),
    Fault("b041-sum",              "reduced axes are restored one by one, in the order they were listed in",     "dezero@23e501e",               ("sum",),
          pullback("sum", 0, lambda g, y, x, *, axis, keepdims: np.broadcast_to(
              restore(g, x.shape, axis) if keepdims or axis is None else _inserted(g, axis), x.shape))),
    Fault("b072-sum",              "above 32 numbers, those after the last full block of 8 are left out",        "pytorch/pytorch#15602",        ("sum",),
          forward("sum", _whole_blocks)),
    Fault("sum-expanded-again",    "with keepdims the reduced axes are inserted a second time",                  "ours",                         ("sum",),
          pullback("sum", 0, _expanded_again)),
    Fault("sum-of-none",           "the sum is the mean times the count: NaN for no numbers, not 0",             "ours",                         ("sum",),
          forward("sum", lambda x, *, axis, keepdims: _mean(x, axis=axis, keepdims=keepdims) * count(x.shape, axis))),

    Fault("b037-mean",             "computed from bare arrays: the result is a constant",                        "TrenTorch#53",                 ("mean",),
          bind("mean", _detached)),
    Fault("b042-mean",             "a negative axis is counted from the end of the reduced shape",               "Theano/Theano@f815e11",        ("mean",),
          pullback("mean", 0, _by_rank_of_result)),
    Fault("b044-mean",             "axis=() reduces nothing forward, but the pullback divides by the size",      "pytorch/pytorch#28993",        ("mean",),
          pullback("mean", 0, _divided_by(lambda x, y, axis: count(x.shape, None if axis == () else axis)))),
    Fault("b045-mean-operand",     "divides by the operand's size, whatever the axis",                           "FluxML/ChainRules@bd70875",    ("mean",),
          pullback("mean", 0, _divided_by(lambda x, y, axis: x.size))),
    Fault("b045-mean-result",      "divides by the result's size",                                               "pocketpy/cTensor#24",          ("mean",),
          pullback("mean", 0, _divided_by(lambda x, y, axis: y.size))),
    Fault("b168-mean",             "divides by a NumPy number: single precision becomes double",                 "HIPS/autograd#163",            ("mean",),
          forward("mean", lambda x, *, axis, keepdims: _sum(x, axis=axis, keepdims=keepdims) / np.float64(count(x.shape, axis)))),
    Fault("mean-first-length",     "for several axes, divides by the length of the first one listed",            "ours",                         ("mean",),
          pullback("mean", 0, _divided_by(_first_length))),
    Fault("mean-half",             "single precision is averaged in half precision",                             "ours",                         ("mean",),
          forward("mean", _in_half_precision)),

    Fault("b055-prod",             "the gradient at a single 0 has shape ()",                                    "pytorch/pytorch#82644",        ("prod",),
          around("prod", 0, _shapeless_at_zero)),
    Fault("b056-prod",             "zeros are counted over all rows at once",                                    "folklore",                     ("prod",),
          pullback("prod", 0, _zeros_anywhere)),
    Fault("b062-prod",             "the pullback divides the product by each number: NaN at zeros",              "tensorflow/tensorflow#3862",   ("prod",),
          pullback("prod", 0, _quotient(lambda y, x: y / x))),
    Fault("b062-prod-silenced",    "the same, with NaN replaced by 0",                                           "tensorflow/tensorflow#119430", ("prod",),
          pullback("prod", 0, _quotient(lambda y, x: np.where(np.equal(x, 0), 0.0, y / np.where(np.equal(x, 0), 1.0, x))))),
    Fault("prod-sign",             "computed by logarithms: the pullback loses the product's sign",              "ours",                         ("prod",),
          around("prod", 0, lambda right: lambda g, y, x, **options: right(g, np.abs(y), x, **options))),
    Fault("prod-not-brought-back", "with a zero, axes moved last are moved there again, not back",               "ours",                         ("prod",),
          function(_product_of_others, _brought_last_again)),
    Fault("prod-frozen",           "second order: the product is treated as a constant",                         "ours",                         ("prod",),
          around("prod", 0, _divided_as_a_constant)),

    Fault("max-ties-anywhere",     "ties are counted over all rows at once",                                     "ours",                         ("max",),
          pullback("max", 0, _shared(lambda winners, axis: winners.sum()))),
    Fault("max-axis-falsy",        "`axis or None`: ties along axis 0 are counted along all axes",               "folklore",                     ("max",),
          pullback("max", 0, _shared(lambda winners, axis: winners.sum(axis or None, keepdims=True)))),
    Fault("max-passes-over-nan",   "NaN is ignored if there are other numbers",                                  "ours",                         ("max",),
          forward("max", lambda x, *, axis, keepdims: np.fmax.reduce(x, axis=axis, keepdims=keepdims))),

    Fault("b050-min",              "the minimum is looked for along the last axis, whatever the axis",           "tracel-ai/burn#3555",          ("min",),
          pullback("min", 0, _along_last)),
    Fault("min-ties-flat",         "the counts of ties are broadcast without the reduced axes",                  "ours",                         ("min",),
          pullback("min", 0, _shared(lambda winners, axis: winners.sum(axis)))),
    Fault("min-nearly-ties",       "numbers within 1e-8 of the minimum count as ties",                           "ours",                         ("min",),
          pullback("min", 0, _shared(lambda winners, axis: winners.sum(axis, keepdims=True), tie=np.isclose))),

    Fault("b058-var",              "without degrees of freedom the gradient is infinite and has shape ()",       "pytorch/pytorch#94184",        ("var",),
          around("var", 0, _infinite)),
    Fault("var-ddof-ignored",      "the pullback divides by the count, whatever ddof is",                        "ours",                         ("var",),
          around("var", 0, lambda right: lambda g, y, x, *, ddof, **options: right(g, y, x, ddof=0, **options))),
    Fault("var-mean-constant",     "second order: the mean is treated as a constant",                            "ours",                         ("var",),
          residual("var", lambda y, x, *, axis, **_: x - _mean(plain(x), axis=axis, keepdims=True))),
    Fault("var-some-freedom",      "divides by 1 if no degree of freedom is left",                               "ours",                         ("var",),
          function(_variance, _some_freedom)),

    Fault("b072-std",              "above 32 numbers the root is taken twice",                                   "pytorch/pytorch#15602",        ("std",),
          forward("std", _rooted_twice)),
    Fault("std-kink",              "divides by a deviation of 0: NaN",                                           "folklore",                     ("std",),
          pullback("std", 0, lambda g, y, x, **options: _var_pullback(g / (2 * y), y, x, **options))),
    Fault("std-epsilon",           "1e-8 is added to the divisor, for stability",                                "folklore",                     ("std",),
          around("std", 0, lambda right: lambda g, y, x, **options: right(g, np.where(np.equal(y, 0), y, y + 1e-8), x, **options))),
    Fault("std-ddof-flag",         "ddof is used as a flag: 2 counts as 1",                                      "ours",                         ("std",),
          bind("std", lambda x, *args, ddof=0, **options: _bind_variance(x, *args, ddof=bool(ddof), **options))),
    Fault("std-frozen",            "second order: the deviation is treated as a constant",                       "ours",                         ("std",),
          around("std", 0, lambda right: lambda g, y, x, **options: right(g, plain(y), x, **options))),

    Fault("b064-logsumexp",        "the result is broadcast without the reduced axes",                           "ml-explore/mlx#3708",          ("logsumexp",),
          pullback("logsumexp", 0, lambda g, y, x, *, axis, **_: restore(g, x.shape, axis) * np.exp(x - y))),
    Fault("b064-logsumexp-all",    "the shares are those of the sum over everything, whatever the axis",         "tinygrad/tinygrad#14268",      ("logsumexp",),
          pullback("logsumexp", 0, lambda g, y, x, *, axis, **_: restore(g, x.shape, axis) * _shares(x, None))),
    Fault("b065-logsumexp",        "the maximum is subtracted even if it is infinite: NaN",                      "pytorch/pytorch#31829",        ("logsumexp",),
          forward("logsumexp", _infinite_top)),
    Fault("logsumexp-last-named",  "for several axes, the shares are those of the last one listed",              "ours",                         ("logsumexp",),
          pullback("logsumexp", 0, _over_last_listed)),
    Fault("logsumexp-value-1e-9",  "the value is too large by a relative 1e-9",                                  "ours",                         ("logsumexp",),
          forward("logsumexp", _a_little_more)),
    Fault("logsumexp-frozen",      "second order: the result is treated as a constant",                          "ours",                         ("logsumexp",),
          residual("logsumexp", lambda y, x, *, axis, **_: np.exp(x - restore(plain(y), x.shape, axis)))),

    Fault("b061-cumsum",           "the cotangents are summed from the front",                                   "folklore",                     ("cumsum",),
          pullback("cumsum", 0, lambda g, y, x, *, axis: np.cumsum(g, axis or 0).reshape(x.shape))),
    Fault("b061-cumsum-one-flip",  "the cotangents are summed from the end, and left reversed",                  "folklore",                     ("cumsum",),
          pullback("cumsum", 0, lambda g, y, x, *, axis: np.cumsum(np.flip(g, axis or 0), axis or 0).reshape(x.shape))),
    Fault("cumsum-one-axis-off",   "a negative axis is off by one",                                              "ours",                         ("cumsum",),
          pullback("cumsum", 0, _one_axis_off)),
    Fault("cumsum-without-axis",   "with axis=None the pullback sums along the first axis",                      "ours",                         ("cumsum",),
          around("cumsum", 0, _along_first)),
    Fault("cumsum-memory-order",   "axis=None sums in the order of memory",                                      "ours",                         ("cumsum",),
          forward("cumsum", _in_memory_order)),
)
# fmt: on
