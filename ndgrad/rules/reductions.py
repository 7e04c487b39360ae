"""Rules that take many numbers to few: sums, extremes, spreads, and the running sum.

`axis` is None (everything), a number or a tuple, negative ones counted from the end, `()` reducing nothing,
as in NumPy. Extremes share their gradient equally among ties, as PyTorch's `amax` and `amin` do.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from ndgrad.rules.rule import Call, Rule, floats, whole

Axis: TypeAlias = int | tuple[int, ...] | None


def _axis(axis: Any) -> Axis:
    """One spelling for each axis, so that a list or a NumPy integer will do, and a float is refused."""
    if axis is None:
        return None
    return tuple(whole("axis", a) for a in axis) if isinstance(axis, (tuple, list)) else whole("axis", axis)


def over_axes(x: Any, axis: Any = None, *, keepdims: bool = False) -> Call:
    """Bind the signature `(x, axis=None, *, keepdims=False)`."""
    return (x,), {"axis": _axis(axis), "keepdims": bool(keepdims)}


def _spread(x: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Call:
    return (x,), {"axis": _axis(axis), "ddof": ddof, "keepdims": bool(keepdims)}


def _running(x: Any, axis: Any = None) -> Call:
    return (x,), {"axis": _axis(axis)}


def keepdims_shape(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape that a reduction of `shape` has with `keepdims=True`."""
    return tuple(1 if reduced else n for n, reduced in zip(shape, _reduced(shape, axis), strict=True))


def restore(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Give a reduced array its reduced axes back, with length 1, so that it broadcasts against the operand."""
    return g.reshape(keepdims_shape(shape, axis))


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many numbers of an operand of `shape` go into each number of the result.

    NumPy's `mean`, `var` and `std` refuse an axis of an array without any, where its sums take 0 and -1 for one.
    """
    if not shape and axis not in (None, ()):
        raise np.exceptions.AxisError(axis if isinstance(axis, int) else axis[0], 0)
    return math.prod(n for n, reduced in zip(shape, _reduced(shape, axis), strict=True) if reduced)


def _reduced(shape: tuple[int, ...], axis: Axis) -> list[bool]:
    if axis is None or not shape:  # of no axes NumPy takes 0 and -1 for an axis, and reduces nothing
        return [True] * len(shape)
    reduced = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))}
    return [i in reduced for i in range(len(shape))]


def _sum(x: Any, *, axis: Any, keepdims: bool) -> Any:
    total: Any = np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    return total


def _mean(x: Any, *, axis: Axis, keepdims: bool) -> Any:
    if x.dtype == np.float16:  # whose sums overflow at 65,504; NumPy, too, takes its means in single precision
        return _mean(x.astype(np.float32), axis=axis, keepdims=keepdims).astype(np.float16)
    return _sum(x, axis=axis, keepdims=keepdims) / count(x.shape, axis)


def _repeated(g: Any, shape: tuple[int, ...], axis: Axis) -> Any:
    """Give a reduced array the shape that it was reduced from: a view, each number repeated."""
    if isinstance(g, (np.ndarray, np.generic)) and g.size == 1:  # the loss, mostly: a tenth of np.broadcast_to's time
        view: Any = np.ndarray(shape, g.dtype, np.asarray(g), 0, (0,) * len(shape))
        view.flags.writeable = False
        return view
    return np.broadcast_to(restore(g, shape, axis) if g.ndim else g, shape)


def _divided(g: Any, n: int) -> Any:
    """Divide by a count, which may be more than half precision can hold."""
    return g / (np.float64(n) if g.dtype == np.float16 else n)


def _deviation(x: Any, axis: Axis) -> Any:
    """How far each number is from the mean of those it is reduced with."""
    return x - np.add.reduce(x, axis=axis, keepdims=True) / count(x.shape, axis)


def _wide(x: Any) -> Any:
    """In double precision: products and squares of smaller floats neither overflow nor vanish on the way there."""
    return x.astype(np.float64) if x.dtype.itemsize < 8 else x  # noqa: PLR2004 - bytes


def _narrowed(pair: tuple[Any, Any], dtype: Any) -> tuple[Any, Any]:
    return pair[0].astype(dtype, copy=False), pair[1].astype(dtype, copy=False)


def _spread_of(x: Any, *, axis: Axis, ddof: float, keepdims: bool) -> tuple[Any, Any]:
    """Two passes, as is right for data far from 0, and what rounding left of the mean is taken out as well.

    Equal numbers have no spread at all, though their mean be rounded.

    With `ddof` numbers or fewer it divides by 0.
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
    return _narrowed(_spread_of(_wide(x), **options), x.dtype)


def _var_pullback(g: Any, _y: Any, _x: Any, *, axis: Axis, ddof: float, keepdims: bool, residual: Any) -> Any:
    del keepdims
    freedom = count(_x.shape, axis) - ddof
    return restore(g, _x.shape, axis) * (2.0 / freedom if freedom else math.inf) * residual


def _std(x: Any, **options: Any) -> tuple[Any, Any]:
    x = floats(x)
    variance, d = _spread_of(_wide(x), **options)
    return _narrowed((np.sqrt(variance), d), x.dtype)


def _std_pullback(g: Any, y: Any, _x: Any, **options: Any) -> Any:
    """By way of the variance. A spread of 0 has a kink: its slope is taken as 0, and nothing is divided by it."""
    flat = np.equal(y, 0)
    return _var_pullback(np.where(flat, 0.0, g / np.where(flat, 1.0, 2 * y)), y, _x, **options)


def _prod(x: Any, *, axis: Axis, keepdims: bool) -> Any:
    product = np.multiply.reduce(_wide(x), axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    return product.astype(x.dtype, copy=False)


def _prod_pullback(g: Any, y: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    """Each number's slope is the product of the others: the whole divided by it, unless it is 0 or the whole is lost.

    Where a number is infinite or NaN the whole is divided by each all the same, as PyTorch has it.
    """
    del keepdims
    g = restore(g, x.shape, axis)
    finite = np.all(np.isfinite(x))
    alone = finite and x.size == y.size  # each is its own product: slope 1, whose own slope is 0
    divides = not alone and np.all(np.not_equal(x, 0)) and not (finite and _is_lost(y))
    if divides:
        return g * (restore(y, x.shape, axis) / x)
    return g * _others(x if alone else _wide(x), axis)


def _is_lost(products: Any) -> bool:
    """Whether a product of finite numbers has overflown, or is so small that it lost its digits or became 0."""
    limits = np.finfo(products.dtype)
    size = np.abs(products)
    return bool(np.any((size < limits.smallest_normal) | (size > limits.max)))


def _others(x: Any, axis: Axis) -> Any:
    """For each number of `x` the product of the others that it is reduced with, without a division."""
    reduced = _reduced(x.shape, axis)
    order = [i for i, r in enumerate(reduced) if not r] + [i for i, r in enumerate(reduced) if r]
    front = [x.shape[i] for i, r in enumerate(reduced) if not r]
    together = math.prod(x.shape[i] for i, r in enumerate(reduced) if r)  # also of no axes, where `axis` may be 0
    lanes = x.transpose(order).reshape((*front, together))
    others = _running_product(lanes) * np.flip(_running_product(np.flip(lanes, -1)), -1)
    return others.reshape([x.shape[i] for i in order]).transpose([order.index(i) for i in range(len(order))])


def _running_product(x: Any) -> Any:
    """The product of all that comes before, along the last axis, in log2(n) steps of doubling reach."""
    ones = np.ones((*x.shape[:-1], 1), dtype=x.dtype)
    product = np.concatenate([ones, x[..., :-1]], axis=-1)
    reach = 1
    while reach < x.shape[-1]:
        product = np.concatenate([product[..., :reach], product[..., reach:] * product[..., :-reach]], axis=-1)
        reach *= 2
    return product


def _extreme_pullback(g: Any, y: Any, x: Any, *, axis: Axis, keepdims: bool) -> Any:
    """Shared equally among the numbers that reach the extreme, which may be more than half precision can count."""
    del keepdims
    winners = np.equal(x, restore(y, x.shape, axis))
    dtype = np.float64 if x.dtype == np.float16 else x.dtype
    return restore(g, x.shape, axis) * winners / np.add.reduce(winners, axis=axis, keepdims=True, dtype=dtype)


def _logsumexp(x: Any, *, axis: Axis, keepdims: bool) -> tuple[Any, Any]:
    """The largest number is taken out first, so that nothing overflows. Keeps each number's share of the sum.

    All but -inf is -inf, as a mask may make it: no reason to warn of the logarithm of 0.
    """
    x = floats(x)
    limit = np.finfo(x.dtype).max  # an infinite top would leave nothing but NaN
    with np.errstate(all="ignore"):
        top = np.clip(np.maximum.reduce(x, axis=axis, keepdims=True, initial=-limit), -limit, limit)
        e = np.exp(x - top)
        total = np.add.reduce(e, axis=axis, keepdims=True)
        y = np.log(total) + top
        return (y if keepdims else y.reshape(np.add.reduce(x, axis=axis).shape)), e / total


def _cumsum_pullback(g: Any, _y: Any, _x: Any, *, axis: int | None) -> Any:
    """A number counts in every sum from its own place on, so the cotangents are summed from the end."""
    return _summed_from_the_end(g, 0 if axis is None else axis).reshape(_x.shape)


def _cumprod_pullback(g: Any, y: Any, x: Any, *, axis: int | None) -> Any:
    """A number counts in every product from its own place on: the sum of these, each without it.

    Nothing is divided by a number, which may be 0. Beside infinities and NaN it follows PyTorch, which divides.
    """
    along, lanes = axis or 0, x.reshape(y.shape)
    if y.shape[along] == 1:  # each is the product by itself
        return g.reshape(x.shape)
    others = _without_each(g, _wide(lanes), along)
    others = others.astype(x.dtype) if others.dtype != x.dtype else others
    finite = (np.abs(others) < np.inf) & (np.abs(lanes) < np.inf)
    if not np.all(finite):
        others = np.where(finite, others, _up_to_the_first_0(g, y, lanes, along))
    return others.reshape(x.shape)


def _without_each(g: Any, x: Any, axis: int) -> Any:
    """For each number the product before it, times what a product up to it is worth to the cotangents from there on.

    What it is worth is `worth[i] = g[i] + x[i + 1] * worth[i + 1]`, in log2(n) steps of doubling reach.
    """
    lanes, worth = np.swapaxes(x, axis, -1), np.swapaxes(g, axis, -1)
    factors, reach = lanes[..., 1:], 1
    while reach < lanes.shape[-1]:
        worth = np.concatenate([worth[..., :-reach] + factors * worth[..., reach:], worth[..., -reach:]], axis=-1)
        factors = factors[..., :-reach] * factors[..., reach:]
        reach *= 2
    return np.swapaxes(_running_product(lanes) * worth, axis, -1)


def _summed_from_the_end(x: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis)


def _up_to_the_first_0(g: Any, y: Any, x: Any, axis: int) -> Any:
    """The same, as PyTorch has it: numbers after the first 0 get 0, and it gets nothing from a second one on."""
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
                 lambda g, _y, _x, *, axis, keepdims: _repeated(g, _x.shape, axis),
                 bind=over_axes, numpy=(np.sum, np.add.reduce))
mean      = Rule(_mean,
                 lambda g, _y, _x, *, axis, keepdims: _repeated(_divided(g, count(_x.shape, axis)), _x.shape, axis),
                 bind=over_axes, numpy=(np.mean,))
prod      = Rule(_prod, _prod_pullback,
                 bind=over_axes, numpy=(np.prod, np.multiply.reduce))
max       = Rule(lambda x, *, axis, keepdims: np.maximum.reduce(x, axis=axis, keepdims=keepdims),
                 _extreme_pullback, bind=over_axes, numpy=(np.max, np.maximum.reduce))
min       = Rule(lambda x, *, axis, keepdims: np.minimum.reduce(x, axis=axis, keepdims=keepdims),
                 _extreme_pullback, bind=over_axes, numpy=(np.min, np.minimum.reduce))
var       = Rule(_var, _var_pullback, residual=lambda _y, x, *, axis, **_: _deviation(x, axis),
                 bind=_spread,      numpy=(np.var,))
std       = Rule(_std, _std_pullback, residual=lambda _y, x, *, axis, **_: _deviation(x, axis),
                 bind=_spread,      numpy=(np.std,))
logsumexp = Rule(_logsumexp,
                 lambda g, _y, _x, *, axis, keepdims, residual: restore(g, _x.shape, axis) * residual,
                 residual=lambda y, x, *, axis, keepdims: np.exp(x - restore(y, x.shape, axis)),
                 bind=over_axes)
cumsum    = Rule(lambda x, *, axis: np.cumsum(x, axis=axis),
                 _cumsum_pullback,  bind=_running,  numpy=(np.cumsum, np.add.accumulate))
cumprod   = Rule(lambda x, *, axis: np.cumprod(_wide(x), axis=axis).astype(x.dtype, copy=False),
                 _cumprod_pullback, bind=_running,  numpy=(np.cumprod, np.multiply.accumulate))
# fmt: on
