"""The backward pass: it carries cotangents from results to the leaves, latest node first.

It knows the graph, and calls the pullbacks of the rules, one node at a time. It does not know what a pullback computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from heapq import heappop, heappush
from sys import getrefcount
from typing import Any

import numpy as np

from ndgrad.engine.arrays import real_array
from ndgrad.engine.clock import lock, writes
from ndgrad.engine.staleness import unreadable_where_changed
from ndgrad.engine.value import Gradients, Value, constant, plain
from ndgrad.memory import HEAP, keep_heap
from ndgrad.modes import enable_grad
from ndgrad.rules.rule import Options

_ndarray = np.ndarray


def _references_of_one_alone() -> int:
    """Count the references to an array that only a pair and a variable hold. Versions of Python count differently."""
    for _, grad in [(None, np.empty(1))]:
        return getrefcount(grad)
    return 0


# A pair, a variable and an argument. A debugger adds references while it looks on: the larger count would be wrong
# later.
_ALONE = min(_references_of_one_alone(), 3)


def backward(values: Iterable[Any], gradients: Iterable[Any] | None = None, *, create_graph: bool = False) -> None:
    """Compute gradients from several Values at once: those of the sum of all Values, each times its cotangent.

    A single pass does the work of one call of `Value.backward` for each. A second derivative times vectors is
    `ndgrad.backward([p.grad for p in params], vectors)` after `loss.backward(create_graph=True)` and `zero_grad()`.

    Args:
        values: the Values to start from, in any order; one may depend on another. Arrays and constants add nothing.
        gradients: a cotangent for each value: an array of its shape, or None for ones. By default, ones for all.
        create_graph: whether the gradients are Values that are recorded and can be differentiated again.

    Raises:
        RuntimeError: no value requires a gradient; or data that a pullback reads was changed since.
        TypeError: an entry is neither a Value nor an array.
        ValueError: the number of cotangents differs from that of the values, or one has another shape than its value.
    """
    starts = [x if x.__class__ is Value else constant(real_array(x, "a value")) for x in _to_list(values, "Values")]
    given = [None] * len(starts) if gradients is None else _to_list(gradients, "cotangents")
    if len(starts) != len(given):
        raise ValueError(f"backward() got {_count_of(given, 'cotangent')} for {_count_of(starts, 'value')}")
    roots = [(x, x._cotangent(g if create_graph else plain(g))) for x, g in zip(starts, given, strict=True)]
    roots = [(x, cotangent) for x, cotangent in roots if x.requires_grad]
    if not roots:
        constants = ", ".join(x._description() for x in starts) or "an empty sequence"
        raise RuntimeError(f"backward() on constants: none of these requires a gradient: {constants}")
    accumulate(roots, create_graph=create_graph)


def _to_list(things: Any, what: str) -> list[Any]:
    if isinstance(things, Value) or not isinstance(things, Iterable):
        raise TypeError(f"backward() takes a sequence of {what}, but got a {type(things).__name__}")
    return list(things)


def _count_of(things: list[Any], what: str) -> str:
    return f"{len(things)} {what}{'s' * (len(things) != 1)}"


def accumulate(roots: Gradients, *, create_graph: bool) -> None:
    """Run a backward pass, and store the gradients: leaves accumulate them, inner nodes replace theirs.

    Threads store one at a time. If two read the gradient of a leaf before either writes it, one addition would be lost.
    """
    gradients = pass_back(roots, create_graph=create_graph)
    with lock:
        with enable_grad() if create_graph else nullcontext():
            leaves = []
            for value, grad in gradients:
                if value._rule is None:
                    alone = getrefcount(grad) == _ALONE  # on a separate line: other arguments of a call would count
                    leaves.append((value, value._accumulated(grad, alone=alone)))
        for value, grad in gradients:
            value._grad = grad
        for value, grad in leaves:
            value._grad = grad


Value._accumulate = staticmethod(accumulate)  # type: ignore[method-assign]


def pass_back(
    roots: Iterable[tuple[Value, Any]], *, create_graph: bool = False, targets: Iterable[Value] | None = None
) -> Gradients:
    """Carry cotangents from `roots` back through the graph. No Value is changed.

    Nodes are visited latest first. A node is older than any result computed from it, so its cotangent is complete when
    it is visited: the order of creation is a topological order, and no search for one is needed.

    Args:
        roots: pairs of a Value that requires a gradient and its cotangent, an array or a Value of its shape and dtype.
        create_graph: whether to compute with Values, so that the gradients are recorded.
        targets: the nodes to stop at; by default, leaves.

    Returns:
        Pairs of a node and its gradient. Under `lean()` inner nodes are left out.
    """
    stops = frozenset(target._id for target in targets or ())
    with_inner = False
    waiting: list[int] = []  # a heap of negative ids: the latest node first
    arrived: dict[int, tuple[Value, Any]] = {}  # the waiting nodes, each with its cotangent so far
    own: set[int] = set()  # ids whose cotangent is an array that only this pass uses, so it can be added to in place
    gradients: Gradients = []
    latest_write = writes.latest
    with np.errstate(all="ignore"), enable_grad() if create_graph else nullcontext():
        for root, cotangent in roots:
            if create_graph and cotangent.__class__ is not Value:
                cotangent = constant(cotangent)  # noqa: PLW2901
            key = root._id
            if key in arrived:
                cotangent = arrived[key][1] + cotangent  # noqa: PLW2901
            else:
                waiting.append(-key)
            arrived[key] = (root, cotangent)
            if not hasattr(root, "_trace"):
                with_inner = True  # under lean() inner gradients are dropped as soon as they are used
        waiting.sort()
        while waiting:
            key = -heappop(waiting)
            pair = arrived.pop(key)
            node, g = pair
            rule = node._rule
            if rule is None or (stops and node._id in stops):
                gradients.append(pair)
                continue
            if with_inner:
                gradients.append(pair)
            operands = node._operands
            options = node._options
            readable = not (create_graph or key <= latest_write)
            contributions = []
            if readable and len(operands) == 2 and not options:  # noqa: PLR2004 - most nodes: the last branch, unrolled
                a, b = operands
                to_a, to_b = rule.pullbacks
                p = a._array if a.__class__ is Value else a
                q = b._array if b.__class__ is Value else b
                if p is not a and a.requires_grad and to_a is not None:
                    contributions.append((a, to_a(g, node._array, p, q)))
                if q is not b and b.requires_grad and to_b is not None:
                    contributions.append((b, to_b(g, node._array, p, q)))
            elif readable and len(operands) == 1 and not rule.variadic:
                a = operands[0]
                to_a = rule.pullbacks[0]
                if a.requires_grad and to_a is not None:
                    contributions.append((a, to_a(g, node._array, a._array, **options)))
            else:
                y, values, options = _pullback_arguments(node, create_graph=create_graph)
                for operand, pullback in zip(operands, rule.each_pullback(len(operands)), strict=True):
                    if operand.__class__ is Value and operand.requires_grad and pullback is not None:
                        contributions.append((operand, pullback(g, y, *values, **options)))
            for contribution in contributions:
                pair = contribution
                operand, h = pair
                data = operand._array
                if h.shape != data.shape:
                    h = _unbroadcast(h, operand, node)
                    pair = (operand, h)
                if h.dtype is not data.dtype:
                    h = _in_dtype(h, data.dtype)
                    pair = (operand, h)
                key = operand._id
                present = arrived.get(key)
                if present is None:
                    arrived[key] = pair
                    heappush(waiting, -key)
                elif key in own:
                    total = present[1]
                    total += h
                else:
                    arrived[key] = (operand, present[1] + h)
                    if not create_graph and data.ndim:
                        own.add(key)
    middle = gradients[len(gradients) // 2][0] if gradients else node
    nbytes = len(gradients) * max(middle._array.nbytes, node._array.nbytes)
    if nbytes >= HEAP:
        keep_heap(nbytes, (plain(x) for pair in gradients[:: len(gradients) // 64 + 1] for x in pair))
    return gradients


def _in_dtype(h: Any, dtype: np.dtype[Any]) -> Any:
    """Cast the cotangent of an operand that has another dtype than the other operands."""
    return h.astype(dtype)


def _pullback_arguments(node: Value, *, create_graph: bool) -> tuple[Any, list[Any], Options]:
    """Return the arguments of a node's pullbacks: its result, its operands, and its options.

    With `create_graph` these are Values, and so is the residual: it is recomputed, and thereby recorded. Arrays that
    have changed since the node was created are replaced by placeholders that cannot be read.
    """
    y, *values = [x if create_graph else plain(x) for x in (node, *node._operands)]
    options = node._options
    if node._id <= writes.latest:
        y, *values = unreadable_where_changed(node, [y, *values])
    if create_graph and node._rule is not None and node._rule.residual is not None:
        options = {name: option for name, option in options.items() if name != "residual"}
        options["residual"] = node._rule.residual(y, *values, **options)
    return y, values, options


def _unbroadcast(g: Any, operand: Value, node: Value) -> Any:
    """Sum a cotangent over the axes along which its operand was broadcast."""
    shape = operand.shape
    extra = g.ndim - len(shape)
    if extra > 0 and g.shape[extra:] == shape:
        return np.add.reduce(g, axis=tuple(range(extra)))
    padded = (1,) * extra + shape
    if extra < 0 or any(m not in (1, n) for n, m in zip(g.shape, padded, strict=True)):
        raise RuntimeError(
            f"the pullback of {node._rule.__name__ if node._rule else '?'} to operand "
            f"{[o is operand for o in node._operands].index(True)} gave shape {g.shape}, "
            f"which the operand's shape {shape} does not broadcast to"
        )
    axes = tuple(i for i, m in enumerate(padded) if i < extra or (m == 1 and g.shape[i] != 1))
    return np.add.reduce(g, axis=axes, keepdims=True).reshape(shape)
