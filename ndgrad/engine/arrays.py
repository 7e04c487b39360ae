"""Conversion to the arrays that Values hold: real numbers only, and no subclass whose meaning would be lost."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from ndgrad.rules.plain import check_plain


def real_array(data: Any, what: str) -> np.ndarray:
    """Convert to an array of real numbers. Errors call the argument `what`."""
    check_plain(data, what)
    array = np.asarray(data)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} must be real numbers, but got {_kind(array)}")
    return array


def new_array(data: Any) -> np.ndarray:
    """Copy data to a C-ordered array for a new Value. Floats keep their dtype; other numbers become float64."""
    array = real_array(data, "data")
    dtype = array.dtype.newbyteorder("=") if array.dtype.kind == "f" else np.float64
    return np.array(array, dtype=dtype, order="C", subok=False)


def constant_array(constant: Any) -> np.ndarray:
    """Convert a constant operand to an array. A Python int may exceed every integer dtype, so it becomes a float."""
    return new_array(float(constant) if constant.__class__ is int else constant)


def _kind(array: np.ndarray) -> str:
    """Describe an array that does not hold real numbers."""
    if array.dtype != object:
        return f"dtype {array.dtype}"
    if any(hasattr(x, "__apply_rule__") for x in array.flat):
        return "Values in an array of objects: ndgrad.stack joins them"
    return next((describe(x) for x in array.flat if not isinstance(x, (int, float, np.number))), "dtype object")


def describe(x: Any) -> str:
    """Describe an object that is not a real number."""
    return "None" if x is None else f"{reprlib.repr(x)} of type {type(x).__name__}"
