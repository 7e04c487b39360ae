"""The check before timing: it detects peers that compute other numbers."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.agreement import difference

NUMBERS = [np.array(2.5), np.array([1.0, -1e-9, 300.0])]


def test_the_same_numbers_agree() -> None:
    """Numbers that differ only in their last digits agree."""
    assert difference([x * (1 + 1e-13) for x in NUMBERS], NUMBERS) == ""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (NUMBERS[:1], "gives 1 arrays, not 2"),
        ([NUMBERS[0], NUMBERS[1][None]], "array 1 is float64 (1, 3), not float64 (3,)"),
        ([NUMBERS[0].astype("f4"), NUMBERS[1]], "array 0 is float32 (), not float64 ()"),
        ([NUMBERS[0], NUMBERS[1] * (1 + 1e-7)], "array 1 is 3e-05 off, where the largest number is 3e+02"),
        ([NUMBERS[0], NUMBERS[1] * np.nan], "array 1 is nan off, where the largest number is 3e+02"),
        ([-NUMBERS[0], NUMBERS[1]], "array 0 is 5 off, where the largest number is 2.5"),
    ],
)
def test_other_numbers_do_not(wrong: list[np.ndarray], says: str) -> None:
    """Another shape, dtype, sign or number of arrays, NaN, and a factor of 1.0000001 are differences, and described."""
    assert difference(wrong, NUMBERS) == says
