"""Rules of elementwise ops, which broadcast. The engine sums the broadcasting out, so no row mentions it.

At kinks and ties the rows follow PyTorch: `relu` and `abs` have slope 0 at 0, `maximum` and `minimum` share the
cotangent equally between operands that tie, and `clip` passes all of it at its bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.rules.plain import check_plain
from ndgrad.rules.rule import Call, Rule, floats


def _bind_clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Call:
    low = a_min if min is None else min
    high = a_max if max is None else max
    return (x, -np.inf if low is None else low, np.inf if high is None else high), {}


def _power(a: Any, b: Any) -> Any:
    """Raise to a power by the operator, which is fast for exponents such as 2.

    For the exponent 0.5 NumPy may take the square root, which is NaN at -inf, where the power is inf.
    """
    if hasattr(a, "__apply_rule__") or hasattr(b, "__apply_rule__"):
        return a**b  # recording calls this function again, with arrays
    half = b == 0.5  # noqa: PLR2004 - the one exponent for which NumPy takes another function
    if half is not False and np.any(half) and np.any(np.equal(a, -np.inf)):
        a = np.where(half & np.equal(a, -np.inf), np.inf, a).astype(np.result_type(a, b))
    return a**b


def _sigmoid(x: Any) -> tuple[Any, Any]:
    """Compute the sigmoid y without the exponential of a positive number, which might overflow.

    The residual is 1 - y, computed without the subtraction, which would lose all digits where y is nearly 1.
    """
    x = floats(x)
    e = np.exp(-np.abs(x))
    larger = 1.0 / (1.0 + e)
    smaller = e * larger
    return np.where(x < 0, smaller, larger), np.where(x < 0, larger, smaller)


def _masked(condition: Any, x: Any) -> Any:
    """Compute `np.where(condition, x, 0.0)`. For arrays, bit patterns times 1 or 0 take half the time."""
    integers = _INTEGERS.get(x.dtype) if isinstance(x, (np.ndarray, np.generic)) else None
    return np.where(condition, x, 0.0) if integers is None else (x.view(integers) * condition).view(x.dtype)


_INTEGERS = {np.dtype(np.float64): np.int64, np.dtype(np.float32): np.int32}  # the integers of the same width


def _bind_where(condition: Any, a: Any, b: Any) -> Call:
    """Bind a copy of the condition, so that later writes to it do not affect the graph."""
    check_plain(condition, "the condition")
    return (a, b), {"condition": np.array(condition, bool)}


def _bind_astype(x: Any, dtype: Any) -> Call:
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be of floats, but is {np.dtype(dtype)}: nothing else has a gradient")
    return (x,), {"dtype": np.dtype(dtype)}


def _arctan2_slope(a: Any, b: Any) -> Any:
    """Compute `a / (a² + b²)`, a derivative of `arctan2`; 0 where both are 0.

    Both are divided by the larger one first, so that nothing overflows.
    """
    first = np.abs(a) >= np.abs(b)
    larger, smaller = np.where(first, a, b), np.where(first, b, a)
    larger = np.where(np.equal(larger, 0), 1.0, larger)
    ratio = smaller / larger
    return a / larger / (larger * (1 + ratio * ratio))


def _logaddexp2_slope(d: Any) -> Any:
    """Compute `2**d / (1 + 2**d)` without the power of a positive number. Without `abs`, which has no slope at 0."""
    e = 2.0 ** np.where(d < 0, d, -d)
    return np.where(d < 0, e, 1.0) / (1 + e)


def _sign(x: Any) -> Any:
    """Return -1, 0 or 1; 0 for NaN, too."""
    return np.subtract(np.greater(x, 0), np.less(x, 0), dtype=x.dtype)


# fmt: off
#               forward            pullback to each operand: (g, y, *operands, **options)
add           = Rule(np.add,       lambda g, _y, _a, _b: g,
                                   lambda g, _y, _a, _b: g,                                operator="add",     symbol="+")
subtract      = Rule(np.subtract,  lambda g, _y, _a, _b: g,
                                   lambda g, _y, _a, _b: -g,                               operator="sub",     symbol="-")
multiply      = Rule(np.multiply,  lambda g, _y, _a, b: g * b,
                                   lambda g, _y, a, _b: g * a,                             operator="mul",     symbol="*")
divide        = Rule(np.divide,    lambda g, _y, _a, b: g / b,
                                   lambda g, y, _a, b: -g * (y / b),                       operator="truediv", symbol="/")
power         = Rule(_power,       lambda g, _y, a, b: np.where(np.equal(b, 0), 0.0, g * (b * _power(a, b - 1))),
                                   lambda g, y, a, b: g * np.where(np.equal(a, 0) & (b >= 0), 0.0, y * np.log(a)),
                                   numpy=(np.power, np.float_power),                       operator="pow",     symbol="**")
negative      = Rule(np.negative,  lambda g, _y, _x: -g,                                   operator="neg",     symbol="neg")
positive      = Rule(np.positive,  lambda g, _y, _x: g,                                    operator="pos",     symbol="pos")
abs           = Rule(np.absolute,  lambda g, _y, x: g * _sign(x),                          operator="abs")

exp           = Rule(np.exp,       lambda g, y, _x: g * y)
log           = Rule(np.log,       lambda g, _y, x: g / x)
log1p         = Rule(np.log1p,     lambda g, _y, x: g / (x + 1))
expm1         = Rule(np.expm1,     lambda g, y, _x: g * (y + 1))
sqrt          = Rule(np.sqrt,      lambda g, y, _x: g / (2 * y))
square        = Rule(np.square,    lambda g, _y, x: g * (2 * x))
sin           = Rule(np.sin,       lambda g, _y, x: g * np.cos(x))
cos           = Rule(np.cos,       lambda g, _y, x: g * -np.sin(x))
tan           = Rule(np.tan,       lambda g, y, _x: g * (1 + y * y))
tanh          = Rule(np.tanh,      lambda g, y, _x: g * (1 - y * y))

sigmoid: Rule = Rule(_sigmoid,     lambda g, y, _x, *, residual: g * (y * residual),       residual=lambda _y, x: sigmoid(-x))
relu          = Rule(lambda x: _masked(~(x < 0), x),
                                   lambda g, y, _x: _masked(~(y <= 0), g))
leaky_relu    = Rule(lambda x, *, negative_slope: np.where(x > 0, x, x * negative_slope),
                                   lambda g, _y, x, *, negative_slope: np.where(x > 0, g, g * negative_slope),
                                   bind=lambda x, negative_slope=0.01: ((x,), {"negative_slope": negative_slope}))
softplus      = Rule(lambda x: np.logaddexp(0.0, floats(x)),
                                   lambda g, _y, x: g * sigmoid(x))
logaddexp2    = Rule(np.logaddexp2,
                                   lambda g, _y, a, b: g * _logaddexp2_slope(a - b),
                                   lambda g, _y, a, b: g * _logaddexp2_slope(b - a))

arctan2       = Rule(np.arctan2,   lambda g, _y, a, b: g * _arctan2_slope(b, a),
                                   lambda g, _y, a, b: -g * _arctan2_slope(a, b))

maximum       = Rule(np.maximum,   lambda g, _y, a, b: np.where(a < b, 0.0, np.where(np.equal(a, b), g / 2, g)),
                                   lambda g, _y, a, b: np.where(b < a, 0.0, np.where(np.equal(a, b), g / 2, g)))
minimum       = Rule(np.minimum,   lambda g, _y, a, b: np.where(a > b, 0.0, np.where(np.equal(a, b), g / 2, g)),
                                   lambda g, _y, a, b: np.where(b > a, 0.0, np.where(np.equal(a, b), g / 2, g)))
clip          = Rule(lambda x, low, high: np.minimum(np.maximum(x, low), high),
                                   lambda g, _y, x, low, high: np.where((x >= low) & (x <= high), g, 0.0),
                                   lambda g, _y, x, low, high: np.where((x < low) & (low < high), g, 0.0),
                                   lambda g, _y, x, low, high: np.where((x > high) | (high < low), g, 0.0),
                                   bind=_bind_clip, numpy=(np.clip,))
where         = Rule(lambda a, b, *, condition: np.where(condition, a, b),
                                   lambda g, _y, _a, _b, *, condition: np.where(condition, g, 0.0),
                                   lambda g, _y, _a, _b, *, condition: np.where(condition, 0.0, g),
                                   bind=_bind_where,
                                   numpy=(np.where,), method=False)
astype        = Rule(lambda x, *, dtype: x.astype(dtype),
                                   lambda g, _y, _x, *, dtype: g,
                                   bind=_bind_astype, numpy=(np.astype,))
# fmt: on
