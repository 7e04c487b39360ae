"""Exact numbers: arrays of numbers with 120 digits, with which NumPy's functions compute. No op is known here.

The numbers are MPFR's, by way of gmpy2: they round correctly, know infinities, NaN and the sign of a zero as IEEE's do,
and overflow only at exp(7e8). NumPy's functions dispatch on an array of them. So what an op computes, written in NumPy,
is run on them as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeAlias

import gmpy2
import numpy as np

Exact: TypeAlias = Any  # an array of mpfr, or one mpfr where NumPy makes a number of an array without axes

PRECISION = 400  # bits: 120 digits, so that a difference quotient of a difference quotient still has 60 of them
ALONE = 400  # x from which on exp(-x), 1e-173, is lost beside x, also in 120 digits

_NUMBER = type(gmpy2.mpfr(0))


@contextmanager
def precisely() -> Iterator[None]:
    """Compute with `PRECISION` bits while it lasts."""
    with gmpy2.context(gmpy2.get_context(), precision=PRECISION):
        yield


def exactly(x: Any) -> Exact:
    """Numbers, or an array of any dtype, as an array of exact numbers: floats are exact as they are."""
    array = np.asarray(x)
    out = np.empty(array.shape, dtype=object)
    flat = out.reshape(-1)
    for i, number in enumerate(array.reshape(-1).tolist()):
        flat[i] = gmpy2.mpfr(number)
    return flat.reshape(array.shape)


# NumPy's functions on exact numbers, where an object's operators are not enough.


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
    """Of an infinity nothing is to be subtracted; and far apart the smaller is lost."""
    larger, apart = _larger(a, b), abs(a - b)
    if not gmpy2.is_finite(apart) or (apart > ALONE and larger):
        return larger + 0  # what is added to it is 0, and so -0 becomes 0
    return larger + gmpy2.log1p(gmpy2.exp(-apart))


def _logaddexp2(a: Any, b: Any) -> Any:
    larger, apart = _larger(a, b), abs(a - b)
    if not gmpy2.is_finite(apart):
        return larger + 0
    return larger + gmpy2.log1p(gmpy2.exp2(-apart)) / gmpy2.const_log2()


def _larger(a: Any, b: Any) -> Any:
    """NaN if either is."""
    return a if a > b or a != a else b  # noqa: PLR0124 - that is how NaN is told


def _smaller(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b  # noqa: PLR0124 - as above


def _divided(a: Any, b: Any) -> Any:
    """By a Python 0 as well, as NumPy divides: to infinity, or NaN."""
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
    # The identity says that the order of axes does not matter, and that there is no number to start from.
    np.maximum: np.frompyfunc(_larger, 2, 1, identity=None),
    np.minimum: np.frompyfunc(_smaller, 2, 1, identity=None),
}  # fmt: skip


def _pad(x: Any, pad_width: Any, mode: str = "constant", **values: Any) -> Any:
    """NumPy's padding, by the places of the numbers: its own wants dtypes that it knows."""
    places = np.pad(np.arange(1, x.size + 1).reshape(x.shape), pad_width, mode=mode)  # type: ignore[call-overload]
    numbers = np.append(exactly([values.get("constant_values", 0)]), np.asarray(x).reshape(-1))
    return numbers[places]


def _where(condition: Any, a: Any, b: Any) -> Any:
    return np.where(np.asarray(condition, bool), _plain(a), _plain(b))


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


_FUNCTIONS: Mapping[Any, Callable[..., Any]] = {np.pad: _pad, np.where: _where, np.clip: _clip}


def _plain(x: Any) -> Any:
    """An operand for a function of objects. A float is exact as it is; met in a result, it would be a leak."""
    if isinstance(x, _Numbers):
        return np.asarray(x)
    is_floats = isinstance(x, (float, np.floating)) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")
    return exactly(x) if is_floats else x


class _Numbers(np.ndarray):
    """Exact numbers that NumPy's functions compute with, and not its operators alone."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = list(map(_plain, inputs))
        if method == "reduce" and not plain[0].ndim:  # of no axes there is nothing to reduce
            return _numbers(plain[0])
        return _numbers(getattr(_UFUNCS.get(ufunc, ufunc), method)(*plain, **options))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _FUNCTIONS:
            return _numbers(_FUNCTIONS[function](*args, **kwargs))
        return _numbers(super().__array_function__(function, types, args, kwargs))

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """The numbers themselves: to round them is an engine's error, not an op's meaning."""
        del dtype
        return self


def _numbers(x: Any) -> Any:
    """Exact numbers, be they one alone, as such; in lists as well, and all else as it is."""
    if isinstance(x, (list, tuple)):
        return [_numbers(one) for one in x]
    exact = isinstance(x, _NUMBER) or (isinstance(x, np.ndarray) and x.dtype == object)
    return np.asarray(x, object).view(_Numbers) if exact else x


class InexactError(TypeError):
    """A definition that does not stay exact: it goes through floats, or uses what exact numbers do not know."""


def computed(definition: Callable[..., Any], operands: Sequence[Exact], options: Mapping[str, Any]) -> Exact:
    """Compute what an op is, on exact numbers, by its definition in NumPy.

    Args:
        definition: `definition(*operands, **options)`.
        operands: arrays of exact numbers.
        options: what else it takes.

    Returns:
        An array of exact numbers.

    Raises:
        InexactError: some number of the result is not exact.
    """
    try:
        given = definition(*map(_numbers, operands), **options)
        result = np.asarray(given, object if isinstance(given, int) else None)
    except TypeError as error:
        if "mpfr" not in str(error):
            raise
        known = ", ".join(sorted(ufunc.__name__ for ufunc in _UFUNCS))
        raise InexactError(f"the definition fails on exact numbers, which know {known}: {error}") from error
    flat = result.reshape(-1)
    if result.dtype != object or not all(isinstance(number, (_NUMBER, int)) for number in flat):
        strange = result.dtype if result.dtype != object else {type(number).__name__ for number in flat}
        raise InexactError(f"the definition gives {strange} of exact numbers: it goes through floats")
    whole = [i for i, number in enumerate(flat) if isinstance(number, int)]  # sums of nothing are Python's 0 and 1
    if whole:
        flat = flat.copy()
        for i in whole:
            flat[i] = gmpy2.mpfr(flat[i])
    return np.asarray(flat.reshape(result.shape))
