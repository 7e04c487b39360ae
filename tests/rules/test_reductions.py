"""Reductions agree with PyTorch, for all ways to give axes, for ties, zeros, and empty or constant operands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch

import ndgrad
from ndgrad.engine import Value
from ndgrad.rules import RULES
from reference.engines.torch import mirror as in_pytorch
from reference.ops import OPS

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Axis: TypeAlias = Any  # includes calls that are errors
Beside: TypeAlias = Callable[..., None]
Dims: TypeAlias = tuple[int, ...]

inf, nan = math.inf, math.nan


REDUCTIONS = [op.name for op in OPS.values() if {"axis", "keepdims"} <= op.inputs.options.keys()]

# fmt: off
# Square and cubic shapes, which hide a wrong axis; shapes of different lengths; axes of length 1.
AXES: list[tuple[Dims, list[Axis]]] = [
    ((4,),         [None, 0, -1, (0,), (-1,)]),
    ((3, 3),       [None, 0, 1, -1, -2, (1,), (0, 1), (1, 0), [-1, 0]]),
    ((2, 3, 4),    [None, 0, 1, 2, -3, -2, (0, 2), (2, 0), (-1, 0), (1, -1), (0, 1), (2, 1, 0), (-3, -2, -1)]),
    ((3, 3, 3),    [1, -2, (0, 1), (2, 0), (1, 2), (-1, 1)]),
    ((1, 3, 1),    [None, 0, 1, -1, (0, 2), (2, 1)]),
    ((2, 1, 3, 2), [(1, 3), (3, 0), (2, 0, 1), (-2, -4)]),
    ((),           [None]),
]
# fmt: on
GRID = [(shape, axis) for shape, axes in AXES for axis in axes]


def mirror(name: str, axis: Axis, *, keepdims: bool = False) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return PyTorch's function for a call of a rule."""
    axes = tuple(axis) if isinstance(axis, list) else axis
    return lambda t: in_pytorch(OPS[name])(t, axis=axes, keepdims=keepdims)


# Axes.


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(("shape", "axis"), GRID)
def test_axes(beside: Beside, name: str, shape: Dims, axis: Axis) -> None:
    """Values and gradients agree with PyTorch for all axes, in any order, with and without `keepdims`."""
    beside(lambda x: RULES[name](x, axis=axis), mirror(name, axis), shape)
    beside(lambda x: RULES[name](x, axis=axis, keepdims=True), mirror(name, axis, keepdims=True), shape)


@pytest.mark.parametrize("axis", [0, -1])
def test_an_axis_of_a_number(beside: Beside, axis: int) -> None:
    """For a 0-d operand, sums and extremes accept the axes 0 and -1, and means and variances do not, as in NumPy."""
    for name in ("sum", "prod", "max", "min"):
        beside(lambda x, name=name: RULES[name](x, axis=axis), mirror(name, axis), ())
    for name in ("mean", "var", "std"):
        with pytest.raises(np.exceptions.AxisError):
            RULES[name](Value(3.0), axis=axis)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "logsumexp"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), ()])
def test_no_axes_reduce_nothing(beside: Beside, name: str, shape: Dims) -> None:
    """With `axis=()` nothing is reduced, forward or backward, as in NumPy."""
    beside(lambda x: RULES[name](x, axis=()), lambda t: t * 1, shape)
    beside(lambda x: RULES[name](x, axis=(), keepdims=True), lambda t: t * 1, shape)


@pytest.mark.parametrize("name", ["var", "std"])
def test_no_axes_have_no_spread(name: str) -> None:
    """With `axis=()` the variance is 0, with slope 0."""
    x = Value([3.0, -7.0])
    y = RULES[name](x, axis=())
    y.backward([2.0, 5.0])
    assert y.data.tolist() == [0.0, 0.0]
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_by_place_and_by_method(name: str) -> None:
    """The axis may be given by position, to the function and to the method, also as a NumPy integer."""
    x = Value([[1.0, 2.0], [3.0, 5.0]])
    wanted = RULES[name](x, axis=1).data.tolist()
    for y in (RULES[name](x, 1), getattr(x, name)(1), getattr(x, name)(axis=np.int64(1)), getattr(x, name)([1])):
        assert y.data.tolist() == wanted


@pytest.mark.parametrize("name", [*REDUCTIONS, "cumsum"])
@pytest.mark.parametrize("axis", [2, -3, 1.0, "0", 2.5])
def test_an_axis_that_is_none_is_refused(name: str, axis: Axis) -> None:
    """An axis that is out of range, or not an integer, raises an error of NumPy's types."""
    with pytest.raises((np.exceptions.AxisError, TypeError)):
        RULES[name](Value([[1.0, 2.0], [3.0, 4.0]]), axis=axis)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [(0, 0), (1, -1), (0, 2), (0, 1.0)])
def test_axes_that_are_none_are_refused(name: str, axis: Axis) -> None:
    """Repeated axes, also by two names, and an axis out of range among valid ones, are errors."""
    with pytest.raises((ValueError, TypeError)):
        RULES[name](Value([[1.0, 2.0], [3.0, 4.0]]), axis=axis)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_float32(beside: Beside, name: str) -> None:
    """Counts and divisors do not promote float32 to float64."""
    x = np.array([[1.5, -2.0, 3.0], [0.25, 4.0, -1.0]], np.float32)
    beside(lambda x: RULES[name](x, axis=1), mirror(name, 1), x)
    beside(RULES[name], mirror(name, None), x)


@pytest.mark.parametrize("name", ["mean", "max", "min"])
def test_float16_of_many(name: str) -> None:
    """Of 70,000 equal numbers in float16, more than it can count, each has its share, without a warning."""
    x = Value(np.full(70_000, 2.0, np.float16))
    y = RULES[name](x)
    y.backward(60_000.0)
    assert y.data == 2.0
    assert set(x.grad.tolist()) == {float(np.float16(6 / 7))}


# Nothing to reduce.


@pytest.mark.parametrize("name", ["sum", "prod", "logsumexp"])
@pytest.mark.parametrize(("shape", "axis"), [((0,), 0), ((2, 0), 1), ((0, 3), 0), ((2, 0), 0), ((0, 2), None)])
def test_of_nothing(beside: Beside, name: str, shape: Dims, axis: Axis) -> None:
    """A sum of nothing is 0, a product is 1, a logsumexp is -inf; the gradient is empty."""
    beside(lambda x: RULES[name](x, axis=axis), mirror(name, axis), np.zeros(shape))


@pytest.mark.parametrize("name", ["mean", "var", "std"])
@pytest.mark.filterwarnings("ignore:.*degrees of freedom.*:UserWarning")  # PyTorch warns, and returns NaN
def test_the_mean_of_nothing(beside: Beside, name: str) -> None:
    """The mean of nothing is NaN for each lane, and the gradient is empty."""
    beside(lambda x: RULES[name](x, axis=0), mirror(name, 0), np.zeros((0, 3)))


@pytest.mark.parametrize("name", ["max", "min"])
def test_nothing_has_no_extreme(name: str) -> None:
    """The maximum of nothing is an error, as in NumPy, unless there are no lanes."""
    with pytest.raises(ValueError, match="zero-size"):
        RULES[name](Value(np.zeros((2, 0))), axis=1)
    assert RULES[name](Value(np.zeros((2, 0))), axis=0).shape == (0,)


# Extremes.


TIES = [
    [[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [3.0, 1.0, 2.0]],  # ties of two, of three, of none
    [[-0.0, 0.0, 0.0], [0.0, -0.0, -1.0], [inf, inf, 1.0]],
    [[-inf, -inf, -inf], [-inf, inf, -inf], [0.0, 0.0, 0.0]],
    [[nan, 1.0, 2.0], [1.0, nan, nan], [1.0, 2.0, 2.0]],
]


@pytest.mark.parametrize("x", TIES)
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("name", ["max", "min"])
def test_ties(beside: Beside, name: str, axis: Axis, x: list[list[float]]) -> None:
    """Ties share the cotangent equally within each lane; a lane with NaN passes nothing on."""
    beside(lambda x: RULES[name](x, axis=axis), mirror(name, axis), x)


def test_ties_share_the_gradient_not_its_square() -> None:
    """Three ties share a cotangent of 6 as 2 each, whatever the other numbers are."""
    x = Value([4.0, 1.0, 4.0, 4.0])
    x.max().backward(6.0)
    assert x.grad.tolist() == [2.0, 0.0, 2.0, 2.0]


# Products.

ZEROS = [
    [[2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]],  # none, one, two, three in a lane
    [[0.0, 2.0, -1.0, 5.0]],
    [[-0.0], [3.0]],
    [[1.0, 0.0], [0.5, 2.0]],
]


@pytest.mark.parametrize("number", [0.0, -2.0])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "logsumexp", "cumsum", "cumprod"])
def test_a_0d_operand_accepts_the_axes_that_numpy_accepts(name: str, axis: int, number: float) -> None:
    """A 0-d operand accepts the axes 0 and -1, as in NumPy, forward and backward, also if the number is 0."""
    x = Value(number)
    y = RULES[name](x, axis=axis)
    y.backward(np.full(y.shape, 3.0))
    assert x.grad.shape == ()
    assert x.grad == 3.0


@pytest.mark.parametrize("x", ZEROS)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_zeros_in_a_product(beside: Beside, axis: Axis, x: list[list[float]]) -> None:
    """A single 0 in a lane has the product of the others as its slope, and does not affect other lanes."""
    beside(lambda x: x.prod(axis=axis), mirror("prod", axis), x)


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (2, 0), (1, 2), (2, 1, 0), None])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 3, 3)])
def test_zeros_in_a_product_over_several_axes(beside: Beside, axis: Axis, shape: Dims) -> None:
    """A reduction over several axes merges lanes, and restores them in the same order."""
    x = np.arange(1.0, 1 + math.prod(shape)).reshape(shape)
    x[0, 1, 2] = x[1, 2, 1] = x[0, 2, 0] = 0
    beside(lambda x: x.prod(axis=axis), mirror("prod", axis), x)


@pytest.mark.parametrize("x", ZEROS)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_zeros_in_a_product_to_second_order(axis: Axis, x: list[list[float]]) -> None:
    """Second derivatives are right as well, with any number of zeros."""
    direction = np.arange(1.0, 1 + np.size(x)).reshape(np.shape(x))
    v = Value(x)
    v.prod(axis=axis).sum().backward(create_graph=True)
    first = v.grad
    v.zero_grad()
    (first * direction).sum().backward()
    t = torch.tensor(x, requires_grad=True, dtype=torch.float64)
    (expected,) = torch.autograd.grad(mirror("prod", axis)(t).sum(), t, create_graph=True)
    # `0 * t` for PyTorch, for which the slope of a single number is a constant.
    (second,) = torch.autograd.grad(((expected + 0 * t) * torch.tensor(direction)).sum(), t)
    # All products are of at most four integers or halves, so both sides are exact.
    np.testing.assert_array_equal(first.data, expected.detach().numpy())
    np.testing.assert_array_equal(v.grad, second.numpy())


def test_a_product_of_one_number_to_second_order() -> None:
    """The second derivative of a product of one number is 0, without rounding: 1.3 * 0.7 / 1.3 is not 0.7."""
    v = Value([[0.7, 1.3, -3.1]])
    ((v * v).prod(axis=0) * [1.0, 2.0, 3.0]).sum().backward(create_graph=True)
    first = v.grad
    v.zero_grad()
    first.sum().backward()
    assert v.grad.tolist() == [[2.0, 4.0, 6.0]]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_second_slopes_of_a_product_lose_no_digits(dtype: str) -> None:
    """The second slope of a product of two numbers is 1, however large one is beside the other; PyTorch's is not."""
    for x in ([24.46875, 1.0], [1e5, 1e-5], [3.0, 7e6]):
        second = ndgrad.hessian(lambda x: x.prod())(np.array(x, dtype))
        np.testing.assert_array_equal(second, [[0.0, 1.0], [1.0, 0.0]])
    assert ndgrad.hessian(lambda x: x.prod())(np.ones((2, 0), dtype)).shape == (2, 0, 2, 0)


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("factor", [0.1, 0.9, 3.0, 1e2])  # from where the product is too small, or too large
def test_a_product_that_is_lost(dtype: str, axis: Axis, factor: float) -> None:
    """Where a product of finite numbers is too small or too large for its dtype, each slope is what it should be.

    PyTorch divides: there the slopes of a product of 0 are all 0, and those of an infinite one are all infinite.
    """
    limits = np.finfo(dtype)
    for size, last in itertools.product([limits.smallest_subnormal, limits.smallest_normal, limits.max], [0.3, -3.0]):
        x = np.array([[np.sqrt(size) * factor], [np.sqrt(size) * factor], [last]], dtype)
        with np.errstate(over="ignore", under="ignore"):
            slopes = ndgrad.grad(lambda x: x.prod(axis=axis).sum())(x)
            exact = np.ravel(x).astype(np.longdouble)  # of a wider range
            expected = np.array([exact[1] * exact[2], exact[0] * exact[2], exact[0] * exact[1]]).astype(dtype)
        np.testing.assert_allclose(
            slopes.ravel(), expected, rtol=3 * float(limits.eps), atol=float(limits.smallest_subnormal)
        )


# Spreads.


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize("axis", [None, 0, 1, (1, 0)])
@pytest.mark.parametrize("ddof", [0, 1, 2, 0.5])
@pytest.mark.parametrize("keepdims", [False, True])
def test_degrees_of_freedom(beside: Beside, name: str, axis: Axis, ddof: float, keepdims: bool) -> None:  # noqa: FBT001
    """`ddof` is subtracted from the count of each lane, forward and backward."""
    beside(
        lambda x: RULES[name](x, axis=axis, ddof=ddof, keepdims=keepdims),
        lambda t: in_pytorch(OPS[name])(t, axis=axis, ddof=ddof, keepdims=keepdims),
        [[1.0, 5.0, 2.5], [-2.0, 7.0, 0.0], [8.0, 9.0, 1.0]],
    )


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize(
    ("x", "ddof"),
    [([3.0], 0), ([3.0], 1), ([3.0, 4.0], 2), ([3.0, 4.0], 3), ([2.0, 2.0, 2.0], 0)],
)
@pytest.mark.filterwarnings("ignore:.*degrees of freedom.*:UserWarning")  # PyTorch warns, and returns NaN
def test_spread_of_few_or_equal_numbers(beside: Beside, name: str, x: list[float], ddof: float) -> None:
    """The spread of one number, of `ddof` numbers and of equal numbers agrees with PyTorch. Equal ones have slope 0."""
    theirs = {"var": torch.var, "std": torch.std}[name]
    beside(lambda x: RULES[name](x, axis=0, ddof=ddof), lambda t: theirs(t, 0, correction=ddof), x)
    beside(lambda x: RULES[name](x, ddof=ddof), lambda t: theirs(t, (0, 1), correction=ddof), [x])


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize("n", [3, 7, 10])
def test_equal_numbers_have_no_spread(name: str, n: int) -> None:
    """Equal numbers have no spread, even if the mean is rounded, as for 0.1."""
    x = Value(np.full(n, 0.1))
    y = RULES[name](x)
    y.backward()
    assert y.item() == 0
    assert x.grad.tolist() == [0.0] * n


@pytest.mark.parametrize("x", [[1.0, inf, 2.0], [inf, 1.0, -inf], [1.0, nan, 2.0], [nan, nan, nan]])
@pytest.mark.parametrize("name", ["var", "std"])
def test_spread_of_numbers_that_are_none(beside: Beside, name: str, x: list[float]) -> None:
    """An infinity or NaN affects only its own lane."""
    both = [x, [1.0, 2.0, 4.0]]
    beside(lambda x: RULES[name](x, axis=1), mirror(name, 1), both)


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
def test_variance_far_from_zero(offset: float) -> None:
    """The mean costs no digits: the variance is within 4 ULP of the exact one, computed in fractions."""
    x = [offset + d for d in (0.25, 1.0, -3.5, 7.0, 2.0)]
    mean = sum(map(Fraction, x), Fraction()) / 5
    exact = sum(((Fraction(n) - mean) ** 2 for n in x), Fraction()) / 4
    v = Value(x)
    y = v.var(ddof=1)
    y.backward(4.0)
    assert abs(Fraction(y.item()) - exact) <= exact * Fraction(2) ** -50
    for gradient, n in zip(v.grad, x, strict=True):
        slope = 2 * (Fraction(n) - mean)
        assert abs(Fraction(float(gradient)) - slope) <= abs(slope) * Fraction(2) ** -48


# Logarithms of sums of exponentials.


@pytest.mark.parametrize("x", [1000.0, -1000.0, 1.5e308, -1.5e308])
def test_logsumexp_of_large_numbers(x: float) -> None:
    """Nothing overflows or warns: two equal numbers give log(2) more than one, and share the gradient."""
    v = Value([x, x])
    y = v.logsumexp()
    y.backward(4.0)
    assert y.item() == pytest.approx(x + math.log(2), rel=1e-15, abs=0)
    assert v.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("x", [
    [-inf, 1.0, -inf], [-inf, -inf, -inf], [inf, 1.0, 2.0], [inf, inf, 0.0], [nan, 1.0, 2.0], [-inf, nan, 0.0],
    [-inf, inf, 0.0],
])  # fmt: skip
@pytest.mark.parametrize("axis", [None, 1])
def test_logsumexp_of_infinities(beside: Beside, x: list[float], axis: Axis) -> None:
    """A lane of -inf gives -inf, an infinity gives inf, and other lanes are not affected."""
    both = [x, [1.0, 2.0, 4.0]]
    beside(lambda x: x.logsumexp(axis), mirror("logsumexp", axis), both)


def test_logsumexp_of_minus_infinities_does_not_warn() -> None:
    """`log(0)` inside is -inf on purpose, and does not warn, just as `np.logaddexp(-inf, -inf)` does not."""
    assert ndgrad.logsumexp(np.array([-inf, -inf])) == -inf


# Running sums.


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4,), 0), ((4,), -1), ((3, 3), 0), ((3, 3), 1), ((2, 3, 4), 1), ((2, 3, 4), -3), ((3, 3, 3), 1), ((2, 0), 1)],
)
def test_running_sum(beside: Beside, shape: Dims, axis: int) -> None:
    """A number is part of all sums from its place on, so its gradient is summed from the end."""
    beside(lambda x: x.cumsum(axis=axis), lambda t: t.cumsum(axis), shape, ulp=0)
    beside(lambda x: x.cumsum(axis), lambda t: t.cumsum(axis), shape, ulp=0)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (), (2, 0)])
def test_running_sum_of_everything(beside: Beside, shape: Dims) -> None:
    """Without an axis the operand is flattened, as in NumPy."""
    beside(lambda x: x.cumsum(), lambda t: t.reshape(-1).cumsum(0), shape, ulp=0)


def test_a_running_sum_has_one_axis() -> None:
    """Several axes are an error."""
    with pytest.raises(TypeError):
        Value([[1.0]]).cumsum(axis=(0, 1))


# In the middle of a program.


@pytest.mark.parametrize(("first", "second"), list(itertools.product(["sum", "mean", "max", "prod"], repeat=2)))
def test_one_after_the_other(beside: Beside, first: str, second: str) -> None:
    """Reductions can be chained, and the operand can be used again in between."""
    beside(
        lambda x: RULES[second](RULES[first](x, axis=1, keepdims=True) * x, axis=(0, -1)),
        lambda t: mirror(second, (0, -1))(mirror(first, 1, keepdims=True)(t) * t),
        (3, 3, 3),
    )


def test_a_large_first_number_costs_no_digits() -> None:
    """The spread of small numbers beside two large ones that cancel is right to the last digits."""
    x = np.array([1000.0, 0.3, 0.7, -1000.0])
    small = Value(x)
    small.var().backward()
    exact = [float(2 * (Fraction(v) - sum(map(Fraction, x)) / 4) / 4) for v in x]
    np.testing.assert_allclose(small.grad, exact, rtol=1e-14)
