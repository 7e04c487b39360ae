"""Judges of all numbers of a part at once: which of them does rounding explain?

Each is told which numbers are still open, and says for which of these it has an explanation.
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


def at_once(comparison: Comparison, pair: Pair, still: np.ndarray) -> Opinion | None:
    """Numbers that are the same, or at most a few units in the last place apart."""
    del comparison, still
    if pair.is_same or not pair.got.size:
        return _AGREED
    near = pair.ulps <= AT_ONCE
    return _AGREED if near.all() else Opinion(Result.AGREES, where=near)


def beyond_the_range(comparison: Comparison, pair: Pair, still: np.ndarray) -> Opinion | None:
    """Both sides left the range of single precision on the way: which of inf and NaN comes of it is chance."""
    if comparison.rounding is None:
        return None
    finite = np.isfinite(comparison.rounding.base(pair.name, pair.got))
    lost = still & ~np.isfinite(pair.got) & ~np.isfinite(pair.wanted) & finite
    return Opinion(Result.CONDITIONED, where=lost) if lost.any() else None


def imprecise(comparison: Comparison, pair: Pair, still: np.ndarray) -> Opinion | None:
    """The reference itself is off by as much: that is what it gives in another precision."""
    if comparison.rounding is None:
        return None
    off = comparison.rounding.off(pair.name, pair.got)
    return _explained(comparison, pair, still & comparison.rounding.by_precision(pair.name, off))


def ill_conditioned(comparison: Comparison, pair: Pair, still: np.ndarray) -> Opinion | None:
    """Rounding of operands, and of what is kept for the backward pass, moves the reference by as much."""
    if comparison.rounding is None:
        return None
    off = comparison.rounding.off(pair.name, pair.got)
    return _explained(comparison, pair, still & comparison.rounding.by_disturbance(pair.name, off, still))


def seldom(comparison: Comparison, pair: Pair, still: np.ndarray) -> Opinion | None:
    """The same, seen in many more runs: where no witness is asked, and what is left is off by little."""
    if comparison.rounding is None:
        return None
    off = comparison.rounding.off(pair.name, pair.got)
    explained = comparison.rounding.by_more_runs(pair.name, off, still)
    return None if explained is None else _explained(comparison, pair, still & explained)


def on_its_own_way(evidence: Evidence, pair: Pair, still: np.ndarray) -> Opinion | None:
    """They agree, or rounding explains it, if the reference goes on at each step from the engine's value.

    Each step is then judged on the operands that the engine had. Where rounding decided a comparison by a hair, or the
    sign of a zero a pole, both sides now decide alike; a step that is wrong is wrong still.
    """
    if evidence.own_way is None:
        return None
    _, left = evidence.own_way
    explained = still & ~left.get(pair.name, np.zeros(still.shape, bool))
    return Opinion(Result.CONDITIONED, where=explained) if explained.any() else None


def _explained(comparison: Comparison, pair: Pair, where: np.ndarray) -> Opinion | None:
    if not where.any():
        return None
    finding = worst(pair, where, comparison.error(pair))
    facts = {"ulp": finding.ulp, "allowed": finding.allowed}
    return Opinion(Result.CONDITIONED, where=where, facts=facts)
