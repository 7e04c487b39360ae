"""Slopes by finite differences: nudge a number, and see how far the result moves.

It knows functions, and the numbers they take and give. It knows no graph and no rule of differentiation, so it
shares no mistake with them. What it calls is handed NumPy scalars and arrays, never Values; the functions of
ndgrad, such as `ndgrad.exp`, take those as well.

The slope of f at x, by a step h:

    forward    (f(x + h) - f(x)) / h         the definition, but for an h that stops short of 0
    central    (f(x + h) - f(x - h)) / 2h    what bends the curve is on both sides, and cancels
    complex    Im f(x + ih) / h              a step off the real line: nothing is subtracted

The formulas are wrong by something that shrinks with h, or with its square. But the first two subtract numbers
that are nearly equal, and the smaller h, the more of their digits cancel: one error falls and the other rises.
`error_table` shows this V, with the best h at its bottom, and that the third method only falls.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

Function: TypeAlias = Callable[..., Any]
Method: TypeAlias = Literal["forward", "central", "complex"]


def slope(f: Function, *points: Any, towards: int = 0, h: float | None = None, method: Method = "forward") -> Any:
    """Give the slope of `f(*points)` towards one argument. Each of its numbers is nudged by itself, in a copy.

    Beware of `"complex"` where f takes an absolute value, a sign, a conjugate or a real part (a norm, a variance
    and a sigmoid may do so inside): it is right for analytic functions, and those are not. An f that gives real
    numbers for complex ones, or drops an imaginary part on the way, is refused. One that does neither, such as
    `z * abs(z)`, gets a wrong slope.

    Args:
        f: a function of numbers and arrays that gives a number or an array. It is asked at the point and a step
            further, on both sides for `"central"`, off the real line for `"complex"`. It may write into what it
            is given.
        points: a number or an array for each argument of f. Floats keep their dtype, integers and booleans
            become float64; f is given numbers as NumPy scalars.
        towards: the position of the argument that is nudged.
        h: the step. By default, with e the distance from 1 to the next number of the dtype, and s the number's
            size or 1 if that is larger: e^(1/2) s for `"forward"` and e^(1/3) s for `"central"`, at which both
            errors are about equal if f changes over distances like s; 1e-20 for `"complex"`, where there is only
            one error, of about its square.
        method: `"forward"`, `"central"` or `"complex"`.

    Returns:
        An array of shape `result.shape + point.shape`, of the point's dtype; a float where both are numbers.

    Raises:
        TypeError: a point or a result is a Value, or not made of real numbers; f does not take complex ones.
        ValueError: there is no such method or position; h is 0, infinite, or too small to move the point.

    Sources of the formulas: Press, Teukolsky, Vetterling and Flannery, Numerical Recipes, 3rd edition (2007),
    section 5.7, for the steps; Squire and Trapp, Using Complex Variables to Estimate Derivatives of Real
    Functions, SIAM Review 40(1) (1998), 110-112, for the third method.
    """
    if method not in _DIFFERENCES:
        raise ValueError(f"method is {method!r}, but must be one of {', '.join(_DIFFERENCES)}")
    if not 0 <= towards < len(points):
        raise ValueError(f"towards is {towards}, but f is given {len(points)} arguments, counted from 0")
    arrays = [_real(point, f"argument {i}") for i, point in enumerate(points)]
    x = arrays[towards]
    along = _along(f, arrays, towards)
    columns = list(_DIFFERENCES[method](along, x, _steps(x, h, method)))
    if not columns:
        return np.zeros((*along(x).shape, *x.shape), x.dtype)
    found = _real(np.stack(columns, axis=-1), "the result of f").reshape((*columns[0].shape, *x.shape))
    return found.astype(x.dtype) if found.ndim else float(found)


def slopes(f: Function, *points: Any, h: float | None = None, method: Method = "forward") -> tuple[Any, ...]:
    """Give the slopes of `f(*points)` towards each argument in turn. All else is as in `slope`."""
    return tuple(slope(f, *points, towards=i, h=h, method=method) for i in range(len(points)))


# The three methods: each gives the slopes towards the first number of x, then those towards the next. The first
# two divide by the step that was taken and not by h, for x + h is rounded: 3 + 1e-15 is 3 + 8.9e-16. The third
# needs no such care, for an imaginary part of 1e-20 stays what it is beside any real part.


def _forward(f: Function, x: np.ndarray, steps: np.ndarray) -> Iterator[np.ndarray]:
    here = f(x)
    for i in np.ndindex(x.shape):
        ahead = _nudged(x, i, steps[i])
        yield (f(ahead) - here) / (ahead[i] - x[i])


def _central(f: Function, x: np.ndarray, steps: np.ndarray) -> Iterator[np.ndarray]:
    for i in np.ndindex(x.shape):
        ahead, behind = _nudged(x, i, steps[i]), _nudged(x, i, -steps[i])
        yield (f(ahead) - f(behind)) / (ahead[i] - behind[i])


def _complex(f: Function, x: np.ndarray, steps: np.ndarray) -> Iterator[np.ndarray]:
    for i in np.ndindex(x.shape):
        yield _imaginary(f, _nudged(x, i, 1j * steps[i])) / steps[i]


METHODS: tuple[Method, ...] = ("forward", "central", "complex")
_DIFFERENCES = dict(zip(METHODS, (_forward, _central, _complex), strict=True))


class _UnmovedError(ValueError):
    """The step is lost in rounding."""


def _nudged(x: np.ndarray, i: tuple[int, ...], step: Any) -> np.ndarray:
    """A copy of x with one of its numbers a step further."""
    moved = x.astype(np.result_type(x, step))
    moved[i] += step
    if moved[i] == x[i]:
        gap = np.spacing(np.abs(x[i]))
        raise _UnmovedError(
            f"h does not move {x[i]} by {step:.3g}: the next {x.dtype} is {gap:.3g} away, take a larger h"
        )
    return moved


def _imaginary(f: Function, z: np.ndarray) -> np.ndarray:
    """The imaginary part of f(z), if f lets it through."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # so NumPy says that it drops one
        try:
            y = f(z)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(f"f fails on complex numbers ({error}); take the method 'central'") from error
    if y.dtype.kind != "c":
        raise TypeError(
            "f gives real numbers for complex ones: it drops the imaginary part, as abs does, "
            "or it does not depend on this argument; take the method 'central'"
        )
    return np.asarray(y.imag)


def _steps(x: np.ndarray, h: float | None, method: Method) -> np.ndarray:
    """The step for each number of x."""
    if h is not None and (h == 0 or not math.isfinite(h)):
        raise ValueError(f"h is {h}, but a step must be finite and not 0")
    dtype = np.result_type(x, np.float32) if method == "complex" else x.dtype  # there is no complex of float16
    return np.full(x.shape, _default_step(x, method) if h is None else h, dtype)


_ROOTS = {"forward": 1 / 2, "central": 1 / 3}
_COMPLEX_STEP = 1e-20  # its square is far below any e, and slopes from 1e-18 on have room in a float32


def _default_step(x: np.ndarray, method: Method) -> Any:
    if method == "complex":
        return _COMPLEX_STEP
    return np.finfo(x.dtype).eps ** _ROOTS[method] * np.maximum(1, np.abs(x))


# What f is given, and what it gives.


def _along(f: Function, points: Sequence[np.ndarray], towards: int) -> Function:
    """`f` as a function of one argument: it hands over copies of all, and copies what comes back."""

    def along(x: np.ndarray) -> np.ndarray:
        arguments = [(x if i == towards else point).copy()[()] for i, point in enumerate(points)]
        return _numbers(f(*arguments), "the result of f")

    return along


def _numbers(given: Any, role: str) -> np.ndarray:
    """Floats or complex numbers in a new array: f may give the same one, with other numbers in it, next time."""
    try:
        array = np.array(given)
    except (TypeError, ValueError) as error:
        raise TypeError(_unwanted(given, role)) from error
    if array.dtype.kind not in "fciub":
        raise TypeError(_unwanted(given, role))
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def _unwanted(given: Any, role: str) -> str:
    kind = type(given).__name__
    return f"{role} must be a number or a plain array of numbers, but is a {kind}; of a Value, give the .data"


def _real(given: Any, role: str) -> np.ndarray:
    array = _numbers(given, role)
    if array.dtype.kind == "c":
        raise TypeError(f"{role} must be real, but is {array.dtype}: slopes are taken along real numbers")
    return array


# The V.


@dataclass(frozen=True)
class ErrorRow:
    """What each method finds by one step. NaN where the step is too small to move the point."""

    h: float
    slopes: Mapping[Method, float]
    errors: Mapping[Method, float]  # |slope - exact|


@dataclass(frozen=True, repr=False)
class ErrorTable:
    """Slopes and errors, a row for each step. It prints as a table, with a drawing of the errors beside it."""

    exact: float
    rows: tuple[ErrorRow, ...]

    def __str__(self) -> str:
        decades = _decades(error for row in self.rows for error in row.errors.values())
        return "\n".join([_header(self.rows, decades), *(_line(row, decades) for row in self.rows)])

    __repr__ = __str__


STEPS = tuple(float(f"1e-{k}") for k in range(1, 17))


def error_table(
    f: Function,
    x: float,
    exact: float,
    hs: Iterable[float] = STEPS,
    methods: Sequence[Method] = METHODS,
) -> ErrorTable:
    """Tell how far off each method is by each step.

    Args:
        f: a function of one number that gives a number.
        x: where to take the slope.
        exact: the slope itself.
        hs: the steps.
        methods: which methods to try. Leave out `"complex"` where f does not take complex numbers.

    Returns:
        A table to print. Each method draws its error as a letter, in a column for each power of ten, so that the
        V lies on its side. Its `rows` are data: `[(row.h, row.errors["central"]) for row in table.rows]`.

    Raises:
        TypeError: as in `slope`.
        ValueError: as in `slope`, but a step too small to move x gives NaN; f or x is not one number.
    """
    rows = []
    for h in hs:
        found = {method: _found(f, x, h, method) for method in methods}
        rows.append(ErrorRow(float(h), found, {method: abs(s - float(exact)) for method, s in found.items()}))
    return ErrorTable(float(exact), tuple(rows))


def _found(f: Function, x: float, h: float, method: Method) -> float:
    try:
        found = slope(f, x, h=h, method=method)
    except _UnmovedError:
        return math.nan
    if np.ndim(found):
        raise ValueError(f"x and f(x) must be one number each, but the slope has shape {found.shape}")
    return float(found)


_MARKS = {"forward": "f", "central": "c", "complex": "i"}  # and an asterisk where two of them meet
_WIDEST = 24  # powers of ten. What is larger is drawn at the right edge, and 0 at the left one


def _power(error: float) -> int:
    return math.floor(math.log10(error))


def _decades(errors: Iterable[float]) -> range:
    """The powers of ten that are drawn."""
    powers = [_power(error) for error in errors if 0 < error < math.inf] or [0]
    return range(min(powers), min(max(powers), min(powers) + _WIDEST) + 1)


def _header(rows: Sequence[ErrorRow], decades: range) -> str:
    titles = "".join(f"  {method:>15}  {'error':>7}" for method in (rows[0].slopes if rows else ()))
    return f"{'h':<7}{titles}   errors 1e{decades[0]} to 1e{decades[-1]}"


def _line(row: ErrorRow, decades: range) -> str:
    cells = "".join(f"  {row.slopes[method]:>15.9g}  {row.errors[method]:>7.1e}" for method in row.slopes)
    return f"{row.h:<7.1e}{cells}   {_plot(row.errors, decades)}".rstrip()


def _plot(errors: Mapping[Method, float], decades: range) -> str:
    line = [" "] * len(decades)
    for method, error in errors.items():
        if not math.isnan(error):
            column = _column(error, decades)
            line[column] = _MARKS[method] if line[column] == " " else "*"
    return "".join(line)


def _column(error: float, decades: range) -> int:
    if error == 0:
        return 0
    return len(decades) - 1 if error == math.inf else min(_power(error) - decades[0], len(decades) - 1)
