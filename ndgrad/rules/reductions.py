"""Rules of reductions: sums, products, extremes, variances; and of cumulative sums and products.

As in NumPy, `axis` is None for all axes, an integer or a tuple; negative axes count from the end, and `()` reduces
nothing. Extremes share the cotangent equally among ties, as PyTorch's `amax` and `amin` do.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from ndgrad.rules.rule import Call, Rule, floats, whole

Axis: TypeAlias = int | tuple[int, ...] | None


def _axis(axis: Any) -> Axis:
    """Normalise `axis`: a list becomes a tuple, and NumPy integers become ints. A float is an error."""
    if axis is None:
        return None
    return tuple(whole("axis", a) for a in axis) if isinstance(axis, (tuple, list)) else whole("axis", axis)


def _bind_axes(x: Any, axis: Any = None, *, keepdims: bool = False) -> Call:
    """Bind the signature `(x, axis=None, *, keepdims=False)`."""
    return (x,), {"axis": _axis(axis), "keepdims": bool(keepdims)}


def _bind_variance(x: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Call:
    return (x,), {"axis": _axis(axis), "ddof": ddof, "keepdims": bool(keepdims)}


def _bind_axis(x: Any, axis: Any = None) -> Call:
    return (x,), {"axis": _axis(axis)}


def keepdims_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Return the shape of a reduction of `shape` with `keepdims=True`."""
    return tuple(1 if reduced else n for n, reduced in zip(shape, _reduced(shape, axis), strict=True))


def restore(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Restore the reduced axes with length 1, so that the array broadcasts against the operand."""
    return g.reshape(keepdims_shape(shape, axis))


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """Return how many numbers of an operand of `shape` are reduced to each number of the result.

    For a 0-d operand, NumPy's `mean`, `var` and `std` reject any axis, while its sums accept 0 and -1.
    """
    if not shape and axis not in (None, ()):
        raise np.exceptions.AxisError(axis if isinstance(axis, int) else axis[0], 0)
    return math.prod(n for n, reduced in zip(shape, _reduced(shape, axis), strict=True) if reduced)


def _reduced(shape: tuple[int, ...], axis: Axis) -> list[bool]:
    if axis is None or not shape:  # for a 0-d operand NumPy accepts the axes 0 and -1, and reduces nothing
        return [True] * len(shape)
    reduced = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return [i in reduced for i in range(len(shape))]


def _sum(x: Any, *, axis: Any, keepdims: bool) -> Any:
    total: Any = np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    return total


def _mean(x: Any, *, axis: Axis, keepdims: bool) -> Any:
    if x.dtype == np.float16:  # sums of float16 overflow at 65,504; NumPy's mean, too, computes in single precision
        return _mean(x.astype(np.float32), axis=axis, keepdims=keepdims).astype(np.float16)
    return _sum(x, axis=axis, keepdims=keepdims) / count(x.shape, axis)


def _broadcast_back(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Broadcast a reduced array to the shape that it was reduced from, as a view."""
    if isinstance(g, (np.ndarray, np.generic)) and g.size == 1:  # mostly a loss: a tenth of np.broadcast_to's time
        view: Any = np.ndarray(shape, g.dtype, np.asarray(g), 0, (0,) * len(shape))
        view.flags.writeable = False
        return view
    return np.broadcast_to(restore(g, shape, axis) if g.ndim else g, shape)


def _divide_by_count(g: Any, n: int) -> Any:
    """Divide by a count, which may be larger than the numbers of half precision."""
    return g / (np.float64(n) if g.dtype == np.float16 else n)


def _deviation(x: Any, axis: Axis) -> Any:
    """Return the deviation of each number from the mean of those that it is reduced with."""
    return x - np.add.reduce(x, axis=axis, keepdims=True) / count(x.shape, axis)


def _as_double(x: Any) -> Any:
    """Convert to double precision, so that products and squares of smaller floats neither overflow nor underflow."""
    return x.astype(np.float64) if x.dtype.itemsize < 8 else x  # noqa: PLR2004 - bytes


def _cast_pair(pair: tuple[Any, Any], dtype: Any) -> tuple[Any, Any]:
    return pair[0].astype(dtype, copy=False), pair[1].astype(dtype, copy=False)


def _variance(x: Any, *, axis: Axis, ddof: float, keepdims: bool) -> tuple[Any, Any]:
    """Compute the variance and the deviations.

    Data far from 0 needs the two passes. Rounding leaves a mean of the deviations, which is then subtracted, too.
    Equal numbers have variance 0, even if their mean is rounded. For `ddof` numbers or fewer, the divisor is 0.
    """
    d = _deviation(x, axis)
    left = np.add.reduce(d, axis=axis, keepdims=True) / count(x.shape, axis)
    d = d - np.where(np.isfinite(left), left, 0.0)
    least = np.minimum.reduce(x, axis=axis, keepdims=True, initial=np.inf)
    most = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    d = np.where((least == most) & np.isfinite(d), 0.0, d)
    n = count(x.shape, axis)
    return _sum(d * d, axis=axis, keepdims=keepdims) / (n - ddof if n > ddof else 0), d


def _var(x: Any, **options: Any) -> tuple[Any, Any]:
    x = floats(x)
    return _cast_pair(_variance(_as_double(x), **options), x.dtype)


def _var_pullback(g: Any, _y: Any, _x: Any, *, axis: Axis, ddof: float, keepdims: bool, residual: Any) -> Any:
    del keepdims
    freedom = count(_x.shape, axis) - ddof
    return restore(g, _x.shape, axis) * (2.0 / freedom if freedom else math.inf) * residual


def _std(x: Any, **options: Any) -> tuple[Any, Any]:
    x = floats(x)
    variance, d = _variance(_as_double(x), **options)
    return _cast_pair((np.sqrt(variance), d), x.dtype)


def _std_pullback(g: Any, y: Any, _x: Any, **options: Any) -> Any:
    """Differentiate through the variance. A standard deviation of 0 is a kink: its slope is 0 by convention."""
    flat = np.equal(y, 0)
    return _var_pullback(np.where(flat, 0.0, g / np.where(flat, 1.0, 2 * y)), y, _x, **options)


def _prod(x: Any, *, axis: Axis, keepdims: bool) -> Any:
    product = np.multiply.reduce(_as_double(x), axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    return product.astype(x.dtype, copy=False)


def _prod_pullback(g: Any, y: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    """Multiply by the product of the other numbers: the whole product divided by each number, where that is accurate.

    The quotient is inaccurate if a number is 0, or if the product overflows or underflows. It is also inaccurate if the
    slope is recorded for another derivative: the terms of a quotient's derivative cancel, and lose digits. If a number
    is infinite or NaN, the product is divided nevertheless, as in PyTorch.
    """
    del keepdims
    g = restore(g, x.shape, axis)
    finite = np.all(np.isfinite(x))
    alone = finite and x.size == y.size  # each number is a product by itself: slope 1, second derivative 0
    inaccurate = finite and (not isinstance(x, np.ndarray) or _is_lost(y))
    divides = not alone and not inaccurate and np.all(np.not_equal(x, 0))
    if divides:
        return g * (restore(y, x.shape, axis) / x)
    return g * _product_of_others(x if alone else _as_double(x), axis)


def _is_lost(products: Any) -> bool:
    """Return whether a product of finite numbers overflowed, or is subnormal or 0, and so has lost digits."""
    limits = np.finfo(products.dtype)
    size = np.abs(products)
    return bool(np.any((size < limits.smallest_normal) | (size > limits.max)))


def _product_of_others(x: Any, axis: Axis) -> Any:
    """Return for each number of `x` the product of the others that it is reduced with, without a division."""
    reduced = _reduced(x.shape, axis)
    order = [i for i, r in enumerate(reduced) if not r] + [i for i, r in enumerate(reduced) if r]
    front = [x.shape[i] for i, r in enumerate(reduced) if not r]
    together = math.prod(x.shape[i] for i, r in enumerate(reduced) if r)  # also for 0-d `x`, where `axis` may be 0
    lanes = x.transpose(order).reshape((*front, together))
    others = _running_product(lanes) * np.flip(_running_product(np.flip(lanes, -1)), -1)
    return others.reshape([x.shape[i] for i in order]).transpose([order.index(i) for i in range(len(order))])


def _running_product(x: Any) -> Any:
    """Return the exclusive cumulative product along the last axis, in log2(n) steps of doubling reach."""
    if not x.shape[-1]:
        return x
    ones = np.ones((*x.shape[:-1], 1), dtype=x.dtype)
    product = np.concatenate([ones, x[..., :-1]], axis=-1)
    reach = 1
    while reach < x.shape[-1]:
        product = np.concatenate([product[..., :reach], product[..., reach:] * product[..., :-reach]], axis=-1)
        reach *= 2
    return product


def _extreme_pullback(g: Any, y: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    """Share the cotangent equally among the numbers that tie. They are counted in double precision for float16."""
    del keepdims
    winners = np.equal(x, restore(y, x.shape, axis))
    dtype = np.float64 if x.dtype == np.float16 else x.dtype
    return restore(g, x.shape, axis) * winners / np.add.reduce(winners, axis=axis, keepdims=True, dtype=dtype)


def _logsumexp(x: Any, *, axis: Axis, keepdims: bool) -> tuple[Any, Any]:
    """Subtract the largest number first, so that nothing overflows. The residual is each number's share of the sum.

    If all numbers are -inf, as under a mask, the result is -inf, without a warning for the logarithm of 0.
    """
    x = floats(x)
    limit = np.finfo(x.dtype).max  # to subtract an infinite top would give NaN
    with np.errstate(all="ignore"):
        top = np.clip(np.maximum.reduce(x, axis=axis, keepdims=True, initial=-limit), -limit, limit)
        e = np.exp(x - top)
        total = np.add.reduce(e, axis=axis, keepdims=True)
        y = np.log(total) + top
        return (y if keepdims else y.reshape(np.add.reduce(x, axis=axis).shape)), e / total


def _cumsum_pullback(g: Any, _y: Any, _x: Any, *, axis: int | None) -> Any:
    """Sum the cotangents from the end, because a number is part of every sum from its own place on."""
    return _summed_from_the_end(g, 0 if axis is None else axis).reshape(_x.shape)


def _cumprod_pullback(g: Any, y: Any, x: Any, *, axis: int | None) -> Any:
    """Sum the products from each number's own place on, each without that number, times their cotangents.

    Nothing is divided by a number, since it may be 0. Beside infinities and NaN this follows PyTorch, which divides.
    """
    along, lanes = axis or 0, x.reshape(y.shape)
    if y.shape[along] == 1:  # each number is a product by itself
        return g.reshape(x.shape)
    others = _without_each_number(g, _as_double(lanes), along)
    others = others.astype(x.dtype) if others.dtype != x.dtype else others
    finite = (np.abs(others) < np.inf) & (np.abs(lanes) < np.inf)
    if not np.all(finite):
        others = np.where(finite, others, _up_to_first_zero(g, y, lanes, along))
    return others.reshape(x.shape)


def _without_each_number(g: Any, x: Any, axis: int) -> Any:
    """Return for each number the product before it, times the cotangent of the product up to it.

    That cotangent is `total[i] = g[i] + x[i + 1] * total[i + 1]`, computed in log2(n) steps of doubling reach.
    """
    lanes, total = np.swapaxes(x, axis, -1), np.swapaxes(g, axis, -1)
    factors, reach = lanes[..., 1:], 1
    while reach < lanes.shape[-1]:
        total = np.concatenate([total[..., :-reach] + factors * total[..., reach:], total[..., -reach:]], axis=-1)
        factors = factors[..., :-reach] * factors[..., reach:]
        reach *= 2
    return np.swapaxes(_running_product(lanes) * total, axis, -1)


def _summed_from_the_end(x: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis)


def _up_to_first_zero(g: Any, y: Any, x: Any, axis: int) -> Any:
    """Compute the gradient as PyTorch does: 0 after the first 0, which gets no contribution from a second 0 on."""
    zeros = np.cumsum(np.equal(x, 0), axis)
    early, first, between = zeros == 0, (zeros == 1) & np.equal(x, 0), zeros == 1
    before = np.where(early, x, 1.0)
    after = np.cumprod(np.where(early | first, 1.0, np.where(between, x, 0.0)), axis)
    at_first = np.cumprod(before, axis) * _summed_from_the_end(np.where(between, g, 0.0) * after, axis)
    up_to_it = _summed_from_the_end(np.where(early, g * y, 0.0), axis) / before
    return np.where(early, up_to_it, np.where(first, at_first, 0.0))


# fmt: off
#         forward                                              pullback: (g, y, x, **options)
sum       = Rule(_sum,
                 lambda g, _y, _x, *, axis, keepdims: _broadcast_back(g, _x.shape, axis),
                 bind=_bind_axes, numpy=(np.sum, np.add.reduce))
mean      = Rule(_mean,
                 lambda g, _y, _x, *, axis, keepdims: _broadcast_back(_divide_by_count(g, count(_x.shape, axis)), _x.shape, axis),
                 bind=_bind_axes, numpy=(np.mean,))
prod      = Rule(_prod, _prod_pullback,
                 bind=_bind_axes, numpy=(np.prod, np.multiply.reduce))
max       = Rule(lambda x, *, axis, keepdims: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
                 _extreme_pullback, bind=_bind_axes, numpy=(np.max, np.maximum.reduce))
min       = Rule(lambda x, *, axis, keepdims: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
                 _extreme_pullback, bind=_bind_axes, numpy=(np.min, np.minimum.reduce))
var       = Rule(_var, _var_pullback, residual=lambda _y, x, *, axis, **_: _deviation(x, axis),
                 bind=_bind_variance, numpy=(np.var,))
std       = Rule(_std, _std_pullback, residual=lambda _y, x, *, axis, **_: _deviation(x, axis),
                 bind=_bind_variance, numpy=(np.std,))
logsumexp = Rule(_logsumexp,
                 lambda g, _y, _x, *, axis, keepdims, residual: restore(g, _x.shape, axis) * residual,
                 residual=lambda y, x, *, axis, keepdims: np.exp(x - restore(y, x.shape, axis)),
                 bind=_bind_axes)
cumsum    = Rule(lambda x, *, axis: np.cumsum(x, axis=axis),
                 _cumsum_pullback, bind=_bind_axis, numpy=(np.cumsum, np.add.accumulate))
cumprod   = Rule(lambda x, *, axis: np.cumprod(_as_double(x), axis=axis).astype(x.dtype, copy=False),
                 _cumprod_pullback, bind=_bind_axis, numpy=(np.cumprod, np.multiply.accumulate))
# fmt: on
