"""Folds: the nodes of a graph that one layer computed, which a picture shows as one node.

It reads the operands of Values, and the short names of ops. A layer is recognised by its ops, whatever code they come
from: it starts with a product with a parameter, and goes on while all operands are its own results or further
parameters. Rows that are passed through the same layer one by one are one fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ndgrad.engine import Value

_PRODUCTS = ("@", "*")

_Key: TypeAlias = tuple[int, int]  # the id of the parameter, and the number of folds on the path to here


@dataclass(eq=False)
class Fold:
    """The results of one layer.

    Args:
        times: how often the layer was used: once for each product that it starts with.
        members: the results, each after its operands.
        seen: the results that are used outside the fold, or are the root of the picture.
    """

    times: int = 0
    members: list[Value] = field(default_factory=list)
    seen: list[Value] = field(default_factory=list)

    @property
    def ops(self) -> list[str]:
        """The short names of the ops, in order of first appearance."""
        return list(dict.fromkeys(node._op for node in self.members))  # noqa: SLF001 - a graph is read by it


def folds(nodes: Sequence[Value]) -> list[Fold]:
    """Find the layers of a graph that have more than one result.

    The folded graph is acyclic: from one fold to the next, the number of folds on the path grows.

    Args:
        nodes: the nodes of the graph in topological order, operands first and the root last.
    """
    keys = _keys(nodes)
    found: dict[_Key, Fold] = {}
    for node in nodes:
        key = keys.get(id(node))
        if key is not None:
            fold = found.setdefault(key, Fold())
            fold.members.append(node)
            fold.times += key not in _keys_of(node, keys)
    outside = {id(o) for node in nodes for o in _operands(node) if keys.get(id(o)) != keys.get(id(node))}
    for fold in found.values():
        fold.seen = [node for node in fold.members if id(node) in outside or node is nodes[-1]]
    return [fold for fold in found.values() if len(fold.members) > fold.times]


def _operands(node: Value) -> tuple[Value, ...]:
    return node._prev  # noqa: SLF001 - a graph is read by it


def _is_parameter(value: Value) -> bool:
    return value.requires_grad and not _operands(value)


def _keys(nodes: Sequence[Value]) -> dict[int, _Key]:
    """Return the layer of each result that belongs to one, by the id of the result."""
    uses = Counter(id(operand) for node in nodes for operand in _operands(node))
    passed: dict[int, int] = {}
    keys: dict[int, _Key] = {}
    for node in nodes:
        passed[id(node)] = max((passed[id(operand)] for operand in _operands(node)), default=0)
        parameters = [operand for operand in _operands(node) if _is_parameter(operand)]
        others = _keys_of(node, keys)
        if parameters and node._op in _PRODUCTS:  # noqa: SLF001 - as above
            passed[id(node)] += 1
            keys[id(node)] = id(max(parameters, key=lambda p: (uses[id(p)], p.size))), passed[id(node)]
        elif len(others) == 1 and None not in others:
            keys[id(node)] = others.pop()  # type: ignore[assignment] # it is not None
    return keys


def _keys_of(node: Value, keys: dict[int, _Key]) -> set[_Key | None]:
    """Return the layers of a result's operands, except parameters."""
    return {keys.get(id(operand)) for operand in _operands(node) if not _is_parameter(operand)}
