"""HIPS autograd as an engine."""

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
        """Pickle by name: autograd's rules belong to function objects, which another process has to import."""
        return AutogradEngine, ()

    def vjp(self, function: Function, arrays: Sequence[Any], cotangent: Any) -> Sequence[Any]:
        """Differentiate with respect to all arrays in one backward pass.

        Autograd's `make_vjp` does so for one array, or for a tuple of arrays, for which second derivatives fail.
        """
        with trace_stack.new_trace() as trace:
            roots = [VJPNode.new_root() for _ in arrays]
            boxes = [new_box(x, trace, root) for x, root in zip(arrays, roots, strict=True)]
            end = function(*boxes)
        if not isbox(end) or end._trace != trace:  # noqa: SLF001 - how autograd itself checks for traced values
            return [None] * len(roots)
        cotangents = {end._node: (cotangent, False)}  # noqa: SLF001 - as above
        for node in toposort(end._node):  # noqa: SLF001 - as above
            if node in roots:
                continue
            gradient, _ = cotangents.pop(node)
            for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
                cotangents[parent] = add_outgrads(cotangents.get(parent), part)
        return [self._like(cotangents.get(root), x) for root, x in zip(roots, arrays, strict=True)]

    def _like(self, entry: Any, x: Any) -> Any:
        """Return a gradient in its array's dtype: autograd often gives doubles for singles."""
        if entry is None:
            return None
        gradient, _ = entry
        return gradient if gradient.dtype == x.dtype else gradient.astype(x.dtype)
