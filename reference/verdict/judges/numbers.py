"""Judges of one number that rounding does not explain, by the witness's exact number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.findings import Kind, Result
from reference.verdict.number import Standing
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence
    from reference.verdict.number import Number


def both_right(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine is right, and the reference is right or at a kink, each by the exact number at its own values."""
    del evidence
    right = number.engine is Standing.RIGHT and number.reference in (Standing.RIGHT, Standing.UNKNOWN)
    return Opinion(Result.CONDITIONED) if right else None


def half_right_beside_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """NaN contributes to the number, so that its rounding error is unknown, and half of the digits agree."""
    del evidence
    half = number.depends_on_nonfinite and number.shares_digits(number.wanted)
    return Opinion(Result.INCONCLUSIVE) if half else None


def twice_of_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """Neither the reference nor the witness gives a number: for a second derivative, or where the engine has none."""
    del evidence
    nowhere = not np.isfinite(number.wanted) and (number.pair.is_second_order or not np.isfinite(number.got))
    gradient = number.pair.kind is Kind.GRADIENT
    return Opinion(Result.INCONCLUSIVE) if nowhere and gradient and _is_unknown(number) else None


def explained_without_a_witness(evidence: Evidence, number: Number) -> Opinion | None:
    """The witness cannot tell, and rounding explains the difference from the reference."""
    del evidence
    return Opinion(Result.CONDITIONED) if _is_unknown(number) and number.is_explained else None


def unlike_the_reference(evidence: Evidence, number: Number) -> Opinion | None:
    """There is no exact number, so the slope is a matter of convention, and the convention is the reference's."""
    del evidence
    return Opinion(Result.ENGINE_WRONG) if _is_unknown(number) else None


def reference_off(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine is right, and the reference is imprecise or wrong."""
    del evidence
    if number.engine is not Standing.RIGHT:
        return None
    return {
        Standing.IMPRECISE: Opinion(Result.REFERENCE_IMPRECISE),
        Standing.WRONG: Opinion(Result.REFERENCE_WRONG),
    }.get(number.reference)


def engine_imprecise(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine's error is beyond what the function allows, and within what usual formulas lose there."""
    del evidence
    return Opinion(Result.IMPRECISE) if number.engine is Standing.IMPRECISE else None


def engine_off(evidence: Evidence, number: Number) -> Opinion | None:
    """The engine is wrong; the reference may be wrong as well."""
    del evidence
    if number.engine is not Standing.WRONG:
        return None
    return Opinion(Result.BOTH_WRONG if number.reference is Standing.WRONG else Result.ENGINE_WRONG)


def _is_unknown(number: Number) -> bool:
    """Whether the witness gives neither a number nor slopes on two sides, or a number of finite results only."""
    return number.depends_on_nonfinite if number.exact is not None else not number.has_slopes
