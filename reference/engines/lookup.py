"""Finds what an engine calls the ops: a line of its own table, or the function that has an op's name in its modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reference.ops import OPS, Op

Function = Callable[..., Any]


def function_of(op: Op, lines: Mapping[str, Function], modules: Sequence[Any]) -> Function | None:
    """An op in an engine, `f(*operands, **options)`.

    Args:
        op: its row.
        lines: the engine's own table, for what has another name there, or another meaning.
        modules: where functions are found by the op's name and its aliases, the first that has one.

    Returns:
        The function; None if there is none.
    """
    if op.name in lines:
        return lines[op.name]
    found = (getattr(module, name, None) for name in (op.name, *op.aliases) for module in modules)
    return next((function for function in found if callable(function)), None)


def all_functions(
    lines: Mapping[str, Function], modules: Sequence[Any], without: Sequence[str] = ()
) -> dict[str, Function]:
    """Each op of the table that an engine has, but for those that it is to go without."""
    each = {op.name: function_of(op, lines, modules) for op in OPS.values() if op.name not in without}
    return {name: function for name, function in each.items() if function is not None}
