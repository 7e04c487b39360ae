"""Slopes by finite differences: nudge an argument, and see how much the result changes.

It calls functions on NumPy scalars and arrays, never on Values; the functions of ndgrad, such as `ndgrad.exp`, take
those as well. It knows no graph and no differentiation rule, so it shares no mistake with them.

The slope of f at x, by a step h:

    forward    (f(x + h) - f(x)) / h         the definition, but h does not go to 0
    central    (f(x + h) - f(x - h)) / 2h    the curvature is the same on both sides, and cancels
    complex    Im f(x + ih) / h              a step along the imaginary axis: nothing is subtracted

The truncation error of the formulas shrinks with h, or with its square. But the first two subtract nearly equal
numbers, and the smaller h is, the more digits cancel: one error falls and the other rises. `error_table` shows this V,
with the best h at its bottom, and that the error of the third method only falls.
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
    """Return the slope of `f(*points)` with respect to one argument. Each entry is nudged separately, in a copy.

    `"complex"` is right for analytic functions only. An absolute value, a sign, a conjugate or a real part is not
    analytic, and a norm, a variance or a sigmoid may contain one. If f returns real numbers for complex ones, or drops
    an imaginary part on the way, an error is raised. If it does neither, as `z * abs(z)`, the slope is wrong.

    Args:
        f: a function of numbers and arrays that returns a number or an array. It is called at the point and a step
            away: on both sides for `"central"`, along the imaginary axis for `"complex"`. It may write to its
                arguments.
        points: a number or an array for each argument of f. Floats keep their dtype, integers and booleans
            become float64. Numbers are passed to f as NumPy scalars.
        towards: the position of the argument that is nudged.
        h: the step. By default e^(1/2) s for `"forward"` and e^(1/3) s for `"central"`, where e is the distance from 1
            to the next number of the dtype, and s is the larger of 1 and the magnitude of the number: both errors are
            then about equal if f varies over distances like s. For `"complex"` 1e-20, since there is only one error,
            of about the square of h.
        method: `"forward"`, `"central"` or `"complex"`.

    Returns:
        An array of shape `result.shape + point.shape`, of the point's dtype; a float if both are numbers.

    Raises:
        TypeError: a point or a result is a Value, or not made of real numbers; or f does not take complex numbers.
        ValueError: there is no such method or position; or h is 0, infinite, or too small to move the point.

    Sources of the formulas: Press, Teukolsky, Vetterling and Flannery, Numerical Recipes, 3rd edition (2007),
    section 5.7, for the steps; Squire and Trapp, Using Complex Variables to Estimate Derivatives of Real
    Functions, SIAM Review 40(1) (1998), 110-112, for the third method.
    """
    if method not in _DIFFERENCES:
        raise ValueError(f"method is {method!r}, but must be one of {', '.join(_DIFFERENCES)}")
    if not 0 <= towards < len(points):
        raise ValueError(f"towards is {towards}, but f has {len(points)} arguments, counted from 0")
    arrays = [_real(point, f"argument {i}") for i, point in enumerate(points)]
    x = arrays[towards]
    along = _along(f, arrays, towards)
    columns = list(_DIFFERENCES[method](along, x, _steps(x, h, method)))
    if not columns:
        return np.zeros((*along(x).shape, *x.shape), x.dtype)
    found = _real(np.stack(columns, axis=-1), "the result of f").reshape((*columns[0].shape, *x.shape))
    return found.astype(x.dtype) if found.ndim else float(found)


def slopes(f: Function, *points: Any, h: float | None = None, method: Method = "forward") -> tuple[Any, ...]:
    """Return the slopes of `f(*points)` with respect to each argument. The rest is as in `slope`."""
    return tuple(slope(f, *points, towards=i, h=h, method=method) for i in range(len(points)))


# The three methods: each yields the slopes with respect to the entries of x, one by one. The first two divide by the
# actual step instead of h, because x + h is rounded: 3 + 1e-15 is 3 + 8.9e-16. The third does not need this, because an
# imaginary part of 1e-20 is exact beside any real part.


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
    """The step was rounded to 0."""


def _nudged(x: np.ndarray, i: tuple[int, ...], step: Any) -> np.ndarray:
    """Return a copy of x with a step added to one entry."""
    moved = x.astype(np.result_type(x, step))
    moved[i] += step
    if moved[i] == x[i]:
        gap = np.spacing(np.abs(x[i]))
        raise _UnmovedError(
            f"h does not move {x[i]} by {step:.3g}: the next {x.dtype} is {gap:.3g} away, take a larger h"
        )
    return moved


def _imaginary(f: Function, z: np.ndarray) -> np.ndarray:
    """Return the imaginary part of f(z), or raise an error if f drops it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # NumPy warns if it drops one
        try:
            y = f(z)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(f"f fails on complex numbers ({error}); take the method 'central'") from error
    if y.dtype.kind != "c":
        raise TypeError(
            "f returns real numbers for complex ones: it drops the imaginary part, as abs does, "
            "or it does not depend on this argument; take the method 'central'"
        )
    return np.asarray(y.imag)


def _steps(x: np.ndarray, h: float | None, method: Method) -> np.ndarray:
    """Return the step for each entry of x."""
    if h is not None and (h == 0 or not math.isfinite(h)):
        raise ValueError(f"h is {h}, but a step must be finite and not 0")
    dtype = np.result_type(x, np.float32) if method == "complex" else x.dtype  # float16 has no complex dtype
    return np.full(x.shape, _default_step(x, method) if h is None else h, dtype)


_ROOTS = {"forward": 1 / 2, "central": 1 / 3}
_COMPLEX_STEP = (
    1e-20  # its square is far below any e, and a float32 can still hold its product with slopes from 1e-18 on
)


def _default_step(x: np.ndarray, method: Method) -> Any:
    if method == "complex":
        return _COMPLEX_STEP
    return np.finfo(x.dtype).eps ** _ROOTS[method] * np.maximum(1, np.abs(x))


# The arguments and the result of f.


def _along(f: Function, points: Sequence[np.ndarray], towards: int) -> Function:
    """Make a function of one argument from `f`. It passes copies of all arguments, and copies the result."""

    def along(x: np.ndarray) -> np.ndarray:
        arguments = [(x if i == towards else point).copy()[()] for i, point in enumerate(points)]
        return _numbers(f(*arguments), "the result of f")

    return along


def _numbers(given: Any, role: str) -> np.ndarray:
    """Copy to an array of floats or complex numbers. f may return the same array each time, with other numbers."""
    try:
        array = np.array(given)
    except (TypeError, ValueError) as error:
        raise TypeError(_unwanted(given, role)) from error
    if array.dtype.kind not in "fciub":
        raise TypeError(_unwanted(given, role))
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def _unwanted(given: Any, role: str) -> str:
    kind = type(given).__name__
    return f"{role} must be a number or a plain array of numbers, but is a {kind}; for a Value, pass its .data"


def _real(given: Any, role: str) -> np.ndarray:
    array = _numbers(given, role)
    if array.dtype.kind == "c":
        raise TypeError(f"{role} must be real, but is {array.dtype}")
    return array


# The table of errors.


@dataclass(frozen=True)
class ErrorRow:
    """The slope and the error of each method for one step. NaN if the step is too small to move the point."""

    h: float
    slopes: Mapping[Method, float]
    errors: Mapping[Method, float]  # |slope - exact|


@dataclass(frozen=True, repr=False)
class ErrorTable:
    """Slopes and errors, one row for each step. It prints as a table, with a plot of the errors beside it."""

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
    """Tabulate the error of each method for each step.

    Args:
        f: a function of one number that returns a number.
        x: the point at which to take the slope.
        exact: the exact slope.
        hs: the steps.
        methods: the methods. Leave out `"complex"` if f does not take complex numbers.

    Returns:
        A table to print. The plot marks the error of each method by a letter, in a column for each power of ten, so the
        V lies on its side. The `rows` hold the data: `[(row.h, row.errors["central"]) for row in table.rows]`.

    Raises:
        TypeError: as in `slope`.
        ValueError: as in `slope`, except that a step too small to move x gives NaN; or x or f(x) is not one number.
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


_MARKS = {"forward": "f", "central": "c", "complex": "i"}  # and an asterisk for two in one column
_WIDEST = 24  # powers of ten. Larger errors are at the right edge, and 0 at the left one


def _power(error: float) -> int:
    return math.floor(math.log10(error))


def _decades(errors: Iterable[float]) -> range:
    """Return the powers of ten in the plot."""
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
