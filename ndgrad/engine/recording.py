"""Recording: it applies a rule to operands, and makes a result that remembers both.

It knows rules, operands and modes. It calls a rule's forward on plain arrays, and never its pullbacks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ndgrad.engine.arrays import describe, real_array
from ndgrad.engine.clock import next_id
from ndgrad.engine.staleness import Unreadable, remember
from ndgrad.engine.value import NO_OPTIONS, Value, cast, constant, new
from ndgrad.modes import ENTERED, current
from ndgrad.rules import Rule
from ndgrad.rules.rule import Operands, Options

_ndarray = np.ndarray


def record(rule: Rule, operands: Operands, options: Options) -> Value:
    """Apply a rule to operands, of which at least one is a Value. This works for every op.

    Args:
        rule: the rule of the op.
        operands: Values, arrays, lists and Python numbers. Integers and booleans take the dtype of the floats.
        options: the rule's options, already bound.
    """
    if len(operands) == 1 and operands[0].__class__ is Value:  # no promotion is needed
        y = rule.forward(operands[0]._array, **options)
    else:
        operands = _promoted(operands, rule)
        y = rule.forward(*[o._array if o.__class__ is Value else o for o in operands], **options)
    if rule.residual is not None:
        y, residual = y
        options = {**options, "residual": residual}
    return _result(rule, operands, options, y)


# The fast path: an operator on Values of one dtype, or on a Value and a Python number, outside of any mode. It does
# what `record` does, written out in full in each of two functions, because a call would cost as much as the rest.


def unary(rule: Rule) -> Callable[[Value], Value]:
    """Make the operator of an op that has one operand and no options."""
    forward, views = rule.forward, rule.views

    def operator(x: Value) -> Value:
        y = forward(x._array)
        if not x.requires_grad or ENTERED or views or y.__class__ is not _ndarray:
            return _result(rule, (x,), NO_OPTIONS, y)
        value: Value = new(Value)
        value._array = y
        value._grad = None
        value._id = next_id()
        value._rule = rule
        value._operands = (x,)
        value._options = NO_OPTIONS
        value._label = ""
        value.requires_grad = True
        return value

    return operator


def binary(rule: Rule) -> Callable[[Value, Any], Value]:
    """Make the operator of an op between two operands."""
    forward = rule.forward
    faster_on_arrays = isinstance(forward, np.ufunc)  # a ufunc converts Python numbers at each call

    def operator(a: Value, b: Any) -> Value:
        kind = b.__class__
        if kind is Value:
            if a._array.dtype is not b._array.dtype:
                return record(rule, (a, b), NO_OPTIONS)
            y = forward(a._array, b._array)
            needs_grad = a.requires_grad or b.requires_grad
        elif kind is float or kind is int or (kind is _ndarray and a._array.dtype is b.dtype):
            if kind is not _ndarray and faster_on_arrays and a._array.dtype is _DOUBLE:
                cached = _constants.get(b)
                b = _constant_for(b) if cached is None else cached
            y = forward(a._array, b)
            needs_grad = a.requires_grad
        else:
            return record(rule, (a, b), NO_OPTIONS) if is_operand(b) else NotImplemented
        if not needs_grad or ENTERED or y.__class__ is not _ndarray:
            return _result(rule, (a, b), NO_OPTIONS, y)
        value: Value = new(Value)
        value._array = y
        value._grad = None
        value._id = next_id()
        value._rule = rule
        value._operands = (a, b)
        value._options = NO_OPTIONS
        value._label = ""
        value.requires_grad = True
        return value

    return operator


_DOUBLE = np.dtype(np.float64)
_constants: dict[float, np.ndarray] = {}  # Python numbers used beside double precision, as 0-d arrays


def _constant_for(number: float) -> Any:
    """Cache a number as a 0-d array, and return that.

    Some numbers are returned unchanged: 0 (a dict does not distinguish 0.0 and -0.0), NaN, numbers beyond 2**53, and
    those that come when the cache is full.
    """
    if number == 0 or number != number or len(_constants) >= 1_000 or abs(number) > 2**53:  # noqa: PLR0124, PLR2004
        return number
    _constants[number] = array = np.array(number, _DOUBLE)
    array.flags.writeable = False
    return array


def reflected(rule: Rule) -> Callable[[Value, Any], Value]:
    """Make the reflected operator, for a left operand that is not a Value."""
    forward = rule.forward
    faster_on_arrays = isinstance(forward, np.ufunc)

    def operator(b: Value, a: Any) -> Value:
        kind = a.__class__
        if kind is float or kind is int:
            if faster_on_arrays and b._array.dtype is _DOUBLE:
                cached = _constants.get(a)
                a = _constant_for(a) if cached is None else cached
            return _result(rule, (a, b), NO_OPTIONS, forward(a, b._array))
        return record(rule, (a, b), NO_OPTIONS) if is_operand(a) else NotImplemented

    return operator


def _result(rule: Rule, operands: Operands, options: Mapping[str, Any], y: Any) -> Value:
    """Make the Value of a result: a node of the graph if an operand requires a gradient, otherwise a constant."""
    if y.__class__ is not _ndarray:
        y = np.asarray(y)
    for operand in operands:
        if operand.__class__ is Value and operand.requires_grad:
            break
    else:
        return constant(_unshared(rule, y))
    if ENTERED and not current().recording:
        return constant(_unshared(rule, y))
    if rule.views:
        y = y.view()
        y.flags.writeable = False  # writing to a view would change the operand as well
    value: Value = new(Value)
    value._array = y
    value._grad = None
    value._id = next_id()
    value._rule = rule
    value._operands = operands
    value._options = options
    value._label = ""
    value.requires_grad = True
    if ENTERED and current().remembering:
        remember(value)
    if ENTERED and current().lean:
        _make_lean(value)
    return value


def _make_lean(value: Value) -> None:
    """Replace a result and its operands in the graph by their traces.

    A trace holds the numbers only if a pullback reads them: one of its own rule, or one of an op that uses it.
    """
    rule, operands = value._rule, value._operands
    needs_grad = [i for i, o in enumerate(operands) if o.__class__ is Value and o.requires_grad]
    read = rule.reads(needs_grad) if rule else frozenset()
    traces = [getattr(o, "_trace", o) if o.__class__ is Value else o for o in operands]
    for position, (operand, trace) in enumerate(zip(operands, traces, strict=True), 1):
        if position in read and trace is not operand:
            trace._array = operand._array
    value._operands = tuple(traces)
    value._trace = trace = new(Value)
    for slot in ("_grad", "_id", "_rule", "_operands", "_options", "_label", "requires_grad"):
        setattr(trace, slot, getattr(value, slot))
    if hasattr(value, "_remembered"):
        trace._remembered = value._remembered
    trace._array = value._array if 0 in read else _unreadable(value)


def _unreadable(value: Value) -> Any:
    return Unreadable(
        value, f"{value._description()} was made under lean(), which keeps only the numbers that pullbacks read"
    )


def _unshared(rule: Rule, y: np.ndarray) -> np.ndarray:
    """Copy a result that is a view. A constant has no operands, so a write to shared memory would go unnoticed."""
    return y.copy() if rule.views else y


def _promoted(operands: Operands, rule: Rule) -> Operands:
    """Cast operands to one dtype, so that pullbacks see a single dtype. Python numbers stay where they are weak.

    Floats are promoted as NumPy promotes them. Integers, booleans and Python numbers take the dtype of the floats.
    """
    common = None
    for o in operands:
        dtype = o._array.dtype if o.__class__ is Value else o.dtype if o.__class__ is _ndarray else None
        if dtype is None or (dtype is not common and common is not None):
            break
        common = dtype
    else:  # the usual case: all operands have one dtype
        return operands
    ready = [o if o.__class__ in _READY else _operand(o, rule.__name__) for o in operands]
    arrays: list[Any] = [o for o in ready if o.__class__ not in _NUMBERS]
    dtype = _common_dtype(arrays)
    return tuple(cast(o, dtype) if o.__class__ not in _NUMBERS or not rule.weak else o for o in ready)


def _common_dtype(arrays: list[Any]) -> np.dtype[Any]:
    """Return the common dtype of the floats among some operands. At least one operand is of floats."""
    dtypes = {o.dtype for o in arrays if o.dtype.kind == "f"}
    return dtypes.pop() if len(dtypes) == 1 else np.result_type(*dtypes)


_NUMBERS = frozenset({int, float})
_READY = frozenset({int, float, Value})


def is_operand(operand: Any) -> bool:
    """Return whether operators accept this; otherwise Python tries the operator of the other type."""
    return isinstance(operand, (Value, int, float, list, tuple, np.ndarray, np.generic))


def _operand(operand: Any, op: str) -> Any:
    if operand.__class__ is bool:
        return float(operand)
    if not is_operand(operand):
        raise TypeError(f"an operand of {op} must be a number, an array or a Value, but got {describe(operand)}")
    return real_array(operand, f"an operand of {op}")
