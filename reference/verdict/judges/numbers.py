"""Judges of one number that rounding does not explain, where the witness knows the one right number."""

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
    """Both sides are as near to the exact number as rounding lets them be. A reference known to be wrong may be off."""
    del evidence
    right = number.engine_is_right and (number.known or number.reference_is_right)
    return Opinion(Result.CONDITIONED) if right else None


def engine_right_by_luck(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine is right, but nearby it errs as much as the reference does here: being right was luck."""
    if not number.engine_is_right:
        return None
    errs = number.nearby[0] if evidence.authority else 0.0
    return Opinion(Result.CONDITIONED) if number.apart <= MARGIN * max(errs, number.rounding) else None


def half_right_beside_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """What is NaN has a share in the number, so that its rounding cannot be measured; half of its digits are alike."""
    del evidence
    half = number.is_of_a_part and number.shares_digits(number.wanted)
    return Opinion(Result.INCONCLUSIVE) if half else None


def twice_of_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference has no number for a second derivative, and nor has the witness."""
    del evidence
    left_open = _is_untold(number) and number.pair.is_second_order and not np.isfinite(number.wanted)
    return Opinion(Result.INCONCLUSIVE) if left_open else None


def unlike_the_reference(evidence: Evidence, number: Number) -> Opinion | None:
    """No exact number tells, and so the slope is a matter of convention, which is the reference's."""
    del evidence
    return Opinion(Result.ENGINE_WRONG) if _is_untold(number) else None


def poor_formula(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference's formula loses digits, but fewer than half.

    One that can be disturbed shows what its formulas lose. Of one that cannot, nobody knows.
    """
    poor = not evidence.authority and number.reference_alone_is_off and number.loses_less_than_half
    return Opinion(Result.CONDITIONED) if poor else None


def reference_off(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference is further from the exact number than the engine is, here and nearby."""
    del evidence
    return Opinion(Result.REFERENCE_WRONG) if number.reference_alone_is_off else None


def reference_right_by_luck(evidence: Evidence, number: Number) -> Opinion | None:
    """Both are off, or the reference is right by luck: on numbers a few ULP away it errs as much as the engine."""
    del evidence
    alike = number.exact is not None and number.mine <= MARGIN * max(number.theirs, number.nearby[1])
    return Opinion(Result.CONDITIONED) if alike else None


def engine_off(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine is further from the exact number than rounding explains, and the reference is not."""
    del evidence
    return Opinion(Result.ENGINE_WRONG) if number.exact is not None else None


def _is_untold(number: Number) -> bool:
    """Whether the witness has no number for it, nor slopes on its two sides; or one that is not of the whole."""
    return number.is_of_a_part if number.exact is not None else not number.has_slopes
