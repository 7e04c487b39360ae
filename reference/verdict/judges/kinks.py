"""Judges of one number at a kink, where the slopes on the two sides differ, and no number is the right one.

An engine's gradient is held against those at points a hair away. If it lies among them it is a subgradient, and a
matter of convention; if it does not, it is wrong, whatever the convention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.engines.exact.numbers import precisely
from reference.verdict.exactness import has
from reference.verdict.findings import Kind, Result
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence
    from reference.verdict.number import Number


def of_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """It is the gradient towards a number that is none."""
    of_a_leaf = number.pair.kind is Kind.GRADIENT and not number.pair.is_second_order
    if number.exact is not None or not of_a_leaf:
        return None
    leaf = evidence.program.leaves[evidence.witnessed.leaf(number.pair.name)]
    if not np.isnan(leaf.data[number.place]):
        return None
    return Opinion(Result.CONVENTION, kind=Kind.CONVENTION, says="of what is NaN there is no slope")


def between_the_slopes(evidence: Evidence, number: Number) -> Opinion | None:
    """No authority says what the convention is: any slope between the two will do."""
    if evidence.authority or not number.has_slopes:
        return None
    low, high = sorted((float(number.slopes.left), float(number.slopes.right)))
    return Opinion(Result.CONDITIONED) if low <= float(number.got) <= high else None


def of_no_subgradient(evidence: Evidence, number: Number) -> Opinion | None:
    """It does not lie among the slopes around the kink, alone or with another number that stands at it."""
    if not number.has_slopes:
        return None
    with precisely():
        if evidence.witnessed.is_subgradient(number.pair.name, number.place, evidence.got):
            return None
    left, right = float(number.slopes.left), float(number.slopes.right)
    return Opinion(Result.ENGINE_WRONG, says=f"its slopes are {left:.6g} and {right:.6g} on the two sides")


def without_a_convention(evidence: Evidence, number: Number) -> Opinion | None:
    """There is no convention to hold it against: the releases of the reference differ, or it says that it differs."""
    return Opinion(Result.CONDITIONED) if number.has_slopes and not evidence.conventions_are_told else None


def met_with_other_numbers(evidence: Evidence, number: Number) -> Opinion | None:
    """Both sides came to the kink with numbers that differ by rounding, which chose a slope for them."""
    return Opinion(Result.CONDITIONED) if number.has_slopes and not evidence.kinks_are_met_alike else None


def alike_on_its_own_way(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference takes the engine's slope as well, once it has the engine's numbers to compare."""
    if not number.has_slopes:
        return None
    array = evidence.gradients_on_its_own_way[number.pair.name]
    alike = has(array, number.place) and number.shares_digits(array[number.place])
    return Opinion(Result.CONDITIONED) if alike else None


def of_another_convention(evidence: Evidence, number: Number) -> Opinion | None:
    """It is a subgradient, and not the reference's."""
    del evidence
    return Opinion(Result.CONVENTION, kind=Kind.CONVENTION) if number.has_slopes else None
