"""Distances are counted in representable numbers, are symmetric, and are 0 only between equal numbers."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reference.verdict import ulps
from reference.verdict.distance import absolute_difference, worst_place

floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(floats, floats)
def test_distance_is_symmetric_and_zero_only_between_equals(a: float, b: float) -> None:
    """The distance is symmetric, and 0 only for equal numbers and for two NaNs."""
    x, y = np.array([a]), np.array([b])
    assert ulps(x, y) == ulps(y, x)
    same = a == b or (math.isnan(a) and math.isnan(b))
    assert (ulps(x, y)[0] == 0) == same


@given(hnp.arrays(np.float64, 3, elements=st.floats(-1e300, 1e300)), st.integers(1, 50))
def test_distance_counts_neighbours(x: np.ndarray, n: int) -> None:
    """The distance to the n-th next number is n, also across zero."""
    y = x.copy()
    for _ in range(n):
        y = np.nextafter(y, np.inf)
    crossing = (x < 0) & (y >= 0)  # nextafter steps through both zeros, which are one number for `ulps`
    assert (np.abs(ulps(x, y) - n) <= crossing).all()


def test_distance_may_be_counted_in_single_precision() -> None:
    """With `single`, a step of single precision counts as one, also between doubles."""
    x = np.array([1.0, 3.0], np.float32)
    y = np.nextafter(x, np.float32(9))
    assert ulps(x, y).tolist() == [1.0, 1.0]
    assert ulps(x.astype(float), y.astype(float), single=True).tolist() == [1.0, 1.0]
    assert ulps(x.astype(float), y.astype(float)).tolist() == [2.0**29, 2.0**29]


def test_the_absolute_difference_of_equal_numbers_is_0() -> None:
    """It is 0 between infinities of one sign and between NaNs; a missing array stands for zeros."""
    a, b = np.array([np.inf, np.nan, 1.0]), np.array([np.inf, np.nan, -1.0])
    assert absolute_difference(a, b).tolist() == [0.0, 0.0, 2.0]
    assert absolute_difference(None, np.array([3.0])).tolist() == [3.0]


def test_the_worst_place_has_the_largest_distance_in_ulp() -> None:
    """A small number with a relative error of 1/2 is worse than a large one with a larger absolute error."""
    a, b = np.array([1e-9, 100.0]), np.array([1.5e-9, 100.1])
    assert worst_place(a, b) == ((0,), 1e-9, 1.5e-9)
