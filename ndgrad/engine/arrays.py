"""What may become the numbers of a Value: real numbers, and nothing that an array would lose."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from ndgrad.rules.plain import check_plain


def real_array(data: Any, what: str) -> np.ndarray:
    """The array of what somebody calls `what`: real numbers, and nothing that an array would lose."""
    check_plain(data, what)
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} must be real numbers, but got {_kind(array)}")
    return array


def new_array(data: Any) -> np.ndarray:
    """Give the array of a new Value: its own, in C order; floats keep their dtype, and the rest becomes float64."""
    array = real_array(data, "data")
    dtype = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.float64
    return np.array(array, dtype=dtype, order="C", subok=False)


def constant_array(constant: Any) -> np.ndarray:
    """A constant operand as an array. A Python integer may be too large for any integer dtype, and is a float here."""
    return new_array(float(constant) if constant.__class__ is int else constant)


def _kind(array: np.ndarray) -> str:
    """What an array has in place of real numbers."""
    if array.dtype != object:
        return f"dtype {array.dtype}"
    if any(hasattr(x, "__apply_rule__") for x in array.flat):
        return "Values in an array of objects: ndgrad.stack joins them"
    return next((describe(x) for x in array.flat if not isinstance(x, (int, float, np.number))), "dtype object")


def describe(x: Any) -> str:
    """Say what something is that is no real number."""
    return "None" if x is None else f"{reprlib.repr(x)} of type {type(x).__name__}"
