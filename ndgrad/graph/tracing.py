"""The nodes and edges of the graph of a Value, in topological order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from ndgrad.engine import Value

Edge: TypeAlias = tuple[Value, Value]


def trace(root: Value) -> tuple[list[Value], list[Edge]]:
    """List the nodes and edges of the graph of a Value.

    Args:
        root: the Value to start from.

    Returns:
        The nodes, each once, operands before results and `root` last; and the edges `(operand, result)`, one for each
        use of an operand: `x * x` has two.

    Raises:
        TypeError: `root` is not a Value.
    """
    if not isinstance(root, Value):
        raise TypeError(f"a graph starts from a Value, but got {type(root).__name__}")
    nodes: list[Value] = []
    edges: list[Edge] = []
    visited = {id(root)}
    path = [_entered(root)]  # from the root to here; an explicit stack, because recursion would exceed Python's
    while path:
        value, operands, ahead = path[-1]
        unvisited = next((operand for operand in ahead if id(operand) not in visited), None)
        if unvisited is not None:
            visited.add(id(unvisited))
            path.append(_entered(unvisited))
        else:
            nodes.append(value)
            edges.extend((operand, value) for operand in operands)
            path.pop()
    return nodes, edges


def _entered(value: Value) -> tuple[Value, tuple[Value, ...], Iterator[Value]]:
    """Return a node, its operands, and an iterator over the operands still to visit."""
    operands = value._prev  # noqa: SLF001 - a graph is read by it
    return value, operands, iter(operands)
