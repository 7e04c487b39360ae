"""Dispatch: it attaches the rules to `Value` as operators and methods, and to NumPy's functions.

This is the only module of the engine that iterates over the rules. A rule attached later is treated like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex

import numpy as np

from ndgrad.engine.recording import binary, is_operand, record, reflected, unary
from ndgrad.engine.value import NO_OPTIONS, Value, plain
from ndgrad.names import NO_OUT, by_signature, full_name, stated
from ndgrad.rules import RULES, Rule
from ndgrad.rules.rule import Operands, Options

UFUNCS: dict[tuple[np.ufunc, str], Rule] = {}
FUNCTIONS: dict[Callable[..., Any], Rule] = {}

# Functions with slope 0 almost everywhere, and functions of shapes: they return plain results and record nothing.
_FLAT: frozenset[Any] = frozenset({
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isnan, np.isinf, np.isfinite, np.signbit, np.sign, np.floor, np.ceil, np.trunc, np.rint,
    np.logical_not, np.logical_and, np.logical_or,
    np.shape, np.ndim, np.size, np.argmax, np.argmin, np.argsort, np.all, np.any, np.count_nonzero, np.nonzero,
    np.array_equal, np.allclose, np.isclose, np.zeros_like, np.ones_like, np.full_like, np.empty_like,
    np.result_type, np.may_share_memory, np.shares_memory,
})  # fmt: skip


def _without_rule(name: str) -> TypeError:
    return TypeError(f"{name} has no rule in ndgrad; for its plain result, give it the Values' .data")


def _flat(ufunc: np.ufunc) -> Callable[[Value, Any], Any]:
    """Make a comparison operator, which returns plain booleans."""

    def compare(a: Value, b: Any) -> Any:
        return ufunc(a._array, plain(b)) if is_operand(b) else NotImplemented

    return compare


def attach(name: str, rule: Rule) -> None:
    """Attach a rule to `Value` and to NumPy's dispatch, as its row says."""
    for function in rule.numpy:
        if isinstance(function, np.ufunc):
            UFUNCS[function, "__call__"] = rule
        elif isinstance(getattr(function, "__self__", None), np.ufunc):
            UFUNCS[function.__self__, function.__name__] = rule  # type: ignore[attr-defined]  # np.add.reduce ...
        else:
            FUNCTIONS[function] = rule
    if rule.method:
        method = unary(rule) if rule.alone else _method(rule)
        method.__doc__ = rule.__doc__
        _set(name, method)
    if rule.operator == "getitem":
        Value.__getitem__ = _method(rule)  # type: ignore[method-assign]
    elif rule.operator and rule.alone:
        _set(f"__{rule.operator}__", unary(rule))
    elif rule.operator:
        _set(f"__{rule.operator}__", binary(rule))
        _set(f"__r{rule.operator}__", reflected(rule))


def _set(name: str, method: Any) -> None:
    """Set a method of `Value`, and give it the name that errors print."""
    method.__name__, method.__qualname__ = name, f"Value.{name}"
    setattr(Value, name, method)


def _method(rule: Rule) -> Callable[..., Any]:
    def method(self: Value, *args: SupportsIndex | Any, **options: Any) -> Any:
        bound = rule.bound(self, *args, **options)
        return [record(rule, *call) for call in bound] if bound.__class__ is list else record(rule, *bound)

    return method


# The protocols by which NumPy and the rules call the engine.


def _apply_rule(value: Value, rule: Rule, operands: Operands, options: Options) -> Value:
    del value  # one of the operands
    return record(rule, operands, options)


def _array_ufunc(value: Value, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    del value
    rule = UFUNCS.get((ufunc, method))
    if rule is not None and rule.operands_alone and not options:
        return record(rule, inputs, NO_OPTIONS)
    name = full_name(ufunc) if method == "__call__" else f"{full_name(ufunc)}.{method}"
    if options.get("out") is not None:
        raise TypeError(f"{name} {NO_OUT}")
    if rule is not None:
        if method != "__call__":
            options.setdefault("axis", 0)  # NumPy's default for ufunc.reduce and ufunc.accumulate
        return rule(*inputs, **stated(name, rule, options))
    if ufunc in _FLAT and method == "__call__":
        return ufunc(*map(plain, inputs), **options)
    raise _without_rule(name)


def _array_function(
    value: Value, function: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    del value, types
    rule = FUNCTIONS.get(function)
    if rule is not None:
        try:
            bound = rule.bind(*args, **options)
        except TypeError:  # the rule does not have this option, or not at this position: NumPy's signature tells
            args, options = by_signature(function, args, options)
            bound = rule.bound(*args, **stated(full_name(function), rule, options))
        return [rule.apply(*call) for call in bound] if isinstance(bound, list) else rule.apply(*bound)
    if function in _FLAT:
        return function(*map(plain, args), **{name: plain(option) for name, option in options.items()})
    raise _without_rule(full_name(function))


_set("__apply_rule__", _apply_rule)
_set("__array_ufunc__", _array_ufunc)
_set("__array_function__", _array_function)

for _name, _rule in RULES.items():
    attach(_name, _rule)
for _name, _ufunc in [("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal),
                      ("gt", np.greater), ("ge", np.greater_equal)]:  # fmt: skip
    setattr(Value, f"__{_name}__", _flat(_ufunc))
