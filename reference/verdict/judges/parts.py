"""Judges of a part as a whole: whether there is an array, and whether it has the right shape and dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.findings import Kind, Result
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.comparison import Pair


def of_zeros(pair: Pair) -> Opinion | None:
    """There is no gradient, and none is required: the reference has none either, or zeros for a second-order one.

    A first-order gradient of zeros is required, for with it an optimizer's momentum goes on. Of a second-order
    gradient, only the numbers count.
    """
    if pair.got is not None or (np.any(pair.theirs) if pair.is_second_order else pair.theirs is not None):
        return None
    return Opinion(Result.AGREES)


def missing(pair: Pair) -> Opinion | None:
    """A gradient is missing."""
    if pair.got is not None:
        return None
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.MISSING, "is missing: no gradient arrived"))


def of_no_array(pair: Pair) -> Opinion | None:
    """The gradient is not an array."""
    if pair.got is None or isinstance(pair.got, np.ndarray):
        return None
    says = f"is a {type(pair.got).__name__}, but must be an array of shape {pair.wanted.shape}"
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.SHAPE, says))


def of_another_shape(pair: Pair) -> Opinion | None:
    """The array has another shape than the value or the leaf."""
    if not isinstance(pair.got, np.ndarray) or pair.got.shape == pair.wanted.shape:
        return None
    says = f"has shape {pair.got.shape}, but must have shape {pair.wanted.shape}"
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.SHAPE, says))


def of_another_dtype(pair: Pair) -> Opinion | None:
    """The array has another dtype than the value or the leaf."""
    if not isinstance(pair.got, np.ndarray) or pair.got.dtype == pair.wanted.dtype:
        return None
    says = f"has dtype {pair.got.dtype}, but must have {pair.wanted.dtype}"
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.DTYPE, says))
