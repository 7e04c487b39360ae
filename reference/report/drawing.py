"""Draws the graph of a Value with PyTorch's gradient noted in each box.

The graph is turned into a program, which PyTorch runs. `ndgrad.graph` does the drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.graph import Picture, drawing, trace
from reference.engines.torch import TorchEngine
from reference.programs import ARRAY, LEAF, NUMBER, Operand, Program, Step
from reference.verdict import ulps


def draw_dot(root: Value, format: str = "svg", rankdir: str = "LR", *, fold: bool = True) -> Picture:  # noqa: A002 - as in ndgrad
    """Draw a graph as `ndgrad.draw_dot` does, and note PyTorch's gradient and its distance to ndgrad's in each box.

    PyTorch's gradient is that of one backward pass from `root` with a cotangent of ones.

    Args:
        root: the Value whose graph is drawn.
        format: as in `ndgrad.draw_dot`, like the other parameters.
        rankdir: the direction in which the graph is laid out.
        fold: whether a large graph is folded.

    Raises:
        TypeError: `root` is not a Value.
        ValueError: `root` depends on no Value that requires a gradient, or PyTorch refuses the computation.
    """
    return drawing.draw_dot(root, format, rankdir, notes=notes(root), fold=fold)


def notes(root: Value) -> dict[Value, str]:
    """Return a note for each node that has a gradient in PyTorch: the gradient, and its distance to ndgrad's."""
    program, nodes = _program(root)
    if not program.leaves or not program.steps:
        raise ValueError("PyTorch has no gradient to show: no op was recorded on a Value that requires one")
    outcome = TorchEngine().run(program, inner=True)
    if outcome.error is not None:
        raise ValueError(f"PyTorch refuses the computation: {outcome.error}") from outcome.error
    leaves = [node for node, o in zip(nodes, program.operands, strict=False) if o.kind == LEAF]
    gradients = [
        *zip(leaves, outcome.gradients, strict=True),
        *zip(nodes[len(program.operands) :], outcome.inner, strict=True),
    ]
    return {node: _note(node, gradient) for node, gradient in gradients if gradient is not None}


def _note(node: Value, gradient: np.ndarray) -> str:
    reference_line = f"PyTorch {_first(gradient)}"
    if not node.has_grad:
        return reference_line
    mine = node.grad.data if isinstance(node.grad, Value) else node.grad
    worst = float(ulps(np.asarray(mine), gradient, single=gradient.dtype == np.float32).max(initial=0.0))
    return f"{reference_line}\n{f'{worst:.3g} ULP apart' if worst else 'the same to the bit'}"


def _first(gradient: np.ndarray) -> str:
    """Format a number, or the first of several."""
    if gradient.ndim:
        return f"[{gradient.flat[0]:.4g}{', …' * (gradient.size > 1)}]" if gradient.size else "[]"
    return f"{gradient:.4f}" if gradient == 0 or 1e-3 <= abs(gradient) < 1e6 else f"{gradient:.4g}"  # noqa: PLR2004 - as in ndgrad's boxes


# From a graph to a program.


def _program(root: Value) -> tuple[Program, list[Value]]:
    """Return the program that computed a Value, and the nodes of its operands and steps, in order."""
    nodes, _ = trace(root)
    starts = [node for node in nodes if not node._op]  # noqa: SLF001 - it is needed to read a graph
    results = [node for node in nodes if node._op]  # noqa: SLF001 - as above
    place = {id(node): i for i, node in enumerate([*starts, *results])}
    kinds = {id(shown): kind for node in results for shown, kind in _kinds(node)}
    operands = [
        Operand(f"x{i}", node.data, LEAF if node.requires_grad else kinds.get(id(node), ARRAY))
        for i, node in enumerate(starts)
    ]
    steps = [_step(node, [place[id(operand)] for operand in node._prev]) for node in results]  # noqa: SLF001 - as above
    return Program(tuple(operands), tuple(steps), np.ones(root.shape, root.dtype)), [*starts, *results]


def _kinds(node: Value) -> list[tuple[Value, str]]:
    """Return the kinds of a node's constants, shown as Values in `_prev`: Python numbers are weak, arrays are not."""
    pairs = zip(node._prev, node._operands, strict=True)  # noqa: SLF001 - as above
    return [(shown, NUMBER if isinstance(operand, (int, float)) else ARRAY) for shown, operand in pairs]


def _step(node: Value, inputs: Sequence[int]) -> Step:
    """Turn a node into a step. Its options are those after binding, which differ from the user's for some ops."""
    name, options = node._rule.__name__, dict(node._options)  # type: ignore[union-attr] # noqa: SLF001 - a result has one
    options.pop("residual", None)
    if "dtype" in options:
        options["dtype"] = np.dtype(options["dtype"]).name
    if name == "split":
        name, options = "getitem", {"index": _piece(options, node.ndim)}
    return Step(name, tuple(inputs), options)


def _piece(options: Mapping[str, Any], ndim: int) -> tuple[Any, ...]:
    """Return the index of a piece of `split`."""
    return (*[slice(None)] * (options["axis"] % ndim), slice(options["start"], options["stop"]))
