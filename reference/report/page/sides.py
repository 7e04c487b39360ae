"""Every value and every gradient of a program from three sides: ndgrad, PyTorch, and the exact witness.

The witness has no rules of differentiation: it computes the gradient of an inner value as the slope of the remaining
program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gmpy2
import numpy as np

from reference.engines import Outcome
from reference.engines.exact import ExactEngine
from reference.engines.exact.numbers import Exact, exactly, precisely
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.programs import ARRAY, LEAF, NUMBER, Operand, Program, Step
from reference.report.page.numbers import exact_text, full, places, ulp_text
from reference.verdict import ulps

STEP = gmpy2.mpfr(2) ** -130  # curvature costs 2^-260, and rounding in 400 bits 2^-270
_ALIKE = gmpy2.mpfr(2) ** -60  # the most that the slopes on both sides may differ, except at a kink

_WITNESS = ExactEngine()


@dataclass(frozen=True)
class Number:
    """One number of an array from three sides, as text.

    Args:
        place: its place, as `[0, 1]`; empty if there is only one.
        mine: ndgrad's number.
        theirs: PyTorch's number.
        exact: the exact number.
        ulp: the distance between ndgrad's and PyTorch's, in ULP.
        off: the distance of ndgrad's to the double nearest to the exact number.
        their_off: the distance of PyTorch's to it.
    """

    place: str
    mine: str
    theirs: str
    exact: str
    ulp: str
    off: str
    their_off: str


@dataclass(frozen=True)
class Sides:
    """The results of three sides for a program: an array for each operand and each step, in this order."""

    program: Program
    mine: Outcome
    theirs: Outcome
    exact: tuple[Exact, ...]

    def value(self, i: int) -> list[Number]:
        """Return the value of an operand or a step."""
        first = len(self.program.operands)
        if i < first:
            data = np.asarray(self.program.operands[i].data)
            return numbers(data, data, self.exact[i])
        return numbers(self.mine.values[i - first], self.theirs.values[i - first], self.exact[i])

    def gradient(self, i: int) -> list[Number]:
        """Return the gradient of an operand or a step."""
        mine, theirs = gradients(self.program, self.mine)[i], gradients(self.program, self.theirs)[i]
        return numbers(mine, theirs, exact_gradient(self.program, i, self.exact[i]))


def three_sides(program: Program) -> Sides:
    """Run a program on all three sides."""
    theirs = TorchEngine()
    inner = theirs.run(program, inner=True)
    operands = tuple(exactly(o.data) for o in program.operands)
    with precisely():
        exact = (*operands, *_WITNESS.values(program))
    return Sides(program, NdgradEngine().run(program), inner, exact)


def gradients(program: Program, outcome: Outcome) -> list[Any]:
    """Return the gradient of each operand and step, if there is one; a leaf's missing gradient is zeros."""
    leaves = iter(outcome.gradients or [None] * len(program.leaves))
    operands = [_or_zeros(next(leaves), o.data) if o.kind == LEAF else None for o in program.operands]
    return [*operands, *(outcome.inner or [None] * len(program.steps))]


def _or_zeros(gradient: Any, like: np.ndarray) -> np.ndarray:
    return np.zeros_like(like) if gradient is None else np.asarray(gradient)


def numbers(mine: Any, theirs: Any, exact: Any) -> list[Number]:
    """Return the first numbers of three arrays of equal shape, side by side."""
    if mine is None or theirs is None or np.shape(mine) != np.shape(theirs):
        return []
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    return [_number(place, mine[place], theirs[place], exact[place]) for place in places(mine.shape)]


def _number(place: tuple[int, ...], mine: Any, theirs: Any, exact: Any) -> Number:
    off, their_off = (
        "–" if exact is None else ulp_text(_distance(side, np.asarray(float(exact), np.asarray(side).dtype)))
        for side in (mine, theirs)
    )
    at = str(list(place)) if place else ""
    return Number(at, full(mine), full(theirs), exact_text(exact), ulp_text(_distance(mine, theirs)), off, their_off)


def _distance(a: Any, b: Any) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float(ulps(a, b)) if a.dtype.kind == "f" and a.dtype == b.dtype else float(abs(float(a) - float(b)))


# Gradients of inner values, by the witness.


def continuation(program: Program, i: int, value: np.ndarray) -> Program:
    """Return the program with one of its values as the only leaf, placed after the operands."""
    first = len(program.operands)
    fixed = tuple(replace(o, kind=NUMBER if o.kind == NUMBER else ARRAY) for o in program.operands)
    moved = {j: j if j < first else j + (j < i or i < first) for j in range(first + len(program.steps))}
    moved[i] = first
    steps = [
        Step(step.op, tuple(moved[j] for j in step.inputs), step.options)
        for j, step in enumerate(program.steps, first)
        if j != i
    ]
    return Program((*fixed, Operand("it", value, LEAF)), tuple(steps), program.cotangent)


def exact_gradient(program: Program, i: int, value: Exact) -> Any:
    """Compute the first numbers of a value's gradient by moving each number of the value."""
    if i == program.result:
        return exactly(program.cotangent)
    after = continuation(program, i, np.asarray(value, float))
    gradient = np.full(value.shape, None, object)
    with precisely():
        for place in places(value.shape):
            gradient[place] = slope(after, len(program.operands), value, place)
    return gradient


def slope(after: Program, leaf: int, value: Exact, place: tuple[int, ...]) -> Any:
    """Compute the slope of the result, weighted by the cotangent, along one number of a leaf; None at a kink.

    Args:
        after: the program.
        leaf: the index of the leaf among the operands.
        value: the leaf's numbers.
        place: the place of the number.
    """
    behind, here, ahead = (_weighed(after, leaf, value, place, by * STEP) for by in (-1, 0, 1))
    left, right = (here - behind) / STEP, (ahead - here) / STEP
    if not gmpy2.is_finite(left + right) or abs(left - right) > _ALIKE * max(abs(left), abs(right)):
        return None
    return (left + right) / 2


def _weighed(after: Program, leaf: int, value: Exact, place: tuple[int, ...], by: Any) -> Any:
    moved = value.copy()
    moved[place] = moved[place] + by
    result = _WITNESS.values(after, {leaf: moved})[-1]
    return sum((np.ravel(result) * exactly(after.cotangent).ravel()).tolist(), gmpy2.mpfr(0))
