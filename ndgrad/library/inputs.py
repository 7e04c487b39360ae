"""Inputs of networks and losses: Values, arrays, and lists of numbers or Values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.engine import Value
from ndgrad.rules import RULES


def array_of(x: Any, dtype: np.dtype[Any]) -> Any:
    """Convert an input: Values and arrays of floats stay, lists of Values are stacked, the rest is cast to `dtype`."""
    if isinstance(x, Value) or (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        return x
    if holds_values(x):
        return RULES["stack"]([array_of(inner, dtype) for inner in x])
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"an input must be real numbers, but got dtype {array.dtype}")
    return array.astype(dtype)


def holds_values(x: Any) -> bool:
    """Return whether an input is a Value, or a list or tuple that contains one."""
    return isinstance(x, Value) or (isinstance(x, (list, tuple)) and any(map(holds_values, x)))
