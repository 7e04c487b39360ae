"""Judges of a part before its numbers are looked at: is there an array, of the right shape and dtype?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.findings import Kind, Result
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.comparison import Pair


def of_zeros(pair: Pair) -> Opinion | None:
    """No gradient arrived, and none had to: the reference has none either, or zeros for a second one.

    A first gradient of zeros is one: by it an optimizer's momentum goes on. Of a second one, only numbers are asked.
    """
    if pair.got is not None or (np.any(pair.theirs) if pair.is_second_order else pair.theirs is not None):
        return None
    return Opinion(Result.AGREES)


def missing(pair: Pair) -> Opinion | None:
    """No gradient arrived where there is one."""
    if pair.got is not None:
        return None
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.MISSING, "is missing: no gradient arrived"))


def of_no_array(pair: Pair) -> Opinion | None:
    """What arrived is no array."""
    if pair.got is None or isinstance(pair.got, np.ndarray):
        return None
    says = f"is a {type(pair.got).__name__}, but must be an array of shape {pair.wanted.shape}"
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.SHAPE, says))


def of_another_shape(pair: Pair) -> Opinion | None:
    """The array has not the shape of what it is the gradient of."""
    if not isinstance(pair.got, np.ndarray) or pair.got.shape == pair.wanted.shape:
        return None
    says = f"has shape {pair.got.shape}, but must have shape {pair.wanted.shape}"
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.SHAPE, says))


def of_another_dtype(pair: Pair) -> Opinion | None:
    """Nor its dtype."""
    if not isinstance(pair.got, np.ndarray) or pair.got.dtype == pair.wanted.dtype:
        return None
    says = f"has dtype {pair.got.dtype}, but must have {pair.wanted.dtype}"
    return Opinion(Result.ENGINE_WRONG, pair.misfit(Kind.DTYPE, says))
