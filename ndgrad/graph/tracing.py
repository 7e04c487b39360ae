"""The graph that a Value is the root of: its nodes and edges, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from ndgrad.engine import Value

Edge: TypeAlias = tuple[Value, Value]


def trace(root: Value) -> tuple[list[Value], list[Edge]]:
    """Walk all that a Value was made of.

    Args:
        root: where to start.

    Returns:
        The nodes, each once: operands before what is made of them, and `root` last. And the edges
        `(operand, result)`, one for each use of an operand: `x * x` has two.

    Raises:
        TypeError: `root` is no Value.
    """
    if not isinstance(root, Value):
        raise TypeError(f"a graph starts from a Value, but got {type(root).__name__}")
    nodes: list[Value] = []
    edges: list[Edge] = []
    met = {id(root)}
    opened = [_opened(root)]  # the way from the root to here, in a list: calls would run out of stack
    while opened:
        value, operands, ahead = opened[-1]
        unmet = next((operand for operand in ahead if id(operand) not in met), None)
        if unmet is not None:
            met.add(id(unmet))
            opened.append(_opened(unmet))
        else:
            nodes.append(value)
            edges.extend((operand, value) for operand in operands)
            opened.pop()
    return nodes, edges


def _opened(value: Value) -> tuple[Value, tuple[Value, ...], Iterator[Value]]:
    """A node, its operands, and those of them that the walk has ahead."""
    operands = value._prev  # noqa: SLF001 - a graph is read by it
    return value, operands, iter(operands)
