"""Faults of the engine outside its backward pass: broadcasting, dtypes and operators.

The table knows the engine's seams. It does not know what each op computes, or which programs and sessions show a
fault. A bug that would raise at once is planted so that it gives wrong numbers, as the real one did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ndgrad import Value, no_grad
from ndgrad.engine.arrays import new_array
from ndgrad.engine.backward import _in_dtype, _unbroadcast
from ndgrad.engine.dispatch import UFUNCS
from ndgrad.engine.recording import _common_dtype, binary, reflected
from reference.mutation.planting import (
    Fault,
    attached,
    attribute,
    function,
    method,
    plain,
    pullback,
    together,
)

Right = Callable[..., Any]

_TWO = 2  # Python has a single object for it, as for all small integers

# Broadcasting.


def _axes_in_front_alone(right: Right) -> Right:
    del right
    return lambda g, operand, node: np.add.reduce(g, axis=tuple(range(g.ndim - operand.ndim)))


def _averaged(right: Right) -> Right:
    return lambda g, operand, node: right(g, operand, node) * (operand.size / max(g.size, 1))


def _last_axis_alone(right: Right) -> Right:
    def unbroadcast(g: Any, operand: Value, node: Value) -> Any:
        extra = g.ndim - operand.ndim
        padded = (1,) * extra + operand.shape
        repeated = [i for i, n in enumerate(padded) if i < extra or (n == 1 and g.shape[i] != 1)]
        if g.shape[extra:] == operand.shape:
            return right(g, operand, node)
        first = tuple(slice(1) if i in repeated[:-1] else slice(None) for i in range(g.ndim))
        return right(g[first], operand, node)

    return unbroadcast


# Dtypes.


def _double_ones(right: Right) -> Right:
    return lambda value, gradient: np.ones(value.shape) if gradient is None else right(value, gradient)


def _as_it_is(right: Right) -> Right:
    del right
    return lambda x, *_: x


def _number_as_double(right: Right) -> Right:
    """Convert a Python number on the right to a NumPy scalar."""

    def made(rule: Any) -> Right:
        operator = right(rule)
        return lambda a, b: operator(a, np.float64(b) if b.__class__ in (int, float) else b)

    return made


def _whole_numbers_stay(right: Right) -> Right:
    def numbers(data: Any) -> Any:
        array = right(data)
        given = np.asarray(data)
        return array if given.dtype.kind == "f" else np.array(given)

    return numbers


def _least(right: Right) -> Right:
    del right
    return lambda arrays: min((x.dtype for x in arrays if x.dtype.kind == "f"), key=lambda dtype: dtype.itemsize)


def _of_all(right: Right) -> Right:
    del right
    return lambda arrays: np.result_type(*(x.dtype for x in arrays))


# Operators, and NumPy's dispatch.


def _elementwise(right: Right) -> Right:
    """Compute as NumPy does without dispatch: an object array of each left number with the whole Value."""

    def dispatched(value: Value, ufunc: np.ufunc, how: str, *inputs: Any, **options: Any) -> Any:
        left = inputs[0]
        if not isinstance(left, np.ndarray) or not left.ndim or how != "__call__":
            return right(value, ufunc, how, *inputs, **options)
        results = np.empty(left.shape, object)
        for place in np.ndindex(left.shape):
            results[place] = ufunc(left[place], *inputs[1:], **options)
        return results

    return dispatched


def _exchanged(right: Right) -> Right:
    """Put the Value first."""

    def dispatched(value: Value, ufunc: np.ufunc, how: str, *inputs: Any, **options: Any) -> Any:
        if (ufunc, how) in UFUNCS and not options:
            inputs = tuple(sorted(inputs, key=lambda x: not isinstance(x, Value)))
        return right(value, ufunc, how, *inputs, **options)

    return dispatched


def _added_in_place(x: Value, other: Any) -> Value:
    """Run `x += other` on the data, without a node."""
    x.data = x.data + plain(other)
    return x


def _unrecorded(right: Right) -> Right:
    return no_grad()(right)  # type: ignore[no-any-return]


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     its plant

    # Broadcasting.
    Fault("b001-engine",                   "a gradient is not summed over the axes that were broadcast",                    "pytorch/pytorch#1787",       (),
          function(_unbroadcast, _as_it_is)),
    Fault("b002-engine",                   "new axes in front are summed over, but not axes of length 1",                   "pytorch/pytorch#13669",      (),
          function(_unbroadcast, _axes_in_front_alone)),
    Fault("unbroadcast-mean",              "the mean over the broadcast axes is taken, not the sum",                        "ours",                       (),
          function(_unbroadcast, _averaged)),
    Fault("unbroadcast-one-axis",          "of several broadcast axes the last is summed; of the others one entry counts",  "ours",                       (),
          function(_unbroadcast, _last_axis_alone)),
    Fault("b198-engine",                   "the gradient of a broadcast operand is added twice",                            "rsokl/MyGrad#131",           (),
          function(_unbroadcast, lambda right: lambda *args: right(*args) * 2)),

    # Dtypes.
    Fault("b168-first-cotangent",          "the first cotangent is double, and so are all gradients",                       "HIPS/autograd#163",          (),
          together(method(Value, "_cotangent", _double_ones), function(_in_dtype, _as_it_is))),
    Fault("b168-python-number",            "a Python number turns a single-precision operand into double",                  "chainer/chainer#6212",       (),
          attached(function(binary, _number_as_double))),
    Fault("b172-engine",                   "a Value of integers stays one, and refuses negative powers",                    "folklore",                   (),
          function(new_array, _whole_numbers_stay)),
    Fault("dtype-not-cast-back",           "a single operand beside a double one gets a double gradient",                   "ours",                       (),
          function(_in_dtype, _as_it_is)),
    Fault("dtype-promoted-down",           "single and double precision give single",                                       "ours",                       (),
          function(_common_dtype, _least)),
    Fault("dtype-whole-numbers-count",     "integers turn a single-precision operand into double",                          "ours",                       (),
          function(_common_dtype, _of_all)),

    # Operators, and NumPy's dispatch.
    Fault("b179-engine",                   "a number plus a Value swaps the two, and swaps them again, without end",        "karpathy/micrograd#76",      (),
          attribute(Value, "__radd__", lambda x, number: number + x)),
    Fault("b180-engine",                   "an array times a Value is an array of Values",                                  "pytorch/pytorch#9468",       (),
          method(Value, "__array_ufunc__", _elementwise)),
    Fault("b182-engine",                   "`x += d` writes into x, which changes earlier results made from x",             "pytorch/pytorch#2425",       (),
          attribute(Value, "__iadd__", _added_in_place)),
    Fault("b185-engine",                   "the results of NumPy's functions leave the graph",                              "HIPS/autograd#789",          (),
          method(Value, "__array_function__", _unrecorded)),
    Fault("b184-power",                    "the exponent 2 is found by `is`; others, even 2.0, have y * b / a: NaN at 0",   "HIPS/autograd@6aaba38",      ("power",),
          pullback("power", 0, lambda g, y, a, b: g * (2 * a) if b is _TWO else g * (y * b / a))),
    Fault("operator-exchanged",            "a number or list on the left is used as the right operand",                     "ours",                       (),
          attached(function(reflected, lambda right: binary))),
    Fault("operator-array-exchanged",      "an array on the left is used as the right operand",                             "ours",                       (),
          method(Value, "__array_ufunc__", _exchanged)),
    Fault("operator-rows-constant",        "the rows from iteration are not part of the graph",                             "ours",                       (),
          method(Value, "__iter__", lambda right: lambda value: (row.detach() for row in right(value)))),
)
# fmt: on
