"""Judges of one number that rounding does not explain, by the witness's exact number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.findings import Result
from reference.verdict.opinion import Opinion
from reference.verdict.rounding import MARGIN

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence
    from reference.verdict.number import Number


def both_right(evidence: Evidence, number: Number) -> Opinion | None:
    """Rounding explains both sides' errors; only the engine's, if the reference is already known to be wrong."""
    del evidence
    right = number.engine_is_right and (number.known or number.reference_is_right)
    return Opinion(Result.CONDITIONED) if right else None


def engine_right_by_luck(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine is right by luck: on nearby programs its errors are as large as the reference's error here."""
    if not number.engine_is_right:
        return None
    nearby = number.nearby[0] if evidence.authority else 0.0
    return Opinion(Result.CONDITIONED) if number.difference <= MARGIN * max(nearby, number.rounding) else None


def half_right_beside_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """NaN contributes to the number, so that its rounding error is unknown, and half of the digits agree."""
    del evidence
    half = number.depends_on_nonfinite and number.shares_digits(number.wanted)
    return Opinion(Result.INCONCLUSIVE) if half else None


def twice_of_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """Neither the reference nor the witness gives a number for a second derivative."""
    del evidence
    left_open = _is_unknown(number) and number.pair.is_second_order and not np.isfinite(number.wanted)
    return Opinion(Result.INCONCLUSIVE) if left_open else None


def unlike_the_reference(evidence: Evidence, number: Number) -> Opinion | None:
    """There is no exact number, so the slope is a matter of convention, and the convention is the reference's."""
    del evidence
    return Opinion(Result.ENGINE_WRONG) if _is_unknown(number) else None


def poor_formula(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference's formula loses digits, but fewer than half.

    This holds only for a reference that cannot be disturbed: another one shows the digits that its formulas lose.
    """
    poor = not evidence.authority and number.reference_alone_is_off and number.loses_less_than_half
    return Opinion(Result.CONDITIONED) if poor else None


def reference_off(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference's error is larger than the engine's, here and on nearby programs."""
    del evidence
    return Opinion(Result.REFERENCE_WRONG) if number.reference_alone_is_off else None


def reference_right_by_luck(evidence: Evidence, number: Number) -> Opinion | None:
    """Both are wrong, or the reference is right by luck: on programs a few ULP away its errors are as large."""
    del evidence
    if number.exact is None:
        return None
    bound = MARGIN * max(number.reference_error, number.nearby[1])
    return Opinion(Result.CONDITIONED) if number.engine_error <= bound else None


def engine_off(evidence: Evidence, number: Number) -> Opinion | None:
    """Rounding does not explain the engine's error, and it explains the reference's."""
    del evidence
    return Opinion(Result.ENGINE_WRONG) if number.exact is not None else None


def _is_unknown(number: Number) -> bool:
    """Whether the witness gives neither a number nor slopes on two sides, or a number of finite results only."""
    return number.depends_on_nonfinite if number.exact is not None else not number.has_slopes
