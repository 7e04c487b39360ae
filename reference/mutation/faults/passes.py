"""Faults of the backward pass: the order of nodes, what arrives at one, and what becomes of it in the end.

It knows the steps of the pass. Which programs and sessions show a fault, it does not know.
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
from reference.mutation.stepwise import Pass, passing

Right = Callable[..., Any]

# The order of nodes.


class _Unordered(Pass):
    """Nodes are taken in some other order, and what comes late to one is lost."""

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
        """Leave them in the order in which they were given."""


class _TakenForOne(Pass):
    """Whoever holds the same numbers is the same node."""

    def key(self, operand: Value) -> int:
        alike = (k for k, (node, _) in self.arrived.items() if np.array_equal(node.data, operand.data))
        return next(alike, super().key(operand))


class _OncePerUse(Pass):
    def take(self) -> tuple[Value, Any]:
        return self.arrived[self.pop()]

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        if self.key(operand) in self.arrived:
            self.push(self.key(operand))
        super().arrive(node, operand, h)


def _by_recursion(right: Right) -> Right:
    """A walk over the whole graph before the pass, in which a function calls itself for each operand."""

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
    """What is made inside an inner `enable_grad` has an id before all others."""

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


# What arrives at a node.


class _WrittenOver(Pass):
    """What arrives takes the place of what has arrived, if `alone(node)` says so."""

    def alone(self, node: Value) -> bool:
        del node
        return True

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        key = self.key(operand)
        if key in self.arrived and self.alone(node):
            self.arrived[key] = (operand, h)
        else:
            super().arrive(node, operand, h)


class _WrittenOverBySin(_WrittenOver):
    def alone(self, node: Value) -> bool:
        return node._rule is not None and node._rule.__name__ == "sin"


class _MetOnce(Pass):
    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        first = reversed(list(super().contributions(node, g)))
        return list({id(operand): (operand, h) for operand, h in first}.values())


class _ThirdUseLost(Pass):
    def __init__(self, create_graph: bool) -> None:  # noqa: FBT001 - it is handed over
        super().__init__(create_graph)
        self.came: dict[int, list[Any]] = {}

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        self.came.setdefault(operand._id, []).append(h)
        super().arrive(node, operand, h)

    def take(self) -> tuple[Value, Any]:
        node, g = super().take()
        came = self.came.get(node._id, [])
        return (node, came[0] + came[1]) if len(came) == 3 else (node, g)


class _AddedInPlace(Pass):
    """What arrives first is added to in place if `owned(h)` says so, whoever else has it."""

    taken: Any  # the cotangent of the node whose turn it is
    given: Any  # that which the pass began with

    def start(self, root: Value, cotangent: Any) -> None:
        self.given = cotangent
        super().start(root, cotangent)

    def take(self) -> tuple[Value, Any]:
        node, self.taken = super().take()
        return node, self.taken

    def owned(self, h: Any) -> bool:
        raise NotImplementedError

    def arrive(self, node: Value, operand: Value, h: Any) -> None:
        if self.key(operand) not in self.arrived and not self.create_graph and operand.ndim and self.owned(h):
            self.own.add(self.key(operand))
        super().arrive(node, operand, h)


class _BroadcastWritten(_AddedInPlace):
    def owned(self, h: Any) -> bool:
        return h is not self.taken


class _OthersWritten(_AddedInPlace):
    def owned(self, h: Any) -> bool:
        return bool(h.flags.writeable)


class _CotangentWritten(_AddedInPlace):
    def owned(self, h: Any) -> bool:
        return h is self.given


def _uncopied(right: Right) -> Right:
    """A cotangent that is of the right dtype is the user's own array."""

    def cotangent(value: Value, gradient: Any) -> Any:
        made = right(value, gradient)
        return gradient if isinstance(gradient, np.ndarray) and gradient.dtype == value.dtype else made

    return cotangent


class _Frozen(Pass):
    """Whatever is a Value gets a gradient."""

    def wants(self, operand: Any) -> bool:
        return isinstance(operand, Value)


def _first_operand_alone(right: Right) -> Right:
    """A result wants a gradient if its first operand does, where results are not made on the fast path."""

    def result(rule: Any, operands: Any, options: Any, y: Any) -> Value:
        value: Value = right(rule, operands, options, y)
        first = operands[0]
        return value if isinstance(first, Value) and first.requires_grad else constant(value.data)

    return result


def _last_of_each(right: Right) -> Right:
    """Of the cotangents for one root, the last."""
    return lambda roots, **options: right(list({root._id: (root, g) for root, g in roots}.values()), **options)


def _taken_apart(right: Right) -> Right:
    def passed(roots: Any, **options: Any) -> Gradients:
        gradients: Gradients = right(roots, **options)
        for node, _ in gradients:
            node._operands = ()
        return gradients

    return passed


# Recorded.


def _constant_result(right: Right) -> Right:
    def given(node: Value, *, create_graph: bool) -> Any:
        y, values, options = right(node, create_graph=create_graph)
        return plain(y), values, options

    return given


def _constant_kept(right: Right) -> Right:
    def given(node: Value, *, create_graph: bool) -> Any:
        y, values, options = right(node, create_graph=create_graph)
        return y, values, node._options if "residual" in options else options

    return given


class _ConstantCotangent(Pass):
    def contributions(self, node: Value, g: Any) -> Iterable[tuple[Value, Any]]:
        return super().contributions(node, plain(g))


def _constant_under_no_grad(right: Right) -> Right:
    """The gradients of a pass that is to be recorded are constants where nothing is recorded."""

    def passed(roots: Any, *, create_graph: bool = False, **options: Any) -> Gradients:
        gradients: Gradients = right(roots, create_graph=create_graph, **options)
        lost = create_graph and not current().recording
        return [(node, g.detach()) for node, g in gradients] if lost else gradients

    return passed


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     how it is planted

    # The order of nodes.
    Fault("b016-breadth-first",            "nodes are taken level by level: what arrives later at one is lost",             "karpathy/micrograd#2",       (),
          passing(_BreadthFirst)),
    Fault("b016-depth-first",              "nodes are taken before all that was made of them: the rest is lost",            "karpathy/micrograd#67",      (),
          passing(_DepthFirst)),
    Fault("b017-engine",                   "nodes that hold the same numbers are taken for one",                            "rsokl/MyGrad#276",           (),
          passing(_TakenForOne)),
    Fault("b018-engine",                   "a node is passed once for each use of it, with all that has arrived",           "rsokl/MyGrad@7491986",       (),
          passing(_OncePerUse)),
    Fault("b019-engine",                   "the graph is walked by recursion, which ends at a depth of a thousand",         "karpathy/micrograd#90",      (),
          function(pass_back, _by_recursion)),
    Fault("pass-order-under-enable-grad",  "nodes made inside enable_grad stand before their operands in the order",        "ours",                       (),
          function(_result, _first_under_enable_grad)),
    Fault("pass-order-by-last-write",      "a write moves a Value to the end of the order, after what was made of it",      "ours",                       (),
          setter(Value, "data", _moved_by_writes)),
    Fault("pass-roots-in-order",           "of several values the first is taken first, and not the latest",                "ours",                       (),
          passing(_RootsInOrder)),

    # What arrives at a node.
    Fault("b021-sin",                      "sin writes its gradient over what has arrived, where it should add",            "apache/mxnet#9497",          ("sin",),
          passing(_WrittenOverBySin)),
    Fault("b028-engine",                   "an operand that is met twice by one op is passed to but once",                  "karpathy/micrograd",         (),
          passing(_MetOnce)),
    Fault("b035-engine",                   "of all that was made of a node, one alone counts",                              "chainer/chainer@c89f957",    (),
          passing(_WrittenOver)),
    Fault("b036-tan",                      "tan has no way back: what would reach its operand is left out",                 "rsokl/MyGrad@c26f3af",       ("tan",),
          attribute(RULES["tan"], "pullbacks", (None,))),
    Fault("pass-third-use-lost",           "of a node that is used three times, the third use is lost",                     "ours",                       (),
          passing(_ThirdUseLost)),
    Fault("pass-broadcast-written",        "what an op gives is added to in place, be it a broadcast view",                 "ours",                       (),
          passing(_BroadcastWritten)),
    Fault("pass-others-written",           "what arrives first is added to in place, though others may have it, too",       "ours",                       (),
          passing(_OthersWritten)),
    Fault("pass-cotangent-written",        "the user's own cotangent is added to in place",                                 "ours",                       (),
          together(method(Value, "_cotangent", _uncopied), passing(_CotangentWritten))),
    Fault("pass-first-operand",            "a result wants a gradient if its first operand does",                           "ours",                       (),
          function(_result, _first_operand_alone)),
    Fault("pass-frozen",                   "a gradient arrives at Values that want none",                                   "ours",                       (),
          passing(_Frozen)),
    Fault("pass-roots-twice",              "of a value that is passed back from twice at once, the last cotangent counts",  "ours",                       (),
          function(pass_back, _last_of_each)),
    Fault("pass-graph-spent",              "the pass takes the graph apart, and a second one reaches nothing",              "ours",                       (),
          function(pass_back, _taken_apart)),

    # Recorded.
    Fault("recorded-result-constant",      "second order: pullbacks are given the result as a constant",                    "ours",                       (),
          function(_pullback_arguments, _constant_result)),
    Fault("recorded-cotangent-constant",   "second order: pullbacks are given the cotangent as a constant",                 "ours",                       (),
          passing(_ConstantCotangent)),
    Fault("recorded-kept-constant",        "second order: what the forward kept is not recomputed, and has no slope",       "ours",                       (),
          function(_pullback_arguments, _constant_kept)),
    Fault("modes-pass-not-recorded",       "backward(create_graph=True) under no_grad gives constants",                     "ours",                       (),
          function(pass_back, _constant_under_no_grad)),
)
# fmt: on
