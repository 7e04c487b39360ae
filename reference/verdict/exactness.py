"""Errors of numbers from exact ones, and the places of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gmpy2
import numpy as np

from reference.verdict.findings import Part

Place = tuple[int, ...]


def error_of(number: Any, exact: Any) -> float:
    """Return the absolute error of a number; infinity if it is not finite."""
    return float(abs(gmpy2.mpfr(float(number)) - exact)) if np.isfinite(number) else math.inf


def spacing(exact: Any, *, single: bool) -> float:
    """Return one unit in the last place, in the precision that counts."""
    number = np.float32 if single else np.float64
    with np.errstate(all="ignore"):  # the neighbour of the largest number is infinity
        return float(np.spacing(number(min(abs(float(exact)), float(np.finfo(number).max)))))


def nearest(exact: Any, like: Any) -> Any:
    """Return the exact number, rounded to the dtype of `like`."""
    with np.errstate(all="ignore"):
        return np.asarray(like).dtype.type(float(exact))


def has(array: Any, place: Place) -> bool:
    """Whether an object is an array with this place."""
    return isinstance(array, np.ndarray) and array.ndim == len(place) and all(map(int.__lt__, place, array.shape))


def by_name(of: Sequence[Part]) -> dict[str, Any]:
    """Return the arrays of parts by name."""
    return {part.name: part.array for part in of}
