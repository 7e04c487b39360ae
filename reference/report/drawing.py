"""The picture of a Value's making, with PyTorch's gradient noted in each box.

It turns the graph of a Value into a program, which PyTorch runs as it runs any. How to draw, `ndgrad.graph` knows.
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
    """Draw what `ndgrad.draw_dot` draws, and note in each box PyTorch's gradient and how far ndgrad's is from it.

    PyTorch's is that of one pass back from `root`, whose cotangent is ones.

    Args:
        root: the Value whose making is drawn.
        format: as in `ndgrad.draw_dot`, and so are the others.
        rankdir: where the graph grows.
        fold: whether a large graph is folded.

    Raises:
        TypeError: `root` is no Value.
        ValueError: nothing that `root` was made of wants a gradient, or PyTorch refuses what was computed.
    """
    return drawing.draw_dot(root, format, rankdir, notes=notes(root), fold=fold)


def notes(root: Value) -> dict[Value, str]:
    """Give a note for each node that a gradient reaches in PyTorch: what it is, and how far ndgrad's is from it."""
    program, nodes = _program(root)
    if not program.leaves or not program.steps:
        raise ValueError("there is no gradient to ask PyTorch for: no op was recorded on a Value that wants one")
    outcome = TorchEngine().run(program, inner=True)
    if outcome.error is not None:
        raise ValueError(f"PyTorch refuses what was computed: {outcome.error}") from outcome.error
    leaves = [node for node, o in zip(nodes, program.operands, strict=False) if o.kind == LEAF]
    found = [
        *zip(leaves, outcome.gradients, strict=True),
        *zip(nodes[len(program.operands) :], outcome.inner, strict=True),
    ]
    return {node: _note(node, gradient) for node, gradient in found if gradient is not None}


def _note(node: Value, gradient: np.ndarray) -> str:
    said = f"PyTorch {_first(gradient)}"
    if not node.has_grad:
        return said
    mine = node.grad.data if isinstance(node.grad, Value) else node.grad
    worst = float(ulps(np.asarray(mine), gradient, single=gradient.dtype == np.float32).max(initial=0.0))
    return f"{said}\n{f'{worst:.3g} ULP apart' if worst else 'the same to the bit'}"


def _first(gradient: np.ndarray) -> str:
    """A number, or the first of several."""
    if gradient.ndim:
        return f"[{gradient.flat[0]:.4g}{', …' * (gradient.size > 1)}]" if gradient.size else "[]"
    return f"{gradient:.4f}" if gradient == 0 or 1e-3 <= abs(gradient) < 1e6 else f"{gradient:.4g}"  # noqa: PLR2004 - as in ndgrad's boxes


# From a graph to a program.


def _program(root: Value) -> tuple[Program, list[Value]]:
    """The program that made a Value, and the nodes that its operands and steps are, in order."""
    nodes, _ = trace(root)
    starts = [node for node in nodes if not node._op]  # noqa: SLF001 - a graph is read by it
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
    """The kinds of a node's constants, which its `_prev` shows as Values: Python's numbers are weak, arrays are not."""
    pairs = zip(node._prev, node._operands, strict=True)  # noqa: SLF001 - as above
    return [(shown, NUMBER if isinstance(given, (int, float)) else ARRAY) for shown, given in pairs]


def _step(node: Value, inputs: Sequence[int]) -> Step:
    """A node as a step. Its rule has bound the options, and some are no longer as the user wrote them."""
    name, options = node._rule.__name__, dict(node._options)  # type: ignore[union-attr] # noqa: SLF001 - a result has one
    options.pop("residual", None)
    if "dtype" in options:
        options["dtype"] = np.dtype(options["dtype"]).name
    if name == "split":
        name, options = "getitem", {"index": _piece(options, node.ndim)}
    return Step(name, tuple(inputs), options)


def _piece(options: Mapping[str, Any], ndim: int) -> tuple[Any, ...]:
    """What the piece of a `split` selects."""
    return (*[slice(None)] * (options["axis"] % ndim), slice(options["start"], options["stop"]))
