"""The witness's bounds: slopes far out, slopes of 0, kinks, and 2,000 slopes that mpmath's formulas give as well."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gmpy2
import mpmath
import numpy as np
import pytest

from reference.engines.exact import Witness
from reference.programs import parse

WITNESS = Witness()

# fmt: off
# Programs, the place of a number of the first leaf, and its slope. With a fixed 400 bits each of them was wrong.
FAR_OUT: list[tuple[str, tuple[int, ...], float]] = [
    ("x=f8(-240.0); a=expm1(x); back(a,f8(1.0))",                                            (),   math.exp(-240)),
    ("x=f8(-200.0); a=expm1(x); back(a,f8(1.0))",                                            (),   math.exp(-200)),
    ("x=f8(130.0); a=tanh(x); back(a,f8(1.0))",                                              (),   4 * math.exp(-260)),
    ("x=f8(1.0); y=f8(1e120); a=add(x,y); back(a,f8(1.0))",                                  (),   1.0),
    ("x=f8([1e200,1.0]); a=sum(x,axis=None,keepdims=False); back(a,f8(1.0))",                (1,), 1.0),
    ("x=f8([1e300,1.0,-1e300]); a=mean(x,axis=None,keepdims=False); back(a,f8(3.0))",        (1,), 1.0),
    ("x=f8(0.5); k=0.75; a=square(x); b=multiply(a,x); c=multiply(x,k); d=subtract(b,c); back(d,f8(1.0))", (), 0.0),
    ("x=f8([0.3,0.7]); a=softmax(x,axis=0); back(a,f8([1.0,1.0]))",                          (0,), 0.0),
    ("x=f8(1e-300); a=sqrt(x); back(a,f8(1.0))",                                             (),   5e149),
    ("x=f8(1e-300); a=exp(x); back(a,f8(1.0))",                                              (),   1.0),
]
# fmt: on


@pytest.mark.parametrize(("line", "place", "slope"), FAR_OUT)
def test_slopes_are_exact_far_out(line: str, place: tuple[int, ...], slope: float) -> None:
    """The slope is the right one to the last digit of a double, and 0 where it is 0."""
    slopes = WITNESS.slopes(parse(line), 0, place)
    assert float(slopes.exact) == pytest.approx(slope, rel=1e-15, abs=5e-324)
    assert slopes.bound <= max(abs(slopes.exact) * 2.0**-55, gmpy2.mpfr(2) ** -1076)


def test_second_slopes_are_exact_far_out() -> None:
    """So are slopes of slopes: that of expm1 at -200, and that of x³ - 0.75 x at 0."""
    second = WITNESS.second_slopes(parse("x=f8(-200.0); a=expm1(x); back(a,f8(1.0),along=(f8(1.0),))"), 0, ())
    assert float(second.exact) == pytest.approx(math.exp(-200), rel=1e-15)
    cube = "x=f8(0.0); k=0.75; a=square(x); b=multiply(a,x); c=multiply(x,k); d=subtract(b,c)"
    second = WITNESS.second_slopes(parse(f"{cube}; back(d,f8(1.0),along=(f8(1.0),))"), 0, ())
    assert float(second.exact) == 0


@pytest.mark.parametrize("large", [1e40, 1e120, 1e200, 1e300])
def test_values_are_exact_far_out(large: float) -> None:
    """A 1 that is added to a large number is still there when that is taken away again."""
    program = parse(f"x=f8(1.0); y=f8({large}); a=add(x,y); b=subtract(a,y); back(b,f8(1.0))")
    assert WITNESS.value(program, ()).exact == 1


def test_what_takes_more_digits_than_there_are_is_unknown() -> None:
    """With 6,400 bits, nobody sees a 1 beside exp(10000). It is not said to be lost: it is not known."""
    program = parse("x=f8(1.0); y=f8(10000.0); a=exp(y); b=add(x,a); c=subtract(b,a); back(c,f8(1.0))")
    slopes = WITNESS.slopes(program, 0, ())
    assert (slopes.left, slopes.right, slopes.exact) == (None, None, None)
    assert WITNESS.value(program, ()).exact is None


@pytest.mark.parametrize(
    ("line", "left", "right"),
    [
        ("x=f8(0.0); a=relu(x); back(a,f8(2.0))", 0.0, 2.0),
        ("x=f8(0.0); a=abs(x); back(a,f8(1.0))", -1.0, 1.0),
        ("x=f8(1.0); y=f8(1.0); a=maximum(x,y); back(a,f8(1e-300))", 0.0, 1e-300),
    ],
)
def test_a_kink_has_two_slopes(line: str, left: float, right: float) -> None:
    """Both sides are known, and no single slope is."""
    slopes = WITNESS.slopes(parse(line), 0, ())
    assert (float(slopes.left), float(slopes.right), slopes.exact) == (left, right, None)


def test_an_infinite_slope_is_none() -> None:
    """The square root has an infinite slope at 0."""
    assert WITNESS.slopes(parse("x=f8(0.0); a=sqrt(x); back(a,f8(1.0))"), 0, ()).exact is None


# fmt: off
SLOPES: dict[str, Callable[[Any], Any]] = {  # the derivative of each op, in mpmath
    "exp":      mpmath.exp,
    "expm1":    mpmath.exp,
    "log":      lambda x: 1 / x,
    "log1p":    lambda x: 1 / (1 + x),
    "sqrt":     lambda x: 1 / (2 * mpmath.sqrt(x)),
    "square":   lambda x: 2 * x,
    "sin":      mpmath.cos,
    "cos":      lambda x: -mpmath.sin(x),
    "tan":      lambda x: mpmath.sec(x) ** 2,
    "tanh":     lambda x: mpmath.sech(x) ** 2,
    "sigmoid":  lambda x: 1 / ((1 + mpmath.exp(-x)) * (1 + mpmath.exp(x))),
    "softplus": lambda x: 1 / (1 + mpmath.exp(-x)),
}
# fmt: on
POINTS = 167  # for each of the twelve: 2,000 in all
BEYOND = 7_200  # bits of the formulas


def draw_point(rng: np.random.Generator, op: str, order: int) -> float:
    """Draw a number of any size, of either sign where the op takes both.

    A second slope at a number below 1e-200 is unknown: the square of its move is lost in 6,400 bits.
    """
    size = 10.0 ** rng.uniform(-305 if order == 1 else -150, 2.8) if rng.random() < 0.5 else rng.uniform(0, 700)
    return float(size if op in ("log", "log1p", "sqrt") or rng.random() < 0.5 else -size)


@pytest.mark.parametrize("op", SLOPES)
@pytest.mark.parametrize("order", [1, 2])
def test_mpmath_gives_the_same_slopes(op: str, order: int) -> None:
    """A slope is as close to that of the formula, computed in 7,200 bits, as its bound says; so is a second one."""
    rng = np.random.default_rng([order, *op.encode()])
    for x in [draw_point(rng, op, order) for _ in range(POINTS if order == 1 else POINTS // 10)]:
        program = parse(f"x=f8({x!r}); a={op}(x); back(a,f8(1.0),along=(f8(1.0),))")
        slopes = (WITNESS.slopes if order == 1 else WITNESS.second_slopes)(program, 0, ())
        with mpmath.workprec(BEYOND):
            formula = (
                SLOPES[op](mpmath.mpf(x))
                if order == 1
                else mpmath.diff(SLOPES[op], mpmath.mpf(x), h=mpmath.mpf(2) ** -2_000)
            )
            assert slopes.exact is not None, x
            error = abs(mpmath.mpf(f"{slopes.exact:.2200e}") - formula)
            assert error <= max(mpmath.mpf(f"{slopes.bound:.20e}"), abs(formula) * mpmath.mpf(2) ** -350), x


@pytest.mark.parametrize("op", SLOPES)
def test_third_slopes_are_mpmaths(op: str) -> None:
    """The slope of the slope of the slope, at numbers of ordinary size."""
    rng = np.random.default_rng([3, *op.encode()])
    for x in rng.uniform(0.05, 5, 6):
        program, one = parse(f"x=f8({float(x)!r}); a={op}(x); back(a,f8(1.0))"), [np.array(1.0)]
        slopes = WITNESS.along(program, one, one, one)
        with mpmath.workprec(BEYOND):
            formula = mpmath.diff(SLOPES[op], mpmath.mpf(float(x)), 2, h=mpmath.mpf(2) ** -1_500)
            assert slopes.exact is not None, x
            error = abs(mpmath.mpf(f"{slopes.exact:.2200e}") - formula)
            assert error <= max(mpmath.mpf(f"{slopes.bound:.20e}"), abs(formula) * mpmath.mpf(2) ** -300), x


def test_a_derivative_along_a_direction_is_the_sum_of_its_parts() -> None:
    """One derivative holds all numbers of a gradient; along several directions, those of a Hessian and beyond."""
    program = parse("x=f8([0.5,2.0,3.0]); a=prod(x,axis=0,keepdims=False); back(a,f8(2.0))")
    along = [[np.array(v)] for v in ([1.0, 2.0, -1.0], [0.5, 0.0, 4.0], [1.0, 1.0, 1.0])]
    u, v, w = (direction[0] for direction in along)
    pairs = [(0, 1, 2), (1, 0, 2), (2, 0, 1)]  # a number, and the two others
    x = program.leaves[0].data
    first = 2 * sum(u[i] * x[j] * x[k] for i, j, k in pairs)
    second = 2 * sum(x[i] * (u[j] * v[k] + u[k] * v[j]) for i, j, k in pairs)
    third = 2 * sum(u[i] * (v[j] * w[k] + v[k] * w[j]) for i, j, k in pairs)
    for number, wanted in ((1, first), (2, second), (3, third)):
        slopes = WITNESS.along(program, *along[:number])
        assert float(slopes.exact) == pytest.approx(wanted, rel=1e-15)
        assert slopes.bound < 1e-30
