"""Moves of numbers by a rounding or more, which show how far a computation magnifies them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.engines.exact.numbers import Exact, exactly


@dataclass(frozen=True)
class Jitter:
    """Moves each operand as it is used, by a relative amount.

    Args:
        seed: the seed of the random factors between -1 and 1.
        relative: the largest relative move: a float, or an exact number where it is smaller than any.
    """

    seed: int
    relative: Any

    def moves(self) -> Callable[[Exact], Exact]:
        """Return a function that moves one array after the other."""
        rng = np.random.default_rng(self.seed)

        def moved(x: Exact) -> Exact:
            return np.asarray(x * (1 + exactly(rng.uniform(-1, 1, x.shape)) * self.relative))

        return moved


def random_signs(seed: int) -> Callable[[Exact], Exact]:
    """Return a function that multiplies the numbers of one array after the other by 1 or -1."""
    rng = np.random.default_rng(seed)
    return lambda x: np.asarray(x * exactly(rng.choice([-1, 1], x.shape)))
