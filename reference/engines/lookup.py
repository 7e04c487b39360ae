"""Find an engine's functions for the ops: in the engine's own table, or by the op's name in its modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reference.ops import OPS, Op

Function = Callable[..., Any]


def function_of(op: Op, lines: Mapping[str, Function], modules: Sequence[Any]) -> Function | None:
    """Find an engine's function for an op.

    Args:
        op: the op's row.
        lines: the engine's own table, for functions with another name or another meaning.
        modules: the modules that are searched, in order, by the op's name and its aliases.

    Returns:
        The function `f(*operands, **options)`, or None.
    """
    if op.name in lines:
        return lines[op.name]
    found = (getattr(module, name, None) for name in (op.name, *op.aliases) for module in modules)
    return next((function for function in found if callable(function)), None)


def all_functions(
    lines: Mapping[str, Function], modules: Sequence[Any], without: Sequence[str] = ()
) -> dict[str, Function]:
    """Find an engine's functions for all ops of the table, except those in `without`."""
    functions = {op.name: function_of(op, lines, modules) for op in OPS.values() if op.name not in without}
    return {name: function for name, function in functions.items() if function is not None}
