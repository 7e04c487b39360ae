"""Faults of the engine beside its backward pass: broadcasting, gradients, dtypes, operators, and what is kept between calls.

It knows the engine's seams. What each op computes, and which programs and sessions show a fault, it does not know.
Where a bug would show by an error at once, it is planted so that it shows by its numbers, as the real one did.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ndgrad import Value, enable_grad, modes, no_grad
from ndgrad.engine.arrays import copied
from ndgrad.engine.backward import _in_dtype, _unbroadcast
from ndgrad.engine.dispatch import UFUNCS
from ndgrad.engine.recording import _common_dtype, _own, _result, binary, reflected
from ndgrad.engine.staleness import _may_share, _written_since, remember, unreadable_where_changed
from ndgrad.rules import indexing
from reference.faults.planting import (
    Fault,
    Plant,
    attached,
    attribute,
    bind,
    function,
    method,
    plain,
    pullback,
    setter,
    together,
)

Right = Callable[..., Any]

_TWO = 2  # there is but one of it, as of all small whole numbers

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
    """A Python number on the right goes in as one of NumPy's."""

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


# Operators, and how NumPy hands its work over.


def _elementwise(right: Right) -> Right:
    """What NumPy makes of a left operand if nobody stops it: each of its numbers times the whole Value, as objects."""

    def handed(value: Value, ufunc: np.ufunc, how: str, *inputs: Any, **options: Any) -> Any:
        left = inputs[0]
        if not isinstance(left, np.ndarray) or not left.ndim or how != "__call__":
            return right(value, ufunc, how, *inputs, **options)
        results = np.empty(left.shape, object)
        for place in np.ndindex(left.shape):
            results[place] = ufunc(left[place], *inputs[1:], **options)
        return results

    return handed


def _exchanged(right: Right) -> Right:
    """The Value comes first."""

    def handed(value: Value, ufunc: np.ufunc, how: str, *inputs: Any, **options: Any) -> Any:
        if (ufunc, how) in UFUNCS and not options:
            inputs = tuple(sorted(inputs, key=lambda x: not isinstance(x, Value)))
        return right(value, ufunc, how, *inputs, **options)

    return handed


def _added_in_place(x: Value, other: Any) -> Value:
    """`x += other` on the numbers, without a node."""
    x.data = x.data + plain(other)
    return x


def _unrecorded(right: Right) -> Right:
    return no_grad()(right)  # type: ignore[no-any-return]


# Memory that is shared.


def _shared(right: Right) -> Right:
    """The array that a Value is made from is its own, if it would do as it is."""

    def numbers(data: Any) -> Any:
        array = right(data)
        return data if type(data) is np.ndarray and data.dtype == array.dtype and data.flags.c_contiguous else array

    return numbers


def _detached_view(right: Right) -> Right:
    def detach(value: Value) -> Value:
        detached: Value = right(value)
        detached._array = value._array
        return detached

    return detach


def _index_shared(right: Right) -> Right:
    def entry(given: Any) -> Any:
        checked = right(given)
        return given if isinstance(given, np.ndarray) and given.size else checked

    return entry


def _views_written(right: Right) -> Right:
    def result(rule: Any, operands: Any, options: Any, y: Any) -> Value:
        value: Value = right(rule, operands, options, y)
        if isinstance(y, np.ndarray) and y.flags.writeable:
            value.data.flags.writeable = True
        return value

    return result


# Writes between forward and backward.


def _result_as_it_is(right: Right) -> Right:
    return lambda node, given: [given[0], *right(node, given)[1:]]


def _unless_remembered(right: Right) -> Right:
    return lambda node, given: right(node, given) if hasattr(node, "_remembered") else given


def _assigned_alone(right: Right) -> Right:
    def write(value: Value, data: Any) -> None:
        if data is not value.data:
            right(value, data)

    return write


def _written_itself(value: Value, node_id: int) -> bool:
    return getattr(value, "_written", 0) > node_id


def _one_step(value: Value, node_id: int) -> bool:
    """Whether a value was written, or what it is a view of; but not what that is a view of."""
    base = value._operands[0] if value._rule is not None and value._rule.views else None
    behind = isinstance(base, Value) and _written_itself(base, node_id) and _may_share(base._array, value._array)
    return behind or _written_itself(value, node_id)


# Modes.


@contextmanager
def _modes() -> Iterator[None]:
    """The modes that there are come back after a fault of theirs, which may leave them changed."""
    before = modes.current()
    try:
        yield
    finally:
        vars(modes)["_current"].set(before)


def _left(change: Callable[[Right], Right]) -> Plant:
    """Change how a mode is left."""
    return together(lambda: _modes(), method(no_grad.__mro__[1], "__exit__", change))


def _but_for_errors(right: Right) -> Right:
    def leave(mode: Any, kind: Any, error: Any, at: Any) -> None:
        if error is None:
            right(mode, kind, error, at)

    return leave


def _for_all(right: Right) -> Right:
    def leave(mode: Any, *error: Any) -> None:
        right(mode, *error)
        enable_grad().__enter__()

    return leave


def _one_operand_recorded(right: Right) -> Right:
    recording = enable_grad()(right)
    return lambda rule, operands, options, y: (recording if len(operands) == 1 else right)(rule, operands, options, y)


def _in_a_circle(right: Right) -> Right:
    """A node has a rule of its own, which holds the node."""

    def result(*args: Any) -> Value:
        value: Value = right(*args)
        if value._rule is not None:
            value._rule = copy.copy(value._rule)
            vars(value._rule).update(node=value)
        return value

    return result


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     how it is planted

    # Broadcasting.
    Fault("b001-engine",                   "a gradient keeps the axes along which its operand was repeated",                "pytorch/pytorch#1787",       (),
          function(_unbroadcast, _as_it_is)),
    Fault("b002-engine",                   "axes in front are summed over, and not those of length 1",                      "pytorch/pytorch#13669",      (),
          function(_unbroadcast, _axes_in_front_alone)),
    Fault("unbroadcast-mean",              "the mean is taken over the axes that were repeated, not the sum",               "ours",                       (),
          function(_unbroadcast, _averaged)),
    Fault("unbroadcast-one-axis",          "of several axes the last is summed over, and of the others the first taken",    "ours",                       (),
          function(_unbroadcast, _last_axis_alone)),
    Fault("b198-engine",                   "what reaches an operand that was broadcast is added a second time",             "rsokl/MyGrad#131",           (),
          function(_unbroadcast, lambda right: lambda *args: right(*args) * 2)),

    # Dtypes.
    Fault("b168-first-cotangent",          "the first cotangent is double, and all gradients with it",                      "HIPS/autograd#163",          (),
          together(method(Value, "_cotangent", _double_ones), function(_in_dtype, _as_it_is))),
    Fault("b168-python-number",            "a Python number beside single precision makes double of it",                    "chainer/chainer#6212",       (),
          attached(function(binary, _number_as_double))),
    Fault("b172-engine",                   "a Value of whole numbers stays one, and a power below 0 of it is refused",      "folklore",                   (),
          function(copied, _whole_numbers_stay)),
    Fault("dtype-not-cast-back",           "a single operand beside a double one has a double gradient",                    "ours",                       (),
          function(_in_dtype, _as_it_is)),
    Fault("dtype-promoted-down",           "single beside double precision gives single",                                   "ours",                       (),
          function(_common_dtype, _least)),
    Fault("dtype-whole-numbers-count",     "whole numbers beside single precision make double of it",                       "ours",                       (),
          function(_common_dtype, _of_all)),

    # Operators, and how NumPy hands its work over.
    Fault("b179-engine",                   "a number plus a Value turns the two round, and again, without end",             "karpathy/micrograd#76",      (),
          attribute(Value, "__radd__", lambda x, number: number + x)),
    Fault("b180-engine",                   "an array times a Value is an array of Values",                                  "pytorch/pytorch#9468",       (),
          method(Value, "__array_ufunc__", _elementwise)),
    Fault("b182-engine",                   "`x += d` writes into x, and whatever was made of x before sees it",             "pytorch/pytorch#2425",       (),
          attribute(Value, "__iadd__", _added_in_place)),
    Fault("b185-engine",                   "what NumPy's functions give leaves the graph",                                  "HIPS/autograd#789",          (),
          method(Value, "__array_function__", _unrecorded)),
    Fault("b184-power",                    "the exponent 2 is told by `is`; all others, and 2.0, have y * b / a: NaN at 0", "HIPS/autograd@6aaba38",      ("power",),
          pullback("power", 0, lambda g, y, a, b: g * (2 * a) if b is _TWO else g * (y * b / a))),
    Fault("operator-exchanged",            "a number or list on the left is taken for the right operand",                   "ours",                       (),
          attached(function(reflected, lambda right: binary))),
    Fault("operator-array-exchanged",      "an array on the left is taken for the right operand",                           "ours",                       (),
          method(Value, "__array_ufunc__", _exchanged)),
    Fault("operator-rows-constant",        "the rows that iteration gives are no part of the graph",                        "ours",                       (),
          method(Value, "__iter__", lambda right: lambda value: (row.detach() for row in right(value)))),

    # Memory that is shared.
    Fault("b187-engine",                   "a Value shares the array that it is made from",                                 "folklore",                   (),
          function(copied, _shared)),
    Fault("detach-shares",                 "detach gives a view, which follows later writes",                               "ours",                       (),
          method(Value, "detach", _detached_view)),
    Fault("detach-wants-a-gradient",       "what detach gives wants a gradient, and gets one",                              "ours",                       (),
          attribute(Value, "detach", lambda value: Value(value.data))),
    Fault("getitem-index-shared",          "an array of indices is not copied: who changes it changes the way back",        "ours",                       (),
          function(indexing._entry, _index_shared)),
    Fault("where-condition-shared",        "the condition is not copied: who changes it changes the way back",              "ours",                       (),
          bind("where", lambda condition, a, b: ((a, b), {"condition": np.asarray(condition, bool)}))),
    Fault("views-written",                 "data that is a view of another Value's can be written to",                      "ours",                       (),
          function(_result, _views_written)),
    Fault("views-constant-shared",         "a view made under no_grad follows later writes",                                "ours",                       (),
          function(_own, lambda right: lambda rule, y: y)),

    # Writes between forward and backward.
    Fault("b025-engine",                   "a result that was written over is read on the way back",                        "linkedin/Liger-Kernel#272",  (),
          function(unreadable_where_changed, _result_as_it_is)),
    Fault("b118-engine",                   "whether data was assigned since it was used is not asked",                      "rsokl/MyGrad@5b8448c",       (),
          function(unreadable_where_changed, _unless_remembered)),
    Fault("writes-augmented-unnoticed",    "`x.data -= d` is no assignment, and goes unnoticed",                            "ours",                       (),
          setter(Value, "data", _assigned_alone)),
    Fault("writes-behind-views-unnoticed", "a write to what an operand is a view of goes unnoticed",                        "ours",                       (),
          function(_written_since, lambda right: _written_itself)),
    Fault("b031-engine",                   "of a chain of views one step is followed: a write behind two goes unnoticed",   "rsokl/MyGrad@9b958b9",       (),
          function(_written_since, lambda right: _one_step)),
    Fault("writes-by-index-unnoticed",     "check_writes remembers nothing, so that `x.data[0] = 9` goes unnoticed",        "ours",                       (),
          function(remember, lambda right: lambda node: None)),

    # Modes.
    Fault("b191-engine",                   "under no_grad, ops of one operand are recorded all the same",                   "facebookresearch/higher#48", (),
          function(_result, _one_operand_recorded)),
    Fault("modes-kept-by-errors",          "no_grad that is left by an error lasts",                                        "folklore",                   (),
          _left(_but_for_errors)),
    Fault("modes-do-not-nest",             "the end of an inner no_grad is the end of the outer one",                       "folklore",                   (),
          _left(_for_all)),
    Fault("modes-enable-grad-idle",        "enable_grad inside no_grad has no effect",                                      "ours",                       (),
          attribute(enable_grad, "_switch", lambda *_: None)),

    # Memory that is never given back.
    Fault("memory-in-a-circle",            "a node holds itself, and waits for the cyclic collector",                       "folklore",                   (),
          function(_result, _in_a_circle)),
)
# fmt: on
