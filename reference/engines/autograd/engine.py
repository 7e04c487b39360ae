"""HIPS autograd behind the engine protocol."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from autograd import numpy as anp
from autograd.core import VJPNode, add_outgrads
from autograd.tracer import isbox, new_box, toposort, trace_stack

from reference.engines.autograd.ops import CONVENTIONS, KNOWN, LINES, WITHOUT
from reference.engines.functional import Function, FunctionalReference
from reference.engines.lookup import all_functions
from reference.engines.protocol import Abilities


class AutogradEngine(FunctionalReference):
    """Vector-Jacobian products of functions of `autograd.numpy`."""

    abilities = Abilities(second_order=True)
    conventions = CONVENTIONS
    known = KNOWN

    def __init__(self) -> None:
        super().__init__(f"autograd {version('autograd')}", all_functions(LINES, [anp], WITHOUT))

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process it travels by its name: what autograd knows of a function, it knows of that object."""
        return AutogradEngine, ()

    def vjp(self, function: Function, arrays: Sequence[Any], cotangent: Any) -> Sequence[Any]:
        """Differentiate towards all arrays in one backward pass.

        Autograd's own `make_vjp` does it for one array, or for a tuple of them, where it fails in second derivatives.
        """
        with trace_stack.new_trace() as trace:
            roots = [VJPNode.new_root() for _ in arrays]
            boxes = [new_box(x, trace, root) for x, root in zip(arrays, roots, strict=True)]
            end = function(*boxes)
        if not isbox(end) or end._trace != trace:  # noqa: SLF001 - how autograd tells what it has traced
            return [None] * len(roots)
        gathered = {end._node: (cotangent, False)}  # noqa: SLF001 - as above
        for node in toposort(end._node):  # noqa: SLF001 - as above
            if node in roots:
                continue
            gradient, _ = gathered.pop(node)
            for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
                gathered[parent] = add_outgrads(gathered.get(parent), part)
        return [self._like(gathered.get(root), x) for root, x in zip(roots, arrays, strict=True)]

    def _like(self, gathered: Any, x: Any) -> Any:
        """A gradient in its array's dtype: autograd often gives doubles for singles."""
        if gathered is None:
            return None
        gradient, _ = gathered
        return gradient if gradient.dtype == x.dtype else gradient.astype(x.dtype)
