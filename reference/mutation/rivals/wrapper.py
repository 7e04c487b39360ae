"""Wraps ndgrad for checkers: a function of arrays, its pullback, and the pullback of the pullback.

This is what a user would write to wrap the engine for another library. It uses the engine's public interface, and
depends on no checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndgrad import Value


@dataclass(frozen=True, eq=False)
class Case:
    """A function to check, with its arguments.

    Args:
        name: its name in reports.
        function: a function of Values.
        arrays: the arguments, one array for each Value, in double precision.
    """

    name: str
    function: Callable[..., Any]
    arrays: tuple[np.ndarray, ...]

    def in_single(self) -> Case:
        """Return the same case in single precision."""
        return Case(self.name, self.function, tuple(a.astype(np.float32) for a in self.arrays))

    def value(self, *arrays: Any) -> np.ndarray:
        """Compute the function."""
        result: np.ndarray = self.function(*map(_leaf, arrays)).data
        return np.array(result)

    def pullback(self, cotangent: Any, *arrays: Any) -> tuple[np.ndarray, ...]:
        """Return the gradient of each array for a cotangent."""
        leaves = [_leaf(a) for a in arrays]
        self.function(*leaves).backward(np.asarray(cotangent))
        return tuple(np.array(leaf.grad) for leaf in leaves)

    def second_pullback(self, cotangents: Any, cotangent: Any, *arrays: Any) -> tuple[np.ndarray, ...]:
        """Return the pullback of `pullback`: from a cotangent for each of its results to its own arguments."""
        leaves = [_leaf(a) for a in (cotangent, *arrays)]
        self.function(*leaves[1:]).backward(leaves[0], create_graph=True)
        slopes = [leaf.grad for leaf in leaves[1:]]
        totals = [np.zeros(leaf.shape, leaf.dtype) for leaf in leaves]
        for slope, c in zip(slopes, cotangents, strict=True):
            if isinstance(slope, Value) and slope.requires_grad:
                for leaf in leaves:
                    leaf.zero_grad()
                slope.backward(np.asarray(c))
                totals = [total + leaf.grad for total, leaf in zip(totals, leaves, strict=True)]
        return tuple(map(np.asarray, totals))


def _leaf(array: Any) -> Value:
    return Value(np.asarray(array))
