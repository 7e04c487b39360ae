"""What of a reference's gradients has not the shape and dtype of its leaf, though the engine's has."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.engines import Outcome
from reference.program import Program
from reference.verdict.findings import SECOND_ORDER


class Misfit(NamedTuple):
    """A gradient of the reference that does not fit.

    Args:
        part: its name.
        leaf: the numbers that it is the gradient towards.
        theirs: what the reference gave.
    """

    part: str
    leaf: np.ndarray
    theirs: Any


def fitting(program: Program, got: Outcome, wanted: Outcome) -> Outcome:
    """Put the engine's gradient in the place of each of the reference's that does not fit.

    Args:
        program: the case.
        got: what the engine made of it.
        wanted: what the reference did.
    """
    first = _fitted(program, got.gradients, wanted.gradients)
    second = _fitted(program, got.second, wanted.second)
    same = all(map(operator.is_, (*first, *second), (*wanted.gradients, *wanted.second)))
    return wanted if same else replace(wanted, gradients=first, second=second)


def misfits(program: Program, got: Outcome, wanted: Outcome) -> Iterator[Misfit]:
    """Give each gradient of the reference that does not fit, where the engine's does. The arguments are the same."""
    both = ((got.gradients, wanted.gradients, ""), (got.second, wanted.second, f"{SECOND_ORDER} "))
    for mine, theirs, prefix in both:
        for leaf, a, b in zip(program.leaves, mine, theirs, strict=False):
            if _is_misfit(leaf.data, a, b):
                yield Misfit(f"{prefix}grad[{leaf.name}]", leaf.data, b)


def _fitted(program: Program, mine: Sequence[Any], theirs: Sequence[Any]) -> tuple[Any, ...]:
    leaves = zip(program.leaves, mine, theirs, strict=False)
    fitted = [a if _is_misfit(leaf.data, a, b) else b for leaf, a, b in leaves]
    return (*fitted, *theirs[len(fitted) :])


def _is_misfit(leaf: np.ndarray, mine: Any, theirs: Any) -> bool:
    return not _fits(theirs, leaf) and _fits(mine, leaf)


def _fits(gradient: Any, leaf: np.ndarray) -> bool:
    if gradient is None:
        return True
    return isinstance(gradient, np.ndarray) and (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype)
