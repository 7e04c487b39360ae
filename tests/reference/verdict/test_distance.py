"""Distances: counted in neighbours, symmetric, and 0 between equals alone."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reference.verdict import ulps
from reference.verdict.distance import apart, worst_place

floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(floats, floats)
def test_distance_is_symmetric_and_zero_only_between_equals(a: float, b: float) -> None:
    """The distance is that of b to a, and 0 for equal numbers and for two NaNs alone."""
    x, y = np.array([a]), np.array([b])
    assert ulps(x, y) == ulps(y, x)
    same = a == b or (math.isnan(a) and math.isnan(b))
    assert (ulps(x, y)[0] == 0) == same


@given(hnp.arrays(np.float64, 3, elements=st.floats(-1e300, 1e300)), st.integers(1, 50))
def test_distance_counts_neighbours(x: np.ndarray, n: int) -> None:
    """Stepping to the next number n times gives a distance of n, across zero as well."""
    y = x.copy()
    for _ in range(n):
        y = np.nextafter(y, np.inf)
    crossing = (x < 0) & (y >= 0)  # the two zeros are two steps here, and one number there
    assert (np.abs(ulps(x, y) - n) <= crossing).all()


def test_distance_is_that_of_single_precision_where_asked() -> None:
    """A step of single precision is one, also between numbers held in double precision."""
    x = np.array([1.0, 3.0], np.float32)
    y = np.nextafter(x, np.float32(9))
    assert ulps(x, y).tolist() == [1.0, 1.0]
    assert ulps(x.astype(float), y.astype(float), single=True).tolist() == [1.0, 1.0]
    assert ulps(x.astype(float), y.astype(float)).tolist() == [2.0**29, 2.0**29]


def test_the_absolute_difference_is_0_between_what_is_alike() -> None:
    """Infinities of one sign and NaNs are not apart; a missing array stands for zeros."""
    a, b = np.array([np.inf, np.nan, 1.0]), np.array([np.inf, np.nan, -1.0])
    assert apart(a, b).tolist() == [0.0, 0.0, 2.0]
    assert apart(None, np.array([3.0])).tolist() == [3.0]


def test_the_worst_place_is_the_furthest_in_ulp() -> None:
    """A small number off by its half is worse than a large one off by more."""
    a, b = np.array([1e-9, 100.0]), np.array([1.5e-9, 100.1])
    assert worst_place(a, b) == ((0,), 1e-9, 1.5e-9)
