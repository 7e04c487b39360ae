"""Whether a peer computes the same thing: its numbers beside the base's, before any step is timed.

How well numbers are rounded is not the question here (`reference` asks it): whoever computes something else is off in
the first digits, and who computes in another precision has another dtype.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def difference(numbers: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> str:
    """The first way in which the numbers are others than those wanted, in words; empty if there is none.

    Half of the digits of the dtype must be the same, measured against each array's largest number.
    """
    if len(numbers) != len(wanted):
        return f"gives {len(numbers)} arrays, not {len(wanted)}"
    found = (_difference(i, a, b) for i, (a, b) in enumerate(zip(numbers, wanted, strict=True)))
    return next(filter(None, found), "")


def _difference(i: int, a: np.ndarray, b: np.ndarray) -> str:
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return f"array {i} is {a.dtype} {a.shape}, not {b.dtype} {b.shape}"
    if not a.size:
        return ""
    apart, largest = float(np.abs(a - b).max()), float(np.abs(b).max())
    if apart <= largest * float(np.finfo(b.dtype).eps) ** 0.5:
        return ""
    return f"array {i} is {apart:.2g} off, where the largest number is {largest:.2g}"
