"""What of a reference's gradients has not the shape and dtype of its leaf, though the engine's has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.engines import Outcome
from reference.programs import Operand, Program
from reference.verdict.findings import SECOND_ORDER


class Misfit(NamedTuple):
    """A gradient of the reference that does not fit.

    Args:
        of: where it stands in an outcome: among `gradients` or in `second`.
        place: which of them it is.
        leaf: what it is the gradient towards.
        mine: what the engine gave.
        theirs: what the reference did.
    """

    of: str
    place: int
    leaf: Operand
    mine: Any
    theirs: Any

    @property
    def part(self) -> str:
        """Its name."""
        return f"{f'{SECOND_ORDER} ' if self.of == 'second' else ''}grad[{self.leaf.name}]"


def misfits(program: Program, got: Outcome, wanted: Outcome) -> list[Misfit]:
    """Find each gradient of the reference that does not fit, where the engine's does.

    Args:
        program: the case.
        got: what the engine made of it.
        wanted: what the reference did.
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
    """Put the engine's gradient in the place of each of the reference's that does not fit.

    Args:
        wanted: what the reference made of a program.
        found: what does not fit.
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
