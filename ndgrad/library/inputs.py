"""What networks and losses are given: Values, arrays, and numbers or Values in lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.engine import Value
from ndgrad.rules import RULES


def array_of(x: Any, dtype: np.dtype[Any]) -> Any:
    """Give an input: Values and arrays of floats as they are, Values in lists stacked, the rest as `dtype`."""
    if isinstance(x, Value) or (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        return x
    if holds_values(x):
        return RULES["stack"]([array_of(inner, dtype) for inner in x])
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"an input must be real numbers, but got dtype {array.dtype}")
    return array.astype(dtype)


def holds_values(x: Any) -> bool:
    """Whether it is a Value, or a list or tuple with one in it."""
    return isinstance(x, Value) or (isinstance(x, (list, tuple)) and any(map(holds_values, x)))
