"""Dual arrays: numbers with a derivative each. They differentiate the usual formulas of gradients.

Only functions that these formulas need are supported. Elementwise functions of constants stay NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_Rule = Callable[..., Any]

# The derivative from the value, and from the operands with their derivatives.
_UFUNCS: Mapping[np.ufunc, _Rule] = {
    np.add: lambda _y, _a, da, _b, db: da + db,
    np.subtract: lambda _y, _a, da, _b, db: da - db,
    np.multiply: lambda _y, a, da, b, db: da * b + a * db,
    np.divide: lambda _y, a, da, b, db: da / b - a * (db / b) / b,  # two terms, which round each by itself
    np.negative: lambda _y, _a, da: -da,
    np.exp: lambda y, _a, da: y * da,
    np.exp2: lambda y, _a, da: y * da * np.log(2),
}
_LINEAR = {np.sum, np.reshape, np.expand_dims, np.take_along_axis}


class Dual(np.lib.mixins.NDArrayOperatorsMixin):
    """An array and its derivative along one direction.

    Args:
        value: the numbers.
        tangent: their derivatives, of the same shape.
    """

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value = np.asarray(value)
        self.tangent = np.asarray(tangent)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the numbers."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.value.ndim

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or ufunc not in _UFUNCS or options:
            return NotImplemented
        values = [x.value if isinstance(x, Dual) else x for x in inputs]
        tangents = [x.tangent if isinstance(x, Dual) else 0.0 for x in inputs]
        value = ufunc(*values)
        pairs = [part for pair in zip(values, tangents, strict=True) for part in pair]
        return Dual(value, _UFUNCS[ufunc](value, *pairs) + np.zeros(np.shape(value)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        del types
        if function in (np.shape, np.ndim):
            return function(self.value)
        if function not in _LINEAR or not isinstance(args[0], Dual):
            return NotImplemented
        x, *others = args
        return Dual(function(x.value, *others, **kwargs), function(x.tangent, *others, **kwargs))
