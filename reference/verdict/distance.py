"""Distances between arrays: in units in the last place (ULP), and absolute."""

from __future__ import annotations

from typing import Any

import numpy as np

_INTEGERS = {2: np.int16, 4: np.int32, 8: np.int64}


def ulps(a: np.ndarray, b: np.ndarray, *, single: bool = False) -> np.ndarray:
    """Return the distance in representable numbers, elementwise.

    Zeros of both signs are one number. The distance of NaN is 0 from NaN and infinite from any other number. With
    `single`, distances are in steps of single precision, for arrays of either precision.
    """
    if single and a.dtype == np.float64:
        with np.errstate(all="ignore"):
            fine = ulps(a, b)
            return np.where(np.isfinite(fine), fine * 2.0**-29, fine)
    first, second = _ordered(a), _ordered(b)
    distance: np.ndarray = np.abs(first - second).astype(np.float64)
    opposite = np.signbit(a) != np.signbit(b)
    if opposite.any():  # the distance may overflow an integer, but each number's distance from 0 does not
        distance = np.where(opposite, np.abs(first).astype(np.float64) + np.abs(second), distance)
    unknown = np.isnan(a) | np.isnan(b)
    if unknown.any():
        distance = np.where(unknown, np.where(np.isnan(a) & np.isnan(b), 0.0, np.inf), distance)
    return distance


def _ordered(x: np.ndarray) -> np.ndarray:
    """Map floats to integers in the same order: neighbours differ by 1."""
    patterns: np.ndarray = np.ascontiguousarray(x).view(_INTEGERS[x.dtype.itemsize]).astype(np.int64, copy=False)
    lowest = -(2 ** (8 * x.dtype.itemsize - 1))
    return np.where(patterns < 0, lowest - patterns, patterns).reshape(x.shape)


def absolute_difference(a: Any, b: Any) -> np.ndarray:
    """Return the absolute difference in double precision: 0 between equal infinities and between NaNs.

    None stands for zeros.
    """
    a, b = (np.zeros(()) if x is None else np.asarray(x, float) for x in (a, b))
    with np.errstate(all="ignore"):
        return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))


def worst_place(a: np.ndarray, b: np.ndarray, *, single: bool = False) -> tuple[tuple[int, ...], Any, Any]:
    """Return the place of the largest distance, and both numbers there."""
    if a.shape != b.shape or not a.size:
        return (), a, b
    place = np.unravel_index(int(np.argmax(ulps(a, b, single=single))), a.shape)
    return tuple(int(i) for i in place), a[place], b[place]
