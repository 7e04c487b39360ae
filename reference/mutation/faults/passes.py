"""Faults of the backward pass: the order of nodes, contributions to a node, and recorded passes.

The table knows the steps of the pass. It does not know which programs and sessions show a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.engine import pass_back
from ndgrad.engine.backward import _pullback_arguments
from ndgrad.engine.recording import _result
from ndgrad.engine.value import Gradients, constant
from ndgrad.modes import current
from ndgrad.rules import RULES
from reference.mutation.planting import Fault, attribute, function, method, plain, setter, together
from reference.mutation.stepwise import Pass, backward_pass

Right = Callable[..., Any]

# The order of nodes.


class _Unordered(Pass):
    """Nodes are visited in another order, and late contributions are lost."""

    def push(self, key: int) -> None:
        self.waiting.append(-key)

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        if not any(operand is done for done, _ in self.gradients):
            super().arrive(node, operand, h)


class _BreadthFirst(_Unordered):
    def pop(self) -> int:
        return -self.waiting.pop(0)


class _DepthFirst(_Unordered):
    def pop(self) -> int:
        return -self.waiting.pop()


class _RootsInOrder(Pass):
    def order(self) -> None:
        """Leave the roots in the given order."""


class _MergedByNumbers(Pass):
    """Nodes with equal numbers count as one node."""

    def key(self, operand: Value) -> int:
        alike = (k for k, (node, _) in self.received.items() if np.array_equal(node.data, operand.data))
        return next(alike, super().key(operand))


class _OncePerUse(Pass):
    def take(self) -> tuple[Value, Any]:
        return self.received[self.pop()]

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        if self.key(operand) in self.received:
            self.push(self.key(operand))
        super().arrive(node, operand, h)


def _by_recursion(right: Right) -> Right:
    """Walk over the whole graph by recursion before the pass."""

    def passed(roots: Iterable[tuple[Value, Any]], **options: Any) -> Gradients:
        roots, seen = list(roots), set()

        def visit(node: Value) -> None:
            seen.add(node._id)
            for operand in node._operands:
                if isinstance(operand, Value) and operand._id not in seen:
                    visit(operand)

        for root, _ in roots:
            visit(root)
        return right(roots, **options)  # type: ignore[no-any-return]

    return passed


def _first_under_enable_grad(right: Right) -> Right:
    """Results inside an inner `enable_grad` get an id before all others."""

    def result(*args: Any) -> Value:
        value: Value = right(*args)
        nested = current().outer is not None and current().outer.outer is not None  # type: ignore[union-attr]
        if value._rule is not None and nested and current().recording:
            value._id *= -1
        return value

    return result


def _moved_by_writes(right: Right) -> Right:
    def write(value: Value, data: Any) -> None:
        right(value, data)
        value._id = value._written

    return write


# Contributions to a node.


class _WrittenOver(Pass):
    """A contribution replaces the earlier ones if `alone(node)` is true."""

    def alone(self, node: Value) -> bool:
        del node
        return True

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        key = self.key(operand)
        if key in self.received and self.alone(node):
            self.received[key] = (operand, h)
        else:
            super().arrive(node, operand, h)


class _WrittenOverBySin(_WrittenOver):
    def alone(self, node: Value) -> bool:
        return node._rule is not None and node._rule.__name__ == "sin"


class _DuplicateOperandOnce(Pass):
    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        first = reversed(list(super().contributions(node, g)))
        return list({id(operand): (operand, h) for operand, h in first}.values())


class _ThirdUseLost(Pass):
    def __init__(self, create_graph: bool) -> None:  # noqa: FBT001 - it is passed on
        super().__init__(create_graph)
        self.contributions_to: dict[int, list[Any]] = {}

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        self.contributions_to.setdefault(operand._id, []).append(h)
        super().arrive(node, operand, h)

    def take(self) -> tuple[Value, Any]:
        node, g = super().take()
        parts = self.contributions_to.get(node._id, [])
        return (node, parts[0] + parts[1]) if len(parts) == 3 else (node, g)


class _AddedInPlace(Pass):
    """The first contribution is added to in place if `owned(h)` is true, even if others share it."""

    current_cotangent: Any  # the cotangent of the current node
    start_cotangent: Any  # the cotangent that the pass started with

    def start(self, root: Value, cotangent: Any) -> None:
        self.start_cotangent = cotangent
        super().start(root, cotangent)

    def take(self) -> tuple[Value, Any]:
        node, self.current_cotangent = super().take()
        return node, self.current_cotangent

    def owned(self, h: Any) -> bool:
        raise NotImplementedError

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        if self.key(operand) not in self.received and not self.create_graph and operand.ndim and self.owned(h):
            self.own.add(self.key(operand))
        super().arrive(node, operand, h)


class _BroadcastWritten(_AddedInPlace):
    def owned(self, h: Any) -> bool:
        return h is not self.current_cotangent


class _OthersWritten(_AddedInPlace):
    def owned(self, h: Any) -> bool:
        return bool(h.flags.writeable)


class _CotangentWritten(_AddedInPlace):
    def owned(self, h: Any) -> bool:
        return h is self.start_cotangent


def _uncopied(right: Right) -> Right:
    """Do not copy a cotangent of the right dtype."""

    def cotangent(value: Value, gradient: Any) -> Any:
        made = right(value, gradient)
        return gradient if isinstance(gradient, np.ndarray) and gradient.dtype == value.dtype else made

    return cotangent


class _Frozen(Pass):
    """Every Value gets a gradient."""

    def wants(self, operand: Any) -> bool:
        return isinstance(operand, Value)


def _first_operand_alone(right: Right) -> Right:
    """Off the fast path, a result requires a gradient only if its first operand does."""

    def result(rule: Any, operands: Any, options: Any, y: Any) -> Value:
        value: Value = right(rule, operands, options, y)
        first = operands[0]
        return value if isinstance(first, Value) and first.requires_grad else constant(value.data)

    return result


def _last_of_each(right: Right) -> Right:
    """Of several cotangents for one root use the last."""
    return lambda roots, **options: right(list({root._id: (root, g) for root, g in roots}.values()), **options)


def _graph_released(right: Right) -> Right:
    def passed(roots: Any, **options: Any) -> Gradients:
        gradients: Gradients = right(roots, **options)
        for node, _ in gradients:
            node._operands = ()
        return gradients

    return passed


# Recorded passes.


def _constant_result(right: Right) -> Right:
    def arguments(node: Value, *, create_graph: bool) -> Any:
        y, values, options = right(node, create_graph=create_graph)
        return plain(y), values, options

    return arguments


def _constant_residual(right: Right) -> Right:
    def arguments(node: Value, *, create_graph: bool) -> Any:
        y, values, options = right(node, create_graph=create_graph)
        return y, values, node._options if "residual" in options else options

    return arguments


class _ConstantCotangent(Pass):
    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        return super().contributions(node, plain(g))


def _constant_under_no_grad(right: Right) -> Right:
    """With create_graph=True inside no_grad, gradients are constants."""

    def passed(roots: Any, *, create_graph: bool = False, **options: Any) -> Gradients:
        gradients: Gradients = right(roots, create_graph=create_graph, **options)
        lost = create_graph and not current().recording
        return [(node, g.detach()) for node, g in gradients] if lost else gradients

    return passed


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     its plant

    # The order of nodes.
    Fault("b016-breadth-first",            "nodes are visited level by level: later contributions to a node are lost",      "karpathy/micrograd#2",       (),
          backward_pass(_BreadthFirst)),
    Fault("b016-depth-first",              "nodes are visited before some of their uses: later contributions are lost",     "karpathy/micrograd#67",      (),
          backward_pass(_DepthFirst)),
    Fault("b017-engine",                   "nodes that hold equal numbers are treated as one node",                         "rsokl/MyGrad#276",           (),
          backward_pass(_MergedByNumbers)),
    Fault("b018-engine",                   "a node is visited once for each use, each time with the whole sum so far",      "rsokl/MyGrad@7491986",       (),
          backward_pass(_OncePerUse)),
    Fault("b019-engine",                   "the graph is walked by recursion, which fails at a depth of a thousand",        "karpathy/micrograd#90",      (),
          function(pass_back, _by_recursion)),
    Fault("pass-order-under-enable-grad",  "nodes made inside enable_grad come before their operands in the order",         "ours",                       (),
          function(_result, _first_under_enable_grad)),
    Fault("pass-order-by-last-write",      "a write moves a Value to the end of the order, after its uses",                 "ours",                       (),
          setter(Value, "data", _moved_by_writes)),
    Fault("pass-roots-in-order",           "of several roots the first is visited first, not the latest",                   "ours",                       (),
          backward_pass(_RootsInOrder)),

    # Contributions to a node.
    Fault("b021-sin",                      "sin overwrites the gradient so far, instead of adding to it",                   "apache/mxnet#9497",          ("sin",),
          backward_pass(_WrittenOverBySin)),
    Fault("b028-engine",                   "an operand that an op uses twice gets only one contribution",                   "karpathy/micrograd",         (),
          backward_pass(_DuplicateOperandOnce)),
    Fault("b035-engine",                   "of all contributions to a node, only the last one counts",                      "chainer/chainer@c89f957",    (),
          backward_pass(_WrittenOver)),
    Fault("b036-tan",                      "tan has no pullback: its operand gets no gradient",                             "rsokl/MyGrad@c26f3af",       ("tan",),
          attribute(RULES["tan"], "pullbacks", (None,))),
    Fault("pass-third-use-lost",           "the third contribution to a node that is used three times is lost",             "ours",                       (),
          backward_pass(_ThirdUseLost)),
    Fault("pass-broadcast-written",        "contributions are added in place, even into a broadcast view",                  "ours",                       (),
          backward_pass(_BroadcastWritten)),
    Fault("pass-others-written",           "the first contribution is added to in place, though others may share it",       "ours",                       (),
          backward_pass(_OthersWritten)),
    Fault("pass-cotangent-written",        "the user's own cotangent is added to in place",                                 "ours",                       (),
          together(method(Value, "_cotangent", _uncopied), backward_pass(_CotangentWritten))),
    Fault("pass-first-operand",            "a result requires a gradient only if its first operand does",                   "ours",                       (),
          function(_result, _first_operand_alone)),
    Fault("pass-frozen",                   "Values that require no gradient get one",                                       "ours",                       (),
          backward_pass(_Frozen)),
    Fault("pass-roots-twice",              "if a root occurs twice, only its last cotangent counts",                        "ours",                       (),
          function(pass_back, _last_of_each)),
    Fault("pass-graph-spent",              "the pass destroys the graph, and a second pass reaches nothing",                "ours",                       (),
          function(pass_back, _graph_released)),

    # Recorded passes.
    Fault("recorded-result-constant",      "second order: pullbacks get the result as a constant",                          "ours",                       (),
          function(_pullback_arguments, _constant_result)),
    Fault("recorded-cotangent-constant",   "second order: pullbacks get the cotangent as a constant",                       "ours",                       (),
          backward_pass(_ConstantCotangent)),
    Fault("recorded-kept-constant",        "second order: the residual is a constant instead of being recomputed",          "ours",                       (),
          function(_pullback_arguments, _constant_residual)),
    Fault("modes-pass-not-recorded",       "backward(create_graph=True) under no_grad gives constants",                     "ours",                       (),
          function(pass_back, _constant_under_no_grad)),
)
# fmt: on
