"""HIPS autograd behind the engine protocol."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from autograd import numpy as anp
from autograd.core import make_vjp

from reference.engines.autograd.ops import CONVENTIONS, KNOWN, LINES, WITHOUT
from reference.engines.functional import Function, FunctionalEngine
from reference.engines.named import all_functions
from reference.engines.protocol import Abilities


class AutogradEngine(FunctionalEngine):
    """Vector-Jacobian products of functions of `autograd.numpy`."""

    abilities = Abilities(second_order=True)
    known = KNOWN
    conventions = CONVENTIONS

    def __init__(self) -> None:
        super().__init__(f"autograd {version('autograd')}", all_functions(LINES, [anp], WITHOUT))

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def vjp(self, function: Function, arrays: Sequence[Any], cotangent: Any) -> Sequence[Any]:
        """Differentiate towards one array after the other: of tuples, autograd fails in second derivatives."""
        return [self._towards(i, function, arrays, cotangent) for i in range(len(arrays))]

    def _towards(self, i: int, function: Function, arrays: Sequence[Any], cotangent: Any) -> Any:
        def of_one(x: Any) -> Any:
            return function(*arrays[:i], x, *arrays[i + 1 :])

        pull, _ = make_vjp(of_one, arrays[i])
        gradient = pull(cotangent)
        return gradient if gradient.dtype == arrays[i].dtype else gradient.astype(arrays[i].dtype)
