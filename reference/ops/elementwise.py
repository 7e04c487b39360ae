"""Elementwise ops. Their operands broadcast."""

from __future__ import annotations

import numpy as np

from reference.ops import definitions as own
from reference.ops import usual
from reference.ops.indices import condition
from reference.ops.inputs import broadcast, unary, unbroadcastable
from reference.ops.op import ABOVE_M1, NONZERO, POSITIVE, POWERS, REAL, Kink, Op
from reference.ops.options import fixed

_AT_0 = "slope 0 at 0"
_TIES = "operands that tie share equally"

# fmt: off
OPS: tuple[Op, ...] = (
    #   op             definition        operands lie in             shapes and options      what NumPy refuses
    Op("add",          np.add,           (REAL,),                    broadcast(2),           unbroadcastable(2),
        written=("{0} + {1}", "{0} + {1}", "np.add({0}, {1})", "ndgrad.add({0}, {1})")),
    Op("subtract",     np.subtract,      (REAL,),                    broadcast(2),           unbroadcastable(2), aliases=("sub",),
        written=("{0} - {1}", "{0} - {1}", "np.subtract({0}, {1})", "ndgrad.subtract({0}, {1})")),
    Op("multiply",     np.multiply,      (REAL,),                    broadcast(2),           unbroadcastable(2), aliases=("mul",),
        written=("{0} * {1}", "{0} * {1}", "np.multiply({0}, {1})", "ndgrad.multiply({0}, {1})")),
    Op("divide",       np.divide,        (REAL, NONZERO),            broadcast(2),           unbroadcastable(2), aliases=("div", "true_divide"),
        written=("{0} / {1}", "np.divide({0}, {1})", "ndgrad.divide({0}, {1})")),
    Op("power",        own.power,        (POSITIVE, POWERS),         broadcast(2, ways=3),   unbroadcastable(2), aliases=("pow",),
        kink=Kink("slope 0 towards the base where the exponent is 0, and towards the exponent where the base is 0",
                  lambda a, b: (a == 0) | (b == 0),
                  (("x=f8([0.0,2.0]); y=f8([2.0,0.0]); a=power(x,y); back(a,f8([1.0,0.0]))", [[0, 0], [0, 0]]),
                   ("x=f8(0.0); y=f8(0.0); a=power(x,y); back(a,f8(3.0))", [0, 0]))),
        written=("{0} ** {1}", "np.power({0}, {1})", "ndgrad.power({0}, {1})")),
    Op("negative",     np.negative,      (REAL,), aliases=("neg",),
        written=("-{0}", "np.negative({0})", "ndgrad.negative({0})")),
    Op("positive",     np.positive,      (REAL,), aliases=("pos",),
        written=("+{0}", "np.positive({0})", "ndgrad.positive({0})")),
    Op("abs",          np.abs,           (REAL,), aliases=("absolute",), selects=True,
        kink=Kink(_AT_0, lambda x: x == 0, (("x=f8([0.0,-0.0]); a=abs(x); back(a,f8([3.0,5.0]))", [[0, 0]]),)),
        written=("abs({0})", "np.abs({0})", "ndgrad.abs({0})")),
    Op("exp",          np.exp,           (REAL,)),
    Op("log",          np.log,           (POSITIVE,)),
    Op("log1p",        np.log1p,         (ABOVE_M1,)),
    Op("expm1",        np.expm1,         (REAL,), usual=usual.expm1),
    Op("sqrt",         np.sqrt,          (POSITIVE,)),
    Op("square",       np.square,        (REAL,)),
    Op("sin",          np.sin,           (REAL,)),
    Op("cos",          np.cos,           (REAL,)),
    Op("tan",          np.tan,           (REAL,)),
    Op("tanh",         np.tanh,          (REAL,), usual=usual.tanh),
    Op("sigmoid",      own.sigmoid,      (REAL,), aliases=("expit", "logistic"), usual=usual.sigmoid),
    Op("relu",         own.relu,         (REAL,), selects=True,
        kink=Kink(_AT_0, lambda x: x == 0, (("x=f8([0.0,-0.0]); a=relu(x); back(a,f8([3.0,5.0]))", [[0, 0]]),))),
    Op("leaky_relu",   own.leaky_relu,   (REAL,),                    unary(fixed("negative_slope", [0.01, 0.5, 0.0, 2.0])),
        kink=Kink("the negative side's slope at 0", lambda x, *, negative_slope: x == 0,  # noqa: ARG005
                  (("x=f8([0.0,-0.0]); a=leaky_relu(x,negative_slope=0.5); back(a,f8([3.0,5.0]))", [[1.5, 2.5]]),))),
    Op("softplus",     own.softplus,     (REAL,)),
    Op("logaddexp2",   np.logaddexp2,    (REAL,),                    broadcast(2),           unbroadcastable(2), usual=usual.logaddexp2),
    Op("arctan2",      np.arctan2,       (REAL,),                    broadcast(2),           unbroadcastable(2), aliases=("atan2",),
        kink=Kink("slope 0 at the origin", lambda a, b: (a == 0) & (b == 0),
                  (("x=f8([0.0,1.0]); y=f8([0.0,0.0]); a=arctan2(x,y); back(a,f8([3.0,5.0]))", [[0, 0], [0, -5]]),))),

    Op("maximum",      np.maximum,       (REAL,),                    broadcast(2),           unbroadcastable(2), selects=True, signed=False,
        kink=Kink(_TIES, lambda a, b: a == b,
                  (("x=f8([1.0,2.0]); y=f8(2.0); a=maximum(x,y); back(a,f8([3.0,5.0]))", [[0, 2.5], 5.5]),)),
        written=("np.maximum({0}, {1})", "ndgrad.maximum({0}, {1})")),
    Op("minimum",      np.minimum,       (REAL,),                    broadcast(2),           unbroadcastable(2), selects=True, signed=False,
        kink=Kink(_TIES, lambda a, b: a == b,
                  (("x=f8([3.0,2.0]); y=f8(2.0); a=minimum(x,y); back(a,f8([3.0,5.0]))", [[0, 2.5], 5.5]),)),
        written=("np.minimum({0}, {1})", "ndgrad.minimum({0}, {1})")),
    Op("clip",         own.clip,         (REAL,),                    broadcast(3),           unbroadcastable(3), aliases=("clamp",), selects=True, signed=False,
        kink=Kink("at a bound all goes to the operand, none to the bound; below equal bounds nobody gets anything",
                  lambda x, low, high: (x == low) | (x == high) | (low == high),
                  (("x=f8([1.0,2.0]); y=1.0; z=2.0; a=clip(x,y,z); back(a,f8([3.0,5.0]))", [[3, 5]]),
                   ("x=f8([1.0,2.0]); y=f8(1.0); z=f8(2.0); a=clip(x,y,z); back(a,f8([3.0,5.0]))", [[3, 5], 0, 0])),
                  settled=False)),
    Op("where",        own.where,        (REAL,),                    broadcast(2, condition), unbroadcastable(2, condition),
        written=("np.where({condition}, {0}, {1})", "ndgrad.where({condition}, {0}, {1})")),
    Op("astype",       own.astype,       (REAL,),                    unary(fixed("dtype", ["float64", "float32"])),
        written=("{0}.astype({dtype})", "np.astype({0}, {dtype})", "ndgrad.astype({0}, {dtype})")),
)
# fmt: on
