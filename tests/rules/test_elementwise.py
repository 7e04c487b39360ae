"""Rules of elementwise ops agree with PyTorch, at special points and in every broadcasting, without false warnings."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes
from torch.nn import functional as F  # noqa: N812 - as PyTorch's own manual has it

import ndgrad
from ndgrad.engine import Value
from ndgrad.rules import RULES
from reference.engines.torch import mirror
from reference.ops import OPS

Beside: TypeAlias = Callable[..., None]

# Zeros of both signs, the kinks and bounds, numbers that saturate, infinities and NaN.
POINTS = np.array([
    -np.inf, -1000.0, -40.0, -2.0, -1.0, -0.5, -1e-12, -0.0, 0.0, 1e-300, 1e-12, 0.25, 1.0, 2.0, 3.0, 1000.0, np.inf,
    np.nan,
])  # fmt: skip
MASK = np.array([True, False, True])
PAIRS = tuple(a.ravel() for a in np.meshgrid(POINTS, POINTS))

ELEMENTWISE = [op for op in OPS.values() if op.inputs.elementwise]
UNARY = [op.name for op in ELEMENTWISE if op.inputs.slots == 1]
BINARY = [op.name for op in ELEMENTWISE if op.inputs.slots == 2]


# Special points.


@pytest.mark.parametrize("slope", [0.01, 0.3, 0.0, 1.0])
def test_leaky_relu(beside: Beside, slope: float) -> None:
    """Below 0, and at 0 itself, the slope is the given one, as in PyTorch."""
    beside(lambda x: x.leaky_relu(slope), lambda x: F.leaky_relu(x, slope), POINTS)


def test_leaky_relu_has_pytorchs_default(beside: Beside) -> None:
    """The default slope is 0.01; another one can be given by position and by name."""
    beside(ndgrad.leaky_relu, F.leaky_relu, (7,))
    beside(lambda x: x.leaky_relu(negative_slope=0.2), lambda x: F.leaky_relu(x, 0.2), (7,))


@pytest.mark.parametrize("x", [19.5, 20.5, 30.0, 700.0])
def test_softplus_far_up(beside: Beside, x: float) -> None:
    """Softplus keeps its digits above 20, where PyTorch switches to x; without that threshold, PyTorch agrees."""
    beside(ndgrad.softplus, lambda t: torch.log1p(torch.exp(t)), [x])


@pytest.mark.parametrize("x", [5.0, 19.5, 40.0, 700.0])
def test_sigmoid_is_as_steep_above_as_below(x: float) -> None:
    """For large x, where `y * (1 - y)` has no digits left, the slope is that at -x."""
    slopes = Value([x, -x])
    slopes.sigmoid().backward()
    assert slopes.grad[0] == slopes.grad[1] > 0
    assert slopes.grad[1] == pytest.approx(np.exp(-x) / (1 + np.exp(-x)) ** 2, rel=1e-14, abs=0)


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "relu", "leaky_relu", "tanh", "abs", "sin", "cos", "square"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_warning_where_nothing_is_wrong(name: str, dtype: type) -> None:
    """Numbers of ±1000 do not cause a warning, forward or backward. Warnings are errors here."""
    x = Value(np.array([-1000.0, -0.0, 0.0, 1000.0], dtype))
    RULES[name](x).backward([1.0, -2.0, 3.0, 4.0])
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("name", ["log", "sqrt", "divide", "power"])
def test_the_pass_back_does_not_warn(name: str) -> None:
    """An infinite slope does not cause a warning: 1/0 in a pullback is silent."""
    x = Value([0.0, 4.0])
    at = {"log": [1.0, 1.0], "sqrt": [0.0, 0.0], "divide": [1.0, 2.0], "power": [0.5, 0.5]}[name]
    with np.errstate(all="ignore"):
        y = RULES[name](x) if name in ("log", "sqrt") else RULES[name](x, np.array(at))
    y.backward()
    assert x.grad[1] != 0


# Powers.


@pytest.mark.parametrize("exponent", [-2, -1, 0, 0.0, 1, 1.5, 2, 2.0, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_power_of_a_number(beside: Beside, exponent: float, dtype: type) -> None:
    """Exponents that are numbers, integers or not, agree with PyTorch at bases of 0, of both signs and infinite.

    For a number, PyTorch computes the slope of the power 1.5 by the square root, which is NaN at -inf; for a tensor it
    does not.
    """
    points = POINTS[~np.isneginf(POINTS)] if exponent == 1.5 else POINTS
    beside(lambda x: x**exponent, lambda x: x**exponent, points.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_power_of_a_half(beside: Beside, dtype: type) -> None:
    """The power 0.5 is a square root. It is not tested at -0 and -inf, where PyTorch's slope is that of its `rsqrt`."""
    beside(lambda x: x**0.5, lambda x: x**0.5, np.array([-1.0, 0.0, 1e-12, 0.25, 4.0, np.inf, np.nan], dtype))


@pytest.mark.parametrize("exponent", [0.5, np.array([0.5]), Value([0.5]), -0.5, 2, 3])
def test_power_of_minus_infinity(exponent: Any) -> None:
    """It is C's, and PyTorch's for two tensors, however the exponent is given; the root would be NaN."""
    y = Value([-np.inf]) ** exponent
    power = float(exponent.item()) if isinstance(exponent, (np.ndarray, Value)) else float(exponent)
    assert y.data.tolist() == torch.pow(torch.tensor([-np.inf]), torch.tensor([power])).tolist()


@pytest.mark.parametrize("base", [-np.inf, np.float64(-np.inf), np.array(-np.inf), np.array([-np.inf]), Value(-np.inf)])
@pytest.mark.parametrize("exponent", [Value(0.5), Value([0.5, 3.0])], ids=["one", "several"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_minus_infinity_to_a_value(base: Any, exponent: Value, dtype: type) -> None:
    """A base of -inf gives inf however it is given. NumPy would take the root whenever there is a single exponent."""
    b = Value(exponent.data.astype(dtype))
    y = base**b
    assert y.dtype == (dtype if isinstance(base, float) and not isinstance(base, np.generic) else np.float64)
    assert y.data.ravel().tolist() == [np.inf, -np.inf][: y.size]


def test_one_minus_infinity_changes_no_other_slope() -> None:
    """In single precision a recorded pass gives what a plain one gives, to the bit, and its dtype."""
    data = np.array([-np.inf, *np.random.default_rng(0).uniform(0.1, 9, 200)], np.float32)
    slopes = []
    for record in (False, True):
        x = Value(data)
        (x**1.5).backward(np.ones_like(data), create_graph=record)
        slopes.append(np.asarray(x.grad.data if record else x.grad))
    plain, recorded = slopes
    np.testing.assert_array_equal(recorded, plain, strict=True)
    for base in (np.float32(-np.inf), np.float32(4.0)):
        assert RULES["power"](base, 0.5).dtype == np.float32
        assert RULES["power"](np.float64(base), np.array([0.5, 3.0], np.float32)).dtype == np.float64


def test_the_exponents_slope_beside_minus_infinity_is_nan_twice() -> None:
    """The slope towards the exponent is NaN, as in PyTorch, also next to an infinite power a half."""
    x, b = Value([-np.inf, 9.0]), Value([1.5, 0.5])
    (x**b).backward(np.ones(2), create_graph=True)
    slope = x.grad
    b.zero_grad()
    slope.sum().backward()
    assert np.isnan(np.asarray(b.grad)[0])


@pytest.mark.parametrize("base", [-2.0, 0.0, 0.5, 1, 2, 10])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_power_to_a_value(beside: Beside, base: float, dtype: type) -> None:
    """The slope of a number to the power of a Value is `y * log(base)`."""
    beside(lambda x: base**x, lambda x: base**x, np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0], dtype))


def test_power_of_a_negative_base() -> None:
    """For a negative base the slope towards the exponent is NaN, and the slope towards the base is right."""
    base, exponent = Value([-2.0]), Value([2.0])
    (base**exponent).backward([3.0])
    assert base.grad.tolist() == [-12.0]
    assert np.isnan(exponent.grad).all()


def test_a_whole_base_and_whole_powers() -> None:
    """Integers are converted to floats first, so negative powers work, forward and backward."""
    x = Value(np.array([1, 2, 4]))
    y = x ** np.array([0, -1, -2])
    y.backward([1, 1, 16])
    assert y.data.tolist() == [1.0, 0.5, 0.0625]
    assert x.grad.tolist() == [0.0, -0.25, -0.5]


# Ties, bounds and branches.


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
def test_the_same_value_twice(beside: Beside, name: str) -> None:
    """Both contributions are added: `maximum(x, x)` has slope 1, `x ** x` has `x ** x * (1 + log(x))`."""
    theirs = mirror(OPS[name])
    beside(lambda x: RULES[name](x, x), lambda x: theirs(x, x), np.array([0.5, 1.0, 2.0, 3.0]))


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, None), (None, 1.0), (-np.inf, np.inf), (1.0, 1.0), (2.0, -1.0)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_clip_between_numbers(beside: Beside, bounds: tuple[float | None, float | None], dtype: type) -> None:
    """At the bounds, beyond them, with one of them left out, and with the lower above the upper."""
    low, high = bounds
    beside(lambda x: x.clip(low, high), lambda x: torch.clamp(x, low, high), POINTS.astype(dtype))


def test_clip_between_values(beside: Beside) -> None:
    """The bounds have gradients: those of the numbers that they replaced."""
    x, low, high = (a.ravel() for a in np.meshgrid(*[[-2.0, -1.0, 0.0, 1.0, 2.0]] * 3))
    beside(ndgrad.clip, torch.clamp, x, low, high)


def test_clip_at_itself(beside: Beside) -> None:
    """A Value clipped at itself passes all of its gradient on."""
    beside(lambda x: x.clip(0.0, x), lambda x: torch.clamp(x, torch.zeros_like(x), x), [5.0, 0.0, 2.0])


def test_clip_has_both_spellings_of_its_bounds() -> None:
    """`a_min` and `a_max`, `min` and `max`, and positions are equivalent, as in NumPy."""
    x = Value([-3.0, 0.5, 3.0])
    for y in (x.clip(-1, 1), x.clip(a_min=-1, a_max=1), x.clip(min=-1, max=1), np.clip(x, -1, 1), x.clip(-1, max=1)):
        assert y.data.tolist() == [-1.0, 0.5, 1.0]


@pytest.mark.parametrize("upstream", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ndgrad.relu, torch.relu),
        (lambda x: ndgrad.where([True, False, True], x, x * x), lambda x: torch.where(torch.tensor(MASK), x, x * x)),
        (lambda x: ndgrad.maximum(x, np.zeros(3)), lambda x: torch.maximum(x, torch.zeros(3, dtype=x.dtype))),
        (lambda x: ndgrad.minimum(x, np.zeros(3)), lambda x: torch.minimum(x, torch.zeros(3, dtype=x.dtype))),
        (lambda x: x.clip(-1.5, 1.5), lambda x: torch.clamp(x, -1.5, 1.5)),
    ],
)  # fmt: skip
def test_a_branch_not_taken_gets_zero(
    beside: Beside, ours: Callable[..., Any], theirs: Callable[..., Any], upstream: float
) -> None:
    """The branch not taken gets 0, even for an infinite or NaN cotangent: it is masked, not multiplied by 0."""
    beside(ours, theirs, [-2.0, 1.0, 2.0], cotangent=[upstream, upstream, 1.0])


def test_where_sends_the_gradient_to_the_branch_taken(beside: Beside) -> None:
    """The branch not taken gets nothing, whatever it holds."""
    x, y = [np.nan, np.inf, 2.0], [1.0, -np.inf, np.nan]
    beside(lambda a, b: ndgrad.where(MASK, a, b), lambda a, b: torch.where(torch.tensor(MASK), a, b), x, y)


def test_where_keeps_its_condition() -> None:
    """Overwriting the condition after the forward pass does not change the gradient."""
    condition = np.array([True, False])
    a, b = Value([1.0, 2.0]), Value([3.0, 4.0])
    y = ndgrad.where(condition, a, b)
    condition[:] = [False, True]
    y.backward([5.0, 7.0])
    assert a.grad.tolist() == [5.0, 0.0]
    assert b.grad.tolist() == [0.0, 7.0]


def test_where_takes_any_truth_for_its_condition() -> None:
    """Numbers are true unless they are 0, as in NumPy. A branch may be a number."""
    x = Value([1.0, 2.0, 3.0])
    y: Any = np.where([0, 2, -1], x, 9)
    y.backward([1.0, 10.0, 100.0])
    assert y.data.tolist() == [9.0, 2.0, 3.0]
    assert x.grad.tolist() == [0.0, 10.0, 100.0]


# Dtypes.


@pytest.mark.parametrize(("dtype", "to"), [(np.float64, np.float32), (np.float32, np.float64)])
def test_astype(dtype: type, to: type) -> None:
    """The result has the given dtype, and the gradient has the dtype of the operand."""
    x = Value(np.array([0.1, 0.2], dtype))
    y = x.astype(to)
    y.backward([3.0, -1.0])
    assert y.dtype == to
    assert y.data.tolist() == np.array([0.1, 0.2], dtype).astype(to).tolist()
    assert x.grad.dtype == dtype
    assert x.grad.tolist() == [3.0, -1.0]


@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_astype_to_no_float_is_refused(dtype: type) -> None:
    """A cast to integers is an error: they are piecewise constant, so a gradient of 1 through them would be wrong."""
    with pytest.raises(TypeError):
        Value([1.5]).astype(dtype)


# Broadcasting.


@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4),
    name=st.sampled_from(["add", "subtract", "multiply", "maximum", "minimum"]),
)
def test_broadcasting_of_two_operands(beside: Beside, shapes: BroadcastableShapes, name: str) -> None:
    """Each gradient is summed over broadcast or empty axes, and is exactly PyTorch's."""
    beside(RULES[name], mirror(OPS[name]), *shapes.input_shapes, ulp=0)


@given(shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4))
def test_broadcasting_in_divide_and_power(beside: Beside, shapes: BroadcastableShapes) -> None:
    """The same holds where slopes depend on the operands. A wrong sum would be off by a term, not by 2e-7."""
    a, b = shapes.input_shapes
    ratio = 1e9  # in ULP: hundreds of logarithms of both signs may cancel nine digits
    beside(lambda x, y: x / y + (x * x) ** (y / 9), lambda x, y: x / y + (x * x) ** (y / 9), a, b, ulp=ratio)


@given(shapes=mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
def test_broadcasting_of_three_operands(beside: Beside, shapes: BroadcastableShapes) -> None:
    """`clip` and `where` broadcast three operands, including the condition.

    PyTorch's `clamp` fails for some of these.
    """
    condition, b, c = shapes.input_shapes
    mask = np.indices(condition).sum(axis=0) % 2 == 0
    beside(lambda x, y: ndgrad.where(mask, x, y), lambda x, y: torch.where(torch.tensor(mask), x, y), b, c, ulp=0)
    beside(ndgrad.clip, _clamp, condition, b, c, ulp=0)


def _clamp(*xs: torch.Tensor) -> torch.Tensor:
    return torch.clamp(*torch.broadcast_tensors(*xs))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("operation", [operator.add, operator.mul, operator.truediv, operator.pow, ndgrad.maximum])
def test_what_does_not_broadcast_is_an_error(operation: Callable[..., Any]) -> None:
    """Shapes that do not broadcast raise NumPy's error, which names both."""
    with pytest.raises(ValueError, match=r"\(2,\) \(3,\)"):
        operation(Value([1.0, 2.0]), Value([1.0, 2.0, 3.0]))


def test_powers_of_minus_infinity_have_slopes() -> None:
    """The slope of x to the power 1.5 is 1.5 times the power 0.5, which is infinite at -inf, as IEEE's power is."""
    x = Value([-np.inf])
    with np.errstate(all="ignore"):
        (x**1.5).backward()
    assert x.grad.tolist() == [np.inf]
