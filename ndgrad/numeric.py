"""Slopes by finite differences: nudge a number, and see how far the result moves.

It knows functions and the numbers they are given. It knows no graph and no rule of differentiation, so it can be
wrong only in ways of its own: by how far it nudges, and by rounding. A function is called with NumPy scalars and
arrays, never with Values; those of `ndgrad` (`ndgrad.exp`) take and give plain arrays as well.

Three ways to find the slope of f at x, by steps of h:

- forward, `(f(x + h) - f(x)) / h`: the definition, with h left finite. Its error shrinks with h.
- central, `(f(x + h) - f(x - h)) / 2h`: what bends the curve cancels. Its error shrinks with h squared.
- complex, `Im f(x + ih) / h`: a step off the real line. Nothing is subtracted, so h can be as good as zero.

The first two subtract numbers that are nearly equal, and the nearer, the fewer digits are left: as h shrinks, the
error of the formula falls and that of rounding rises. `error_table` shows this V, and that the third has none.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

Function: TypeAlias = Callable[..., Any]
Method: TypeAlias = Literal["forward", "central", "complex"]

METHODS: tuple[Method, ...] = ("forward", "central", "complex")

# Any power of ten far below the square root of the machine epsilon: what the complex step neglects is of order h
# squared. It leaves room for slopes of 1e-18 in float32, whose numbers end at 1e-38 (Squire and Trapp take 1e-20).
_COMPLEX_STEP = 1e-20


def slope(
    f: Function, *points: Any, towards: int = 0, h: float | None = None, method: Method = "forward"
) -> Any:
    """Give the slope of `f(*points)` towards one of its arguments, number by number.

    Each number of the argument is nudged alone, in a copy: `f` may write into what it is given. A number arrives
    at `f` as a NumPy scalar, an array as an array of its dtype; integers become float64.

    Args:
        f: a function of numbers or arrays, to a number or an array. `"central"` and `"forward"` also ask it to
            the left or right of the point. `"complex"` asks it for complex arguments, and is right only where `f` is
            analytic: not through abs, sign, conjugates, norms made of them, or a sigmoid made of abs. Where such an f
            gives a real result that is an error; where it goes on with complex numbers, **the slope is wrong**.
        points: where to take the slope, a number or an array for each argument.
        towards: the position of the argument that is nudged.
        h: how far. By default what balances the error of the formula against that of rounding, for the machine
            epsilon e of the argument's dtype and a function that changes over distances like max(1, abs(x)):
            sqrt(e) of that forward, cbrt(e) of that central, and 1e-20 complex, where no rounding asks for more.
        method: `"forward"`, `"central"` or `"complex"`.

    Returns:
        An array of shape `result.shape + point.shape` and of the point's dtype; a float if both are numbers.

    Raises:
        TypeError: a point or a result is a Value or not real; or `f` does not take complex numbers.
        ValueError: there is no such method or argument; or h is 0, not finite, or too small to move the point.

    Sources:
        Press et al., Numerical Recipes, 3rd ed. (2007), section 5.7, for the default steps and for dividing by the
        step that was taken; Squire and Trapp, Using complex variables to estimate derivatives of real functions,
        SIAM Review 40 (1998) 110-112.
    """
    at = [_point(i, point) for i, point in enumerate(points)]
    difference = _method(method)
    x = at[_position(towards, at)]
    ...
