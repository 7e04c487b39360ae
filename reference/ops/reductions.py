"""Reductions, cumulative sums and products, and ops along one axis such as softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.ops import definitions as own
from reference.ops import options, usual
from reference.ops.inputs import unary
from reference.ops.op import FACTORS, REAL, Kink, Op
from reference.ops.shapes import many_axes


def _tied(best: Any) -> Any:
    """Build the function that tells where several numbers of a group tie for its extreme."""

    def at(x: Any, *, axis: Any, **_: Any) -> Any:
        axis = axis if x.ndim else None
        return np.sum(x == best(x, axis=axis, keepdims=True), axis=axis) > 1

    return at


def _flat(x: Any, *, axis: Any, **_: Any) -> Any:
    """Where all numbers of a group are equal."""
    return own.std(x, axis=axis if x.ndim else None) == 0


_SHARED = "numbers that tie share equally"

# fmt: off
OPS: tuple[Op, ...] = (
    #   op             definition        operands lie in  shapes and options                                       what NumPy refuses
    Op("sum",          np.sum,           (REAL,),         unary(options.reduced, many_axes, ways=2),               unary(options.axis_outside_reduced), signed=False),
    Op("mean",         own.mean,         (REAL,),         unary(options.reduced_full, many_axes, ways=2),          unary(options.axis_outside_reduced), signed=False),
    Op("prod",         np.prod,          (FACTORS,),      unary(options.reduced, many_axes, ways=2),               unary(options.axis_outside_reduced), usual=usual.prod),
    Op("var",          own.var,          (REAL,),         unary(options.spread, many_axes, ways=2),                unary(options.axis_outside_spread), usual=usual.var),
    Op("std",          own.std,          (REAL,),         unary(options.spread, many_axes, ways=2),                unary(options.axis_outside_spread), usual=usual.std,
        kink=Kink("slope 0 where the spread is 0", _flat,
                  (("x=f8([2.0,2.0]); a=std(x,axis=0,keepdims=False,ddof=0); back(a,f8(3.0))", [[0, 0]]),))),
    Op("max",          np.max,           (REAL,),         unary(options.reduced_full, many_axes, ways=2),          unary(options.axis_outside_reduced), aliases=("amax",), selects=True, signed=False,
        kink=Kink(_SHARED, _tied(np.max),
                  (("x=f8([1.0,2.0,2.0]); a=max(x,axis=0,keepdims=False); back(a,f8(3.0))", [[0, 1.5, 1.5]]),))),
    Op("min",          np.min,           (REAL,),         unary(options.reduced_full, many_axes, ways=2),          unary(options.axis_outside_reduced), aliases=("amin",), selects=True, signed=False,
        kink=Kink(_SHARED, _tied(np.min),
                  (("x=f8([2.0,1.0,1.0]); a=min(x,axis=None,keepdims=True); back(a,f8([3.0]))", [[0, 1.5, 1.5]]),))),
    Op("logsumexp",    own.logsumexp,    (REAL,),         unary(options.reduced_full, many_axes, ways=2),          unary(options.axis_outside_reduced), logarithmic=True, usual=usual.logsumexp),
    Op("softmax",      own.softmax,      (REAL,),         unary(options.one_axis),                                 unary(options.axis_outside), usual=usual.softmax),
    Op("log_softmax",  own.log_softmax,  (REAL,),         unary(options.one_axis),                                 unary(options.axis_outside), logarithmic=True, signed=False, usual=usual.log_softmax),
    Op("label_cross_entropy", own.label_cross_entropy, (REAL,), unary(options.labels, many_axes),                  unary(options.labels_outside), logarithmic=True, signed=False, usual=usual.label_cross_entropy),
    Op("cumsum",       np.cumsum,        (REAL,),         unary(options.axis_or_none, ways=2),                     unary(options.axis_outside), signed=False),
    Op("cumprod",      np.cumprod,       (FACTORS,),      unary(options.axis_or_none, ways=2),                     unary(options.axis_outside)),
)
# fmt: on
