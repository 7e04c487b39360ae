"""Each op's forward on arrays of numbers with 120 digits: what the witness computes with. No gradient rule is in here.

The numbers are MPFR's, by way of gmpy2: they round correctly, know infinities, NaN and the sign of a zero as IEEE's do,
and overflow only at exp(7e8). So each op is its definition, with no care for rounding. Care is taken of one thing: what
goes through an exponential and back, as softmax does, comes back from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import gmpy2
import numpy as np

Exact: TypeAlias = Any  # an array of mpfr, or one mpfr where NumPy makes a number of an array without axes

PRECISION = 400  # bits: 120 digits, so that a difference quotient of a difference quotient still has 60 of them
ALONE = 400  # x from which on exp(-x), 1e-173, is lost beside x, also in 120 digits


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


def _each(function: Callable[..., Any], operands: int = 1) -> Callable[..., Any]:
    ufunc: Callable[..., Any] = np.frompyfunc(function, operands, 1)
    return ufunc


def _logaddexp(a: Any, b: Any) -> Any:
    """Of an infinity nothing is to be subtracted."""
    larger = _larger(a, b)
    return larger + gmpy2.log1p(gmpy2.exp(-abs(a - b))) if gmpy2.is_finite(a) and gmpy2.is_finite(b) else larger


def _larger(a: Any, b: Any) -> Any:
    """NaN if either is."""
    return a if a > b or a != a else b  # noqa: PLR0124 - that is how NaN is told


def _smaller(a: Any, b: Any) -> Any:
    return a if a < b or a != a else b  # noqa: PLR0124 - as above


exp, log, log1p, expm1, sqrt = map(_each, (gmpy2.exp, gmpy2.log, gmpy2.log1p, gmpy2.expm1, gmpy2.sqrt))
sin, cos, tan, tanh, square = map(_each, (gmpy2.sin, gmpy2.cos, gmpy2.tan, gmpy2.tanh, gmpy2.square))
relu = _each(lambda x: gmpy2.mpfr(0) if x < 0 else x)
sigmoid = _each(lambda x: 1 / (1 + gmpy2.exp(-x)))
softplus = _each(lambda x: x if x > ALONE else gmpy2.log1p(gmpy2.exp(x)))
# The identity says that the order of axes does not matter, and that there is no number to start from.
maximum = np.frompyfunc(_larger, 2, 1, identity=None)
minimum = np.frompyfunc(_smaller, 2, 1, identity=None)


def leaky_relu(x: Exact, *, negative_slope: float = 0.01) -> Exact:
    """`x` above 0, `negative_slope * x` below."""
    return np.where(np.asarray(x > 0, bool), x, x * gmpy2.mpfr(negative_slope))


def clip(x: Exact, low: Exact, high: Exact) -> Exact:
    """The upper bound has the last word."""
    return minimum(maximum(x, low), high)


def where(a: Exact, b: Exact, *, condition: np.ndarray) -> Exact:
    """`a` where the condition holds."""
    return np.where(condition, a, b)


def astype(x: Exact, *, dtype: str) -> Exact:
    """The number itself: to round it is an engine's error, not the op's meaning."""
    del dtype
    return x


def _count(x: Exact, axis: Any) -> int:
    """How many numbers go into each of the results."""
    results = int(np.sum(np.zeros(x.shape), axis=axis).size)
    return int(x.size) // max(1, results)


def mean(x: Exact, *, axis: Any = None, keepdims: bool = False) -> Exact:
    """The sum by the count."""
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims)) / gmpy2.mpfr(_count(x, axis))


def var(x: Exact, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Exact:
    """The sum of squares of what is left without the mean, by the count less `ddof`."""
    squares = square(x - mean(x, axis=axis, keepdims=True))
    freedom = gmpy2.mpfr(max(0, _count(x, axis) - ddof))
    return np.asarray(np.sum(squares, axis=axis, keepdims=keepdims)) / freedom


def std(x: Exact, **options: Any) -> Exact:
    """The root of the variance."""
    return sqrt(var(x, **options))


def _extreme(function: Any) -> Callable[..., Exact]:
    def reduce(x: Exact, *, axis: Any = None, keepdims: bool = False) -> Exact:
        return function.reduce(x, axis=axis, keepdims=keepdims) if x.ndim else x

    return reduce


amax, amin = _extreme(maximum), _extreme(minimum)


def _offset(x: Exact, axis: Any) -> Exact:
    """The largest numbers, which exponentials are taken without; 0 where that is no number to subtract."""
    largest = np.asarray(maximum.reduce(x, axis=axis, keepdims=True, initial=-gmpy2.inf()))
    return np.where(np.asarray(_each(gmpy2.is_finite)(largest), bool), largest, gmpy2.mpfr(0))


def logsumexp(x: Exact, *, axis: Any = None, keepdims: bool = False) -> Exact:
    """The logarithm of the sum of exponentials."""
    offset = _offset(x, axis)
    total = np.sum(exp(x - offset), axis=axis, keepdims=keepdims) + gmpy2.mpfr(0)
    return log(total) + np.reshape(offset, np.shape(total))


def softmax(x: Exact, *, axis: int = -1) -> Exact:
    """Each exponential's part in their sum."""
    e = np.asarray(exp(x - _offset(x, axis)))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Exact, *, axis: int = -1) -> Exact:
    """The logarithm of softmax."""
    return x - logsumexp(np.asarray(x), axis=axis, keepdims=True)


def label_cross_entropy(x: Exact, *, labels: np.ndarray) -> Exact:
    """Minus the logarithm of softmax, at each label."""
    return logsumexp(x, axis=-1) - np.take_along_axis(x, labels[..., None], -1)[..., 0]


def concatenate(*xs: Exact, axis: int | None = 0) -> Exact:
    """One after the other."""
    return np.concatenate(xs, axis=axis)


def stack(*xs: Exact, axis: int = 0) -> Exact:
    """Side by side, on a new axis."""
    return np.stack(xs, axis=axis)


def split(x: Exact, *, indices_or_sections: Any, axis: int = 0, piece: int) -> Exact:
    """One of NumPy's pieces."""
    return np.split(x, indices_or_sections, axis=axis)[piece]


def pad(x: Exact, *, pad_width: Any, mode: str = "constant", **values: Any) -> Exact:
    """NumPy's padding, by the places of the numbers: its own wants dtypes that it knows."""
    places = np.pad(np.arange(1, x.size + 1).reshape(x.shape), pad_width, mode=mode)  # type: ignore[call-overload]
    numbers = np.append(exactly([values.get("constant_values", 0)]), x.reshape(-1))
    return numbers[places]


def getitem(x: Exact, *, index: Any) -> Exact:
    """What the index picks."""
    return x[index]


def scatter(x: Exact, *, index: Any, shape: tuple[int, ...]) -> Exact:
    """Zeros, with the numbers added at the index."""
    out = exactly(np.zeros(shape))
    np.add.at(out, index, x)
    return out


# Definitions as users write them, with NumPy's functions.

_FUNCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.exp: exp, np.log: log, np.log1p: log1p, np.expm1: expm1, np.sqrt: sqrt, np.sin: sin, np.cos: cos, np.tan: tan,
    np.tanh: tanh, np.square: square, np.maximum: maximum, np.minimum: minimum,
    np.logaddexp: _each(_logaddexp, 2),
    np.sinh: _each(gmpy2.sinh), np.cosh: _each(gmpy2.cosh), np.arctan: _each(gmpy2.atan), np.cbrt: _each(gmpy2.cbrt),
    np.arcsin: _each(gmpy2.asin), np.arccos: _each(gmpy2.acos), np.arcsinh: _each(gmpy2.asinh),
    np.arccosh: _each(gmpy2.acosh), np.arctanh: _each(gmpy2.atanh), np.arctan2: _each(gmpy2.atan2, 2),
    np.hypot: _each(gmpy2.hypot, 2), np.exp2: _each(gmpy2.exp2), np.log2: _each(gmpy2.log2),
    np.log10: _each(gmpy2.log10),
}  # fmt: skip


class _Numbers(np.ndarray):
    """Exact numbers that NumPy's functions compute with, and not its operators alone."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, _Numbers) else x for x in inputs]
        function = _FUNCTIONS.get(ufunc, ufunc)
        return _numbers(getattr(function, method)(*plain, **options))

    def __array_function__(self, *call: Any) -> Any:
        return _numbers(super().__array_function__(*call))


def _numbers(x: Any) -> Any:
    """Exact numbers, be they one alone, as such; in lists as well, and all else as it is."""
    if isinstance(x, (list, tuple)):
        return [_numbers(one) for one in x]
    exact = isinstance(x, type(gmpy2.mpfr(0))) or (isinstance(x, np.ndarray) and x.dtype == object)
    return np.asarray(x, object).view(_Numbers) if exact else x


def defined(definition: Callable[..., Any], operands: Sequence[Exact], options: Mapping[str, Any]) -> Exact:
    """Compute what a row says that its op is, which may be written with NumPy's functions.

    Raises:
        TypeError: it needs one that is not known here.
    """
    try:
        return np.asarray(definition(*map(_numbers, operands), **options))
    except TypeError as error:
        if "mpfr" not in str(error):
            raise
        known = ", ".join(sorted(ufunc.__name__ for ufunc in _FUNCTIONS))
        raise TypeError(f"the exact definition fails on gmpy2's numbers, which know {known}: {error}") from error
