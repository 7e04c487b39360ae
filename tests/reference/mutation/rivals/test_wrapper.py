"""ndgrad wrapped for checkers: arrays in, arrays out, to second order."""

from __future__ import annotations

import numpy as np

import ndgrad
from reference.mutation.rivals import Case

CUBE = Case("x cubed, times y", lambda x, y: x**3 * y, (np.array([1.0, -2.0]), np.array([0.5, 3.0])))


def test_a_case_computes_and_pulls_back() -> None:
    """A case computes the function's value and the gradient of each array."""
    x, y = CUBE.arrays
    g = np.array([1.0, 10.0])
    towards_x, towards_y = CUBE.pullback(g, x, y)
    np.testing.assert_allclose(CUBE.value(x, y), x**3 * y)
    np.testing.assert_allclose(towards_x, 3 * x**2 * y * g)
    np.testing.assert_allclose(towards_y, x**3 * g)


def test_a_pullback_is_pulled_back_itself() -> None:
    """The second pullback goes from the gradients to the cotangent and each array."""
    x, y = CUBE.arrays
    g, hx, hy = np.array([1.0, 10.0]), np.array([2.0, -1.0]), np.array([0.5, 4.0])
    towards_g, towards_x, towards_y = CUBE.second_pullback([hx, hy], g, x, y)
    np.testing.assert_allclose(towards_g, 3 * x**2 * y * hx + x**3 * hy)
    np.testing.assert_allclose(towards_x, 6 * x * y * g * hx + 3 * x**2 * g * hy)
    np.testing.assert_allclose(towards_y, 3 * x**2 * g * hx)


def test_missing_second_derivatives_are_zeros() -> None:
    """A second derivative that does not exist in the graph is an array of zeros."""
    x, y = np.array([[1.0, 2.0]]), np.array([3.0, 4.0])
    case = Case("a piece of x", lambda x, y: x[0] + 0 * y.detach(), (x, y))
    of_g, of_x, of_y = case.second_pullback([np.ones((1, 2)), np.ones(2)], np.ones(2), x, y)
    np.testing.assert_array_equal(of_g, [1.0, 1.0])
    np.testing.assert_array_equal(of_x, [[0.0, 0.0]])
    np.testing.assert_array_equal(of_y, [0.0, 0.0])


def test_single_precision_is_kept() -> None:
    """A case in single precision has results in single precision only."""
    single = Case("exp", ndgrad.exp, (np.array([0.5, 1.0]),)).in_single()
    (x,) = single.arrays
    y = single.value(x)
    arrays = (x, y, *single.pullback(y, x), *single.second_pullback([x], y, x))
    assert {a.dtype for a in arrays} == {np.dtype("float32")}
