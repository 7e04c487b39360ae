"""Which nodes of a graph are one layer's work, so that a picture may show them as one.

It knows Values from outside: operands, and the ops' short names. A layer is known by what it does, whoever wrote it: it
starts at a product with a parameter, and goes on for as long as nothing comes in but its own results and further
parameters. Rows that go through the same layer one by one are one fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ndgrad.engine import Value

_PRODUCTS = ("@", "*")

_Key: TypeAlias = tuple[int, int]  # the id of the parameter, and how many folds are passed on the way here


@dataclass(eq=False)
class Fold:
    """Results that are one layer's work.

    Args:
        times: how often it was done: once for each product that it starts with.
        members: the results, each after its operands.
        seen: those among them that are used outside, or are what the picture is of.
    """

    times: int = 0
    members: list[Value] = field(default_factory=list)
    seen: list[Value] = field(default_factory=list)

    @property
    def ops(self) -> list[str]:
        """The short names of its ops, in the order in which they are met first."""
        return list(dict.fromkeys(node._op for node in self.members))  # noqa: SLF001 - a graph is read by it


def folds(nodes: Sequence[Value]) -> list[Fold]:
    """Find the layers of a graph, those with more than one result.

    Folding them leaves a graph without circles: from one fold to the next, the number of folds passed on the way grows.

    Args:
        nodes: all of the graph, operands before what is made of them, and what the graph is of at the end.
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
    """For each result that is a layer's work, by its id, of which layer."""
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
    """The layers that a result's operands are of, parameters aside."""
    return {keys.get(id(operand)) for operand in _operands(node) if not _is_parameter(operand)}
