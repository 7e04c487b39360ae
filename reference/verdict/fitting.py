"""Gradients of the reference that lack their leaf's shape or dtype, while the engine's gradients have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.engines import Outcome
from reference.programs import Operand, Program
from reference.verdict.findings import SECOND_ORDER


class Misfit(NamedTuple):
    """A gradient of the reference that does not fit its leaf.

    Args:
        of: the field of the outcome: `gradients` or `second`.
        place: the index in this field.
        leaf: the leaf.
        mine: the engine's gradient.
        theirs: the reference's gradient.
    """

    of: str
    place: int
    leaf: Operand
    mine: Any
    theirs: Any

    @property
    def part(self) -> str:
        """The name of the part."""
        return f"{f'{SECOND_ORDER} ' if self.of == 'second' else ''}grad[{self.leaf.name}]"


def misfits(program: Program, got: Outcome, wanted: Outcome) -> list[Misfit]:
    """Find the reference's gradients that do not fit their leaves while the engine's gradients do.

    Args:
        program: the case.
        got: the engine's outcome.
        wanted: the reference's outcome.
    """
    return [
        Misfit(of, place, leaf, mine, theirs)
        for of in ("gradients", "second")
        for place, (leaf, mine, theirs) in enumerate(
            zip(program.leaves, getattr(got, of), getattr(wanted, of), strict=False)
        )
        if not _fits(theirs, leaf.data) and _fits(mine, leaf.data)
    ]


def fitting(wanted: Outcome, found: Sequence[Misfit]) -> Outcome:
    """Replace each of the reference's gradients that does not fit by the engine's.

    Args:
        wanted: the reference's outcome.
        found: the gradients that do not fit.
    """
    for misfit in found:
        gradients = list(getattr(wanted, misfit.of))
        gradients[misfit.place] = misfit.mine
        change: dict[str, Any] = {misfit.of: tuple(gradients)}
        wanted = replace(wanted, **change)
    return wanted


def _fits(gradient: Any, leaf: np.ndarray) -> bool:
    if gradient is None:
        return True
    return isinstance(gradient, np.ndarray) and (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype)
