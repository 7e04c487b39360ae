"""The backward pass in small steps, each a method: a fault of its order, or of what arrives where, overrides one.

The engine's own pass is one loop, for a call costs as much as a small op, and no step of it can be replaced from outside.
This one computes the same to the bit, as a test sees, until a method is overridden.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ndgrad import Value, enable_grad
from ndgrad.engine import pass_back
from ndgrad.engine.backward import _in_dtype, _pullback_arguments, _unbroadcast
from ndgrad.engine.value import Gradients, constant
from reference.mutation.planting import Plant, function


class Pass:
    """One backward pass.

    Args:
        create_graph: whether to compute with Values.
    """

    def __init__(self, create_graph: bool) -> None:  # noqa: FBT001 - it is handed over
        self.create_graph = create_graph
        self.waiting: list[int] = []  # the negative ids of nodes that something has reached
        self.arrived: dict[int, tuple[Value, Any]] = {}  # those nodes, each with what has reached it so far
        self.own: set[int] = set()  # the ids of those whose cotangent is written to by nobody else
        self.gradients: Gradients = []

    def run(self, roots: Iterable[tuple[Value, Any]], targets: Iterable[Value] | None) -> Gradients:
        """Carry cotangents back, as `pass_back` does."""
        roots = list(roots)
        stops = {target._id for target in targets or ()}
        whole = any(not hasattr(root, "_trace") for root, _ in roots)
        with np.errstate(all="ignore"), enable_grad() if self.create_graph else nullcontext():
            for root, cotangent in roots:
                self.start(root, cotangent)
            self.order()
            while self.waiting:
                node, g = self.take()
                last = node._rule is None or node._id in stops
                if whole or last:
                    self.gradients.append((node, g))
                for operand, h in () if last else self.contributions(node, g):
                    self.arrive(node, operand, self.fitted(h, operand, node))
        return self.gradients

    def start(self, root: Value, cotangent: Any) -> None:
        """Put down where the pass begins."""
        if self.create_graph and cotangent.__class__ is not Value:
            cotangent = constant(cotangent)
        if root._id in self.arrived:
            cotangent = self.arrived[root._id][1] + cotangent
        else:
            self.waiting.append(-root._id)
        self.arrived[root._id] = (root, cotangent)

    def order(self) -> None:
        """Put what the pass begins with into order: the latest first."""
        self.waiting.sort()

    def push(self, key: int) -> None:
        """Put down a node among those that wait."""
        heappush(self.waiting, -key)

    def pop(self) -> int:
        """Say which node is next: the latest."""
        return -heappop(self.waiting)

    def take(self) -> tuple[Value, Any]:
        """Take the next node, with all that has reached it."""
        return self.arrived.pop(self.pop())

    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        """Say what a node passes on to each of its operands."""
        y, values, options = _pullback_arguments(node, create_graph=self.create_graph)
        pullbacks = node._rule.each_pullback(len(values)) if node._rule else ()
        both = [(o, to) for o, to in zip(node._operands, pullbacks, strict=True) if to is not None and self.wants(o)]
        return [(operand, pullback(g, y, *values, **options)) for operand, pullback in both]

    def wants(self, operand: Any) -> bool:
        """Whether something is passed on to an operand."""
        return isinstance(operand, Value) and operand.requires_grad

    def fitted(self, h: Any, operand: Value, node: Value) -> Any:
        """Give what is passed on in the operand's shape and dtype."""
        h = h if h.shape == operand.shape else _unbroadcast(h, operand, node)
        return h if h.dtype is operand.dtype else _in_dtype(h, operand.dtype)

    def key(self, operand: Value) -> int:
        """Say which node something is meant for."""
        return operand._id

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        """Add what arrives at an operand of a node to what is there."""
        del node
        key = self.key(operand)
        there = self.arrived.get(key)
        if there is None:
            self.arrived[key] = (operand, h)
            self.push(key)
        elif key in self.own:
            total = there[1]
            total += h
        else:
            self.arrived[key] = (operand, there[1] + h)
            if not self.create_graph and operand.ndim:
                self.own.add(key)


def passing(wrong: type[Pass]) -> Plant:
    """Replace the engine's backward pass by one of another class."""

    def change(right: Any) -> Any:
        del right

        def passed(
            roots: Iterable[tuple[Value, Any]], *, create_graph: bool = False, targets: Iterable[Value] | None = None
        ) -> Gradients:
            return wrong(create_graph).run(roots, targets)

        return passed

    return function(pass_back, change)
