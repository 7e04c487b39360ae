"""Running averages, as optimizers keep them. They begin as 0."""

from __future__ import annotations

from typing import Any

from ndgrad.optim.optimizer import Array


def lerp(a: Any, b: Array, weight: float) -> Any:
    """Go from `a` towards `b`, by that part of the way; seen from the nearer end, as in PyTorch's `lerp`."""
    return a + weight * (b - a) if weight < 1 - weight else b - (b - a) * (1 - weight)
