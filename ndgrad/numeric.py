"""Slopes by finite differences: nudge a number, and see how far the result moves.

It knows functions, and the numbers they take and give. It knows no graph and no rule of differentiation, so it
shares no mistake with them. What it calls gets NumPy scalars and arrays, never Values; the functions of ndgrad,
such as `ndgrad.exp`, are content with those.

The slope of f at x, by a step h:

    forward    (f(x + h) - f(x)) / h         the definition, but for h stopping short of 0
    central    (f(x + h) - f(x - h)) / 2h    what bends the curve is on both sides, and cancels
    complex    Im f(x + ih) / h              a step off the real line: nothing is subtracted

The first two are wrong by a term of h, or h squared, that shrinks with h. They also subtract two numbers that are
nearly equal, and the smaller h is, the more of their digits cancel. So one error falls and the other rises, and
in between lies the best h. `error_table` shows this V, and that the third method has only its falling half.
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


def slope(
    f: Function, *points: Any, towards: int = 0, h: float | None = None, method: Method = "forward"
) -> Any:
    """Give the slope of `f(*points)` towards one argument: each of its numbers is nudged by itself, in a copy.

    Beware of `"complex"` where f takes an absolute value, a sign, a conjugate or a real part (in a norm, a variance
    or a sigmoid, too): it is right only for functions that are analytic, and those are not. That f gives real
    numbers for complex ones, or drops an imaginary part, is noticed; that it went on with others is not.

    Args:
        f: a function of numbers and arrays that gives a number or an array. It must be defined at the point and a
            step further; on both sides for `"central"`; for complex numbers for `"complex"`. It may write into what
            it is given.
        points: a number or an array for each argument of f. Floats keep their dtype, integers and booleans
            become float64; f is given numbers as NumPy scalars.
        towards: the position of the argument that is nudged.
        h: the step. By default, with e the distance from 1 to the next number of the dtype and s the larger of 1
            and the number's size: e^(1/2) s for `"forward"` and e^(1/3) s for `"central"`, where both errors are
            about equal if f changes over distances like s; 1e-20 for `"complex"`, where there is only one.
        method: `"forward"`, `"central"` or `"complex"`.

    Returns:
        An array of shape `result.shape + point.shape`, of the point's dtype; a float where both are numbers.

    Raises:
        TypeError: a point or a result is a Value, or not made of real numbers; f does not take complex ones.
        ValueError: there is no such method or position; h is 0, infinite, or too small to move the point.

    Default steps: Press, Teukolsky, Vetterling and Flannery, Numerical Recipes, 3rd edition, 2007, section 5.7.
    Complex step: Squire and Trapp, Using Complex Variables to Estimate Derivatives of Real Functions, SIAM
    Review 40(1), 1998.
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


# The three methods. Each gives the column of slopes towards one number of x after the other. The first two divide
# by the step that was taken, not by h: x + h is rounded, and by as much as the difference that is to be measured.


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


_DIFFERENCES = {"forward": _forward, "central": _central, "complex": _complex}
METHODS: tuple[Method, ...] = ("forward", "central", "complex")


def _imaginary(f: Function, z: np.ndarray) -> np.ndarray:
    """The imaginary part of f(z), if f lets it through."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", np.exceptions.ComplexWarning
        )  # NumPy's, where an imaginary part is dropped
        try:
            y = f(z)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise TypeError(
                f"f fails on complex numbers, see above ({error}); try the method 'central'"
            ) from error
    if y.dtype.kind != "c":
        raise TypeError(
            "f gives real numbers for complex ones: it drops the imaginary part, as an absolute value or a real part "
            "does, or it does not depend on this argument; try the method 'central'"
        )
    return np.asarray(y.imag)


class _UnmovedError(ValueError):
    """The step is lost in rounding."""


def _nudged(x: np.ndarray, i: tuple[int, ...], step: Any) -> np.ndarray:
    """A copy of x with one of its numbers a step further."""
    moved = x.astype(np.result_type(x, step))
    moved[i] += step
    if moved[i] == x[i]:
        gap = np.spacing(np.abs(x[i]))
        raise _UnmovedError(
            f"a step of {abs(step):.3g} does not move {x[i]}: the next {x.dtype} is {gap:.3g} away"
        )
    return moved


def _steps(x: np.ndarray, h: float | None, method: Method) -> np.ndarray:
    """The step for each number of x."""
    dtype = (
        np.result_type(x, np.float32) if method == "complex" else x.dtype
    )  # no complex number is made of float16
    if h is None:
        return np.asarray(_default_step(x, method), dtype)
    if h == 0 or not math.isfinite(h):
        raise ValueError(f"h is {h}, but must be a step: finite, and not 0")
    return np.full(x.shape, h, dtype)


def _default_step(x: np.ndarray, method: Method) -> Any:
    if method == "complex":
        return np.full(
            x.shape, 1e-20
        )  # its square is far below any e, and float32 has room for slopes from 1e-18 on
    root = {"forward": 1 / 2, "central": 1 / 3}[method]
    return np.finfo(x.dtype).eps ** root * np.maximum(1, np.abs(x))


# What f is given, and what it gives.


def _real(point: Any, role: str) -> np.ndarray:
    """A point as an array of floats of its own."""
    array = _array(point, role)
    if array.dtype.kind == "c":
        raise TypeError(f"{role} is complex ({array.dtype}), but slopes are taken along real numbers")
    return array


def _array(given: Any, role: str) -> np.ndarray:
    """An array of floats or complex numbers of its own: f might write into it later, or give the same one twice."""
    try:
        array = np.array(given)
    except (TypeError, ValueError) as error:
        raise TypeError(_unwanted(given, role)) from error
    if array.dtype.kind not in "fciub":
        raise TypeError(_unwanted(given, role))
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def _unwanted(given: Any, role: str) -> str:
    return (
        f"{role} is of type {type(given).__name__}, but must be a number or a plain array of numbers; "
        "of a Value, give the .data"
    )


def _along(f: Function, points: Sequence[np.ndarray], towards: int) -> Function:
    """`f` as a function of one argument, which hands over copies of all and looks at what comes back."""

    def along(x: np.ndarray) -> np.ndarray:
        arguments = [(x if i == towards else point).copy()[()] for i, point in enumerate(points)]
        return _array(f(*arguments), "the result of f")

    return along


# The V.


@dataclass(frozen=True)
class ErrorRow:
    """What each method finds with one step. NaN where the step does not move the point."""

    h: float
    slopes: Mapping[Method, float]
    errors: Mapping[Method, float]  # |slope - exact|


@dataclass(frozen=True, repr=False)
class ErrorTable:
    """Slopes and errors, a row for each step. Prints as a table, with a drawing of the errors beside it."""

    exact: float
    rows: tuple[ErrorRow, ...]

    def __str__(self) -> str:
        decades = _decades(e for row in self.rows for e in row.errors.values())
        return "\n".join([_header(self.rows, decades), *(_line(row, decades) for row in self.rows)])

    __repr__ = __str__


def error_table(
    f: Function,
    x: float,
    exact: float,
    hs: Iterable[float] = tuple(float(f"1e-{k}") for k in range(1, 17)),
    methods: Sequence[Method] = METHODS,
) -> ErrorTable:
    """Tell how far off each method is with each step.

    Args:
        f: a function of one number that gives a number.
        x: where to take the slope.
        exact: the slope itself.
        hs: the steps.
        methods: which methods to try; leave out `"complex"` where f does not take complex numbers.

    Returns:
        An object that prints as a table, and whose `rows` are data: `[(r.h, r.errors["central"]) for r in t.rows]`.
        Beside the numbers it draws the errors, a decade to a column, so that the V lies on its side.

    Raises:
        TypeError, ValueError: as `slope`, but for a step too small to move x, which has no slope (NaN).
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
    if not isinstance(found, float):
        raise ValueError(
            f"error_table wants a function of one number that gives one, but its slope has shape {found.shape}"
        )
    return found


_MARKS = {"forward": "f", "central": "c", "complex": "i"}


def _decades(errors: Iterable[float]) -> range:
    """The powers of ten that the errors lie at; those that are exactly 0 are drawn at the lowest."""
    powers = [math.floor(math.log10(e)) for e in errors if e > 0 and math.isfinite(e)] or [0]
    return range(min(powers), max(powers) + 1)


def _header(rows: Sequence[ErrorRow], decades: range) -> str:
    titles = "".join(f"  {method:>17}  {'error':>7}" for method in (rows[0].slopes if rows else ()))
    return f"{'h':<7}{titles}   1e{decades[0]} to 1e{decades[-1]}"


def _line(row: ErrorRow, decades: range) -> str:
    cells = "".join(f"  {row.slopes[m]:>17.12g}  {row.errors[m]:>7.1e}" for m in row.slopes)
    return f"{row.h:<7.1e}{cells}   {_drawn(row.errors, decades)}".rstrip()


def _drawn(errors: Mapping[Method, float], decades: range) -> str:
    """Each method's letter in the column of its error's power of ten."""
    line = [" "] * len(decades)
    for method, error in errors.items():
        if math.isfinite(error):
            column = math.floor(math.log10(error)) - decades[0] if error else 0
            line[column] = _MARKS[method]
    return "".join(line)
