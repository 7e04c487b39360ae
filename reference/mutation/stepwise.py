"""The backward pass in small steps, one method each. A fault in the order or in the contributions overrides a method.

The engine's own pass is a single loop, because a call costs as much as a small op; so none of its steps can be
replaced from outside. This pass gives the same bits, as a test checks, until a method is overridden.
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

    def __init__(self, create_graph: bool) -> None:  # noqa: FBT001 - it is passed on
        self.create_graph = create_graph
        self.waiting: list[int] = []  # the negative ids of nodes that have a cotangent
        self.received: dict[int, tuple[Value, Any]] = {}  # these nodes, each with the sum of its contributions so far
        self.own: set[int] = set()  # the ids of nodes whose cotangent's array belongs to this pass alone
        self.gradients: Gradients = []

    def run(self, roots: Iterable[tuple[Value, Any]], targets: Iterable[Value] | None) -> Gradients:
        """Run the backward pass, as `pass_back` does."""
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
                    self.arrive(node, operand, self.fit(h, operand, node))
        return self.gradients

    def start(self, root: Value, cotangent: Any) -> None:
        """Add a root with its cotangent."""
        if self.create_graph and cotangent.__class__ is not Value:
            cotangent = constant(cotangent)
        if root._id in self.received:
            cotangent = self.received[root._id][1] + cotangent
        else:
            self.waiting.append(-root._id)
        self.received[root._id] = (root, cotangent)

    def order(self) -> None:
        """Sort the roots, the latest first."""
        self.waiting.sort()

    def push(self, key: int) -> None:
        """Add a node to those that wait."""
        heappush(self.waiting, -key)

    def pop(self) -> int:
        """Remove the next node, the latest, and return its id."""
        return -heappop(self.waiting)

    def take(self) -> tuple[Value, Any]:
        """Return the next node and its cotangent."""
        return self.received.pop(self.pop())

    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        """Return a node's contribution to each of its operands."""
        y, values, options = _pullback_arguments(node, create_graph=self.create_graph)
        pullbacks = node._rule.each_pullback(len(values)) if node._rule else ()
        both = [(o, to) for o, to in zip(node._operands, pullbacks, strict=True) if to is not None and self.wants(o)]
        return [(operand, pullback(g, y, *values, **options)) for operand, pullback in both]

    def wants(self, operand: Any) -> bool:
        """Whether an operand requires a gradient."""
        return isinstance(operand, Value) and operand.requires_grad

    def fit(self, h: Any, operand: Value, node: Value) -> Any:
        """Convert a contribution to the operand's shape and dtype."""
        h = h if h.shape == operand.shape else _unbroadcast(h, operand, node)
        return h if h.dtype is operand.dtype else _in_dtype(h, operand.dtype)

    def key(self, operand: Value) -> int:
        """Return the id of the node that a contribution is for."""
        return operand._id

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        """Add a contribution to an operand's cotangent."""
        del node
        key = self.key(operand)
        there = self.received.get(key)
        if there is None:
            self.received[key] = (operand, h)
            self.push(key)
        elif key in self.own:
            total = there[1]
            total += h
        else:
            self.received[key] = (operand, there[1] + h)
            if not self.create_graph and operand.ndim:
                self.own.add(key)


def backward_pass(wrong: type[Pass]) -> Plant:
    """Replace the engine's backward pass by one of this class."""

    def change(right: Any) -> Any:
        del right

        def passed(
            roots: Iterable[tuple[Value, Any]], *, create_graph: bool = False, targets: Iterable[Value] | None = None
        ) -> Gradients:
            return wrong(create_graph).run(roots, targets)

        return passed

    return function(pass_back, change)
