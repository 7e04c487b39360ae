"""Promotion of operands to one dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

Tensor = torch.Tensor


def cast(inputs: Sequence[Any], dtype: torch.dtype | None = None) -> list[Tensor]:
    """Cast operands by NumPy's promotion: to the widest floating dtype, also integers, booleans and Python numbers."""
    if dtype is None:
        floats = {x.dtype for x in inputs if isinstance(x, Tensor) and x.is_floating_point()}
        dtype = floats.pop() if len(floats) == 1 else max(floats, key=lambda d: d.itemsize, default=torch.float64)
    return [_as(x, dtype) for x in inputs]


def _as(x: Any, dtype: torch.dtype) -> Tensor:
    if not isinstance(x, Tensor):
        return torch.tensor(x, dtype=dtype)
    return x if x.dtype is dtype else x.to(dtype)
