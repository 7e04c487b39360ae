"""Running averages of optimizers, which start at 0."""

from __future__ import annotations

from typing import Any

from ndgrad.optim.optimizer import Array


def lerp(a: Any, b: Array, weight: float) -> Any:
    """Interpolate from `a` to `b`, starting from the nearer end, as PyTorch's `lerp` does."""
    return a + weight * (b - a) if weight < 1 - weight else b - (b - a) * (1 - weight)
