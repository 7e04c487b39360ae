"""Exact numbers: arrays of numbers with 120 digits, on which NumPy's functions compute. No op is known here.

The numbers are MPFR's, by gmpy2: they round correctly, have infinities, NaN and signed zeros like IEEE's, and overflow
only at exp(7e8). NumPy's functions dispatch on arrays of them, so that an op's definition in NumPy runs on them
unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import gmpy2
import numpy as np

Exact: TypeAlias = Any  # an array of mpfr, or one mpfr where NumPy turns a 0-d array into a scalar

PRECISION = 400  # bits: 120 digits, of which a difference quotient of a difference quotient still has 60

_NUMBER = type(gmpy2.mpfr(0))


@contextmanager
def precisely(bits: int = PRECISION) -> Iterator[None]:
    """Return a context in which results have this many bits."""
    with gmpy2.context(gmpy2.get_context(), precision=bits):
        yield


def exactly(x: Any) -> Exact:
    """Convert a number or an array of any dtype to an array of exact numbers. Floats are converted exactly."""
    array = np.asarray(x)
    out = np.empty(array.shape, dtype=object)
    flat = out.reshape(-1)
    for i, number in enumerate(array.reshape(-1).tolist()):
        flat[i] = gmpy2.mpfr(number)
    return flat.reshape(array.shape)


# NumPy's functions on exact numbers, unless an object's operators suffice.


def _each(function: Callable[..., Any], operands: int = 1) -> Callable[..., Any]:
    ufunc: Callable[..., Any] = np.frompyfunc(function, operands, 1)
    return ufunc


def _slow(function: Callable[..., Any], operands: int = 1) -> Callable[..., Any]:
    """The same for a function that takes long, up to 0.1 ms. It remembers the results of the last numbers.

    The witness moves one number of many at a time, and so asks for most results again and again.
    """

    @lru_cache(maxsize=4_096)
    def remembered(precision: int, *numbers: Any) -> Any:
        del precision  # a result has as many bits as the context asked for
        return function(*numbers)

    def computed(*numbers: Any) -> Any:
        if all(numbers):
            return remembered(gmpy2.get_context().precision, *numbers)
        return function(*numbers)  # 0 and -0 are equal, and may have other results

    return _each(computed, operands)


def _logaddexp(a: Any, b: Any) -> Any:
    """Infinities have no finite difference, and beside a far larger operand the smaller one is negligible."""
    larger, difference = _larger(a, b), abs(a - b)
    if not gmpy2.is_finite(difference) or (difference > gmpy2.get_context().precision and larger):
        return larger + 0  # adding 0 turns -0 into 0
    return larger + gmpy2.log1p(gmpy2.exp(-difference))


def _logaddexp2(a: Any, b: Any) -> Any:
    larger, difference = _larger(a, b), abs(a - b)
    if not gmpy2.is_finite(difference):
        return larger + 0
    return larger + gmpy2.log1p(gmpy2.exp2(-difference)) / gmpy2.const_log2()


def _larger(a: Any, b: Any) -> Any:
    """Return the larger number, or NaN if either is NaN."""
    return a if a > b or a != a else b  # noqa: PLR0124 - a test for NaN


def _smaller(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b  # noqa: PLR0124 - as above


def _divided(a: Any, b: Any) -> Any:
    """Divide, also by a Python 0, to infinity or NaN like NumPy."""
    return gmpy2.mpfr(a) / gmpy2.mpfr(b)


_UFUNCS: Mapping[np.ufunc, Callable[..., Any]] = {
    np.exp: _slow(gmpy2.exp), np.log: _slow(gmpy2.log), np.log1p: _slow(gmpy2.log1p), np.expm1: _slow(gmpy2.expm1),
    np.exp2: _slow(gmpy2.exp2), np.log2: _slow(gmpy2.log2), np.log10: _slow(gmpy2.log10),
    np.sqrt: _each(gmpy2.sqrt), np.square: _each(gmpy2.square), np.cbrt: _slow(gmpy2.cbrt),
    np.sin: _slow(gmpy2.sin), np.cos: _slow(gmpy2.cos), np.tan: _slow(gmpy2.tan),
    np.sinh: _slow(gmpy2.sinh), np.cosh: _slow(gmpy2.cosh), np.tanh: _slow(gmpy2.tanh),
    np.arcsin: _slow(gmpy2.asin), np.arccos: _slow(gmpy2.acos), np.arctan: _slow(gmpy2.atan),
    np.arcsinh: _slow(gmpy2.asinh), np.arccosh: _slow(gmpy2.acosh), np.arctanh: _slow(gmpy2.atanh),
    np.arctan2: _slow(gmpy2.atan2, 2), np.hypot: _slow(gmpy2.hypot, 2),
    np.logaddexp: _slow(_logaddexp, 2), np.logaddexp2: _slow(_logaddexp2, 2),
    np.divide: _each(_divided, 2), np.float_power: np.power,
    np.isfinite: _each(gmpy2.is_finite), np.isnan: _each(gmpy2.is_nan),
    # `identity=None` means that the axes may be reduced in any order, and that empty reductions are refused.
    np.maximum: np.frompyfunc(_larger, 2, 1, identity=None),
    np.minimum: np.frompyfunc(_smaller, 2, 1, identity=None),
}  # fmt: skip


def _pad(x: Any, pad_width: Any, mode: str = "constant", **values: Any) -> Any:
    """Pad the places of the numbers and select by these, for NumPy's `pad` does not support this dtype."""
    places = np.pad(np.arange(1, x.size + 1).reshape(x.shape), pad_width, mode=mode)  # type: ignore[call-overload]
    numbers = np.append(exactly([values.get("constant_values", 0)]), np.asarray(x).reshape(-1))
    return numbers[places]


def _where(condition: Any, a: Any, b: Any) -> Any:
    return np.where(np.asarray(condition, bool), _plain(a), _plain(b))


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


_FUNCTIONS: Mapping[Any, Callable[..., Any]] = {np.pad: _pad, np.where: _where, np.clip: _clip}


def _plain(x: Any) -> Any:
    """Convert an operand for a function of objects. A float operand is exact; a float result would be an error."""
    if isinstance(x, _Numbers):
        return np.asarray(x)
    is_floats = isinstance(x, (float, np.floating)) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
    return exactly(x) if is_floats else x


class _Numbers(np.ndarray):
    """An array of exact numbers that supports NumPy's functions, and not only its operators."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = list(map(_plain, inputs))
        if method == "reduce" and not plain[0].ndim:  # without axes there is nothing to reduce
            return _numbers(plain[0])
        return _numbers(getattr(_UFUNCS.get(ufunc, ufunc), method)(*plain, **options))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _FUNCTIONS:
            return _numbers(_FUNCTIONS[function](*args, **kwargs))
        return _numbers(super().__array_function__(function, types, args, kwargs))

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """Return the numbers unchanged: rounding is an engine's error, and not part of the op's definition."""
        del dtype
        return self


def _numbers(x: Any) -> Any:
    """View exact numbers, also single ones and those in lists, as `_Numbers`. Other objects are returned unchanged."""
    if isinstance(x, (list, tuple)):
        return [_numbers(one) for one in x]
    exact = isinstance(x, _NUMBER) or (isinstance(x, np.ndarray) and x.dtype == object)
    return np.asarray(x, object).view(_Numbers) if exact else x


class InexactError(TypeError):
    """A definition that does not stay exact: it converts to floats, or uses a function that exact numbers lack."""


def computed(definition: Callable[..., Any], operands: Sequence[Exact], options: Mapping[str, Any]) -> Exact:
    """Compute an op's definition on exact numbers.

    Args:
        definition: `definition(*operands, **options)`.
        operands: arrays of exact numbers.
        options: the options.

    Returns:
        An array of exact numbers.

    Raises:
        InexactError: a number of the result is not exact.
    """
    try:
        value = definition(*map(_numbers, operands), **options)
        result = np.asarray(value, object if isinstance(value, int) else None)
    except TypeError as error:
        if "mpfr" not in str(error):
            raise
        supported = ", ".join(sorted(ufunc.__name__ for ufunc in _UFUNCS))
        raise InexactError(f"the definition fails on exact numbers, which support {supported}: {error}") from error
    flat = result.reshape(-1)
    if result.dtype != object or not all(isinstance(number, (_NUMBER, int)) for number in flat):
        found = result.dtype if result.dtype != object else {type(number).__name__ for number in flat}
        raise InexactError(f"the definition gives {found} for exact numbers: it goes through floats")
    whole = [i for i, number in enumerate(flat) if isinstance(number, int)]  # empty sums and products are Python ints
    if whole:
        flat = flat.copy()
        for i in whole:
            flat[i] = gmpy2.mpfr(flat[i])
    return np.asarray(flat.reshape(result.shape))
