"""A check that a peer computes the same thing as the base, before any step is timed.

It does not judge rounding (`reference` does): another function differs in the first digits, and another precision has
another dtype.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def difference(numbers: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> str:
    """Describe the first difference between the numbers and those expected; empty if there is none.

    Half of the digits of the dtype must agree, relative to the largest number of each array.
    """
    if len(numbers) != len(expected):
        return f"gives {len(numbers)} arrays, not {len(expected)}"
    found = (_difference(i, a, b) for i, (a, b) in enumerate(zip(numbers, expected, strict=True)))
    return next(filter(None, found), "")


def _difference(i: int, a: np.ndarray, b: np.ndarray) -> str:
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return f"array {i} is {a.dtype} {a.shape}, not {b.dtype} {b.shape}"
    if not a.size:
        return ""
    error, largest = float(np.abs(a - b).max()), float(np.abs(b).max())
    if error <= largest * float(np.finfo(b.dtype).eps) ** 0.5:
        return ""
    return f"array {i} is {error:.2g} off, where the largest number is {largest:.2g}"
