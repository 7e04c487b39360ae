"""Judges of all numbers of a part at once: which of them does rounding explain?

Each gets a mask of the numbers that are not explained yet, and returns a mask of those that it explains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.comparison import worst
from reference.verdict.findings import Result
from reference.verdict.opinion import Opinion
from reference.verdict.rounding import AT_ONCE

if TYPE_CHECKING:
    from reference.verdict.comparison import Comparison, Pair
    from reference.verdict.evidence import Evidence

_AGREED = Opinion(Result.AGREES)


def at_once(comparison: Comparison, pair: Pair, unexplained: np.ndarray) -> Opinion | None:
    """The numbers are equal, or differ by at most a few units in the last place."""
    del comparison, unexplained
    if pair.is_same or not pair.got.size:
        return _AGREED
    near = pair.ulps <= AT_ONCE
    return _AGREED if near.all() else Opinion(Result.AGREES, where=near)


def beyond_the_range(comparison: Comparison, pair: Pair, unexplained: np.ndarray) -> Opinion | None:
    """Both sides left the range of single precision in between, and then inf or NaN result by chance."""
    if comparison.rounding is None:
        return None
    finite = np.isfinite(comparison.rounding.base(pair.name, pair.got))
    lost = unexplained & ~np.isfinite(pair.got) & ~np.isfinite(pair.wanted) & finite
    return Opinion(Result.CONDITIONED, where=lost) if lost.any() else None


def imprecise(comparison: Comparison, pair: Pair, unexplained: np.ndarray) -> Opinion | None:
    """The reference's own error, as its run in another precision shows, is as large."""
    if comparison.rounding is None:
        return None
    off = comparison.rounding.off(pair.name, pair.got)
    return _explained(comparison, pair, unexplained & comparison.rounding.by_precision(pair.name, off))


def ill_conditioned(comparison: Comparison, pair: Pair, unexplained: np.ndarray) -> Opinion | None:
    """Rounding of operands, and of numbers saved for the backward pass, moves the reference by as much."""
    if comparison.rounding is None:
        return None
    off = comparison.rounding.off(pair.name, pair.got)
    return _explained(comparison, pair, unexplained & comparison.rounding.by_disturbance(pair.name, off, unexplained))


def seldom(comparison: Comparison, pair: Pair, unexplained: np.ndarray) -> Opinion | None:
    """Many more runs of the reference explain it. They are made if no witness is asked and differences are small."""
    if comparison.rounding is None:
        return None
    off = comparison.rounding.off(pair.name, pair.got)
    explained = comparison.rounding.by_more_runs(pair.name, off, unexplained)
    return None if explained is None else _explained(comparison, pair, unexplained & explained)


def on_its_own_way(evidence: Evidence, pair: Pair, unexplained: np.ndarray) -> Opinion | None:
    """If the reference runs each step from the engine's values, both agree, or rounding explains the difference.

    Each step is then judged on the engine's operands. If rounding decided a comparison, or the sign of a zero decided a
    pole, both sides now decide alike. A wrong step is still wrong.
    """
    if evidence.own_way is None:
        return None
    _, left_open = evidence.own_way
    explained = unexplained & ~left_open.get(pair.name, np.zeros(unexplained.shape, bool))
    return Opinion(Result.CONDITIONED, where=explained) if explained.any() else None


def _explained(comparison: Comparison, pair: Pair, where: np.ndarray) -> Opinion | None:
    if comparison.has_witness:  # an estimate that excuses the loss of half of the digits is not trusted
        where = where & pair.shares_digits
    if not where.any():
        return None
    finding = worst(pair, where, comparison.error(pair))
    facts = {"ulp": finding.ulp, "allowed": finding.allowed}
    return Opinion(Result.CONDITIONED, where=where, facts=facts)
