"""Judges of one number at a kink, where the slopes on the two sides differ and there is no single right number.

If an engine's gradient is a subgradient, it is a matter of convention. If it is not, it is wrong under any convention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.exactness import has
from reference.verdict.findings import Kind, Result
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence
    from reference.verdict.number import Number


def of_nan(evidence: Evidence, number: Number) -> Opinion | None:
    """The number is a gradient with respect to NaN."""
    of_a_leaf = number.pair.kind is Kind.GRADIENT and not number.pair.is_second_order
    if not of_a_leaf:
        return None
    leaf = evidence.program.leaves[evidence.mine.leaf(number.pair.name)]
    if not np.isnan(leaf.data[number.place]):
        return None
    return Opinion(Result.CONVENTION, kind=Kind.CONVENTION, says="NaN has no slope")


def between_the_slopes(evidence: Evidence, number: Number) -> Opinion | None:
    """Without an authority there is no convention: any slope between the two sides' slopes is accepted."""
    if evidence.authority or not number.has_slopes:
        return None
    low, high = sorted((float(number.slopes.left), float(number.slopes.right)))
    return Opinion(Result.CONDITIONED) if low <= float(number.got) <= high else None


def of_no_subgradient(evidence: Evidence, number: Number) -> Opinion | None:
    """The number does not lie between the slopes of the two sides, alone or together with others at the kink."""
    if not number.has_slopes:
        return None
    if evidence.subgradient.is_legal((evidence.mine.leaf(number.pair.name), number.place)):
        return None
    left, right = float(number.slopes.left), float(number.slopes.right)
    return Opinion(Result.ENGINE_WRONG, says=f"its slopes are {left:.6g} and {right:.6g} on the two sides")


def without_a_convention(evidence: Evidence, number: Number) -> Opinion | None:
    """There is no convention: the reference's releases differ, or the reference declares that it has another one."""
    return Opinion(Result.CONDITIONED) if number.has_slopes and not evidence.conventions_are_told else None


def alike(evidence: Evidence, number: Number) -> Opinion | None:
    """Both sides take the same slope, up to rounding."""
    del evidence
    return Opinion(Result.CONDITIONED) if number.has_slopes and number.is_alike_at_kink else None


def met_with_other_numbers(evidence: Evidence, number: Number) -> Opinion | None:
    """Both sides reached the kink with numbers that differ by rounding, and so rounding chose their slopes."""
    return Opinion(Result.CONDITIONED) if number.has_slopes and not evidence.kinks_are_met_alike else None


def alike_on_its_own_way(evidence: Evidence, number: Number) -> Opinion | None:
    """The reference takes the engine's slope, too, if it runs from the engine's values."""
    if not number.has_slopes:
        return None
    array = evidence.gradients_on_its_own_way[number.pair.name]
    alike = has(array, number.place) and number.shares_digits(array[number.place])
    return Opinion(Result.CONDITIONED) if alike else None


def of_another_convention(evidence: Evidence, number: Number) -> Opinion | None:
    """The number is a subgradient, but not the one that the reference takes."""
    del evidence
    return Opinion(Result.CONVENTION, kind=Kind.CONVENTION) if number.has_slopes else None
