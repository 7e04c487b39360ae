"""What the exact witness shows of a program, number by number; and what both sides make of numbers nearby."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np

from reference.engines.exact import ExactEngine, Jitter, Slopes
from reference.engines.exact.numbers import precisely
from reference.programs import LEAF, Program
from reference.verdict.findings import SECOND_ORDER, Part, parts

if TYPE_CHECKING:
    from reference.engines import Engine, Outcome

COPIES = 5  # how many programs with operands a few ULP away show what errors the sides make hereabouts
NEARBY = 4  # how many ULP
SAMPLES = 32  # of points around a kink: two of four combinations of two sides are missed once in ten thousand
KINKED = 8  # of how many numbers the slopes around a kink are looked at together
ROUNDINGS = 3  # times that operands are moved by a rounding, to see what it does
A_HAIR = 2.0**-60  # how far a point around a kink is away: far below rounding, and far above a difference's step

Place = tuple[int, ...]
_WITNESS = ExactEngine()


class Witnessed:
    """What the witness shows of one program.

    Args:
        program: the case.
        engine: one side, and
        reference: the other, to see what errors they make nearby.
    """

    def __init__(self, program: Program, engine: Engine, reference: Engine) -> None:
        self._program = program
        self._sides = (engine, reference)
        self._leaves = [o.name for o in program.leaves]

    def leaf(self, part: str) -> int:
        """The place among the leaves of that which a part is the gradient of."""
        return self._leaves.index(part[part.index("[") + 1 : -1])

    def slopes(self, part: str, place: Place, jitter: Jitter | None = None, program: Program | None = None) -> Slopes:
        """The exact number of a part: of a value, the same on both sides.

        Args:
            part: by name, as `grad[x]`.
            place: which of its numbers.
            jitter: what moves each operand as it is used.
            program: another than the case.
        """
        program = program or self._program
        if part == "value":
            value = _WITNESS.value(program, place, jitter)
            return Slopes(value, value) if gmpy2.is_finite(value) else Slopes(None, None)
        function = _WITNESS.second_slopes if part.startswith(SECOND_ORDER) else _WITNESS.slopes
        return function(program, self.leaf(part), place, jitter)

    def moved_by_rounding(self, part: str, place: Place, exact: Any, *, single: bool) -> float:
        """How far a number moves if every operand of every step moves by a rounding: where no reference shows it."""
        size, moved = 2.0**-24 if single else 2.0**-53, 0.0
        for seed in range(ROUNDINGS):
            number = self.slopes(part, place, Jitter(seed, size, rounding=True)).middle
            if number is not None:
                with precisely():
                    moved = max(moved, float(abs(number - exact)))
        return moved

    def errors_nearby(self, part: str, place: Place) -> tuple[float, float]:
        """The largest errors of both sides on numbers a few ULP away: here either may be right by luck."""
        errors = [(0.0, 0.0)]
        for program, mine, theirs in self._copies:
            exact = self.slopes(part, place, program=program).exact
            if exact is not None and has(mine[part], place) and has(theirs[part], place):
                errors.append((off(mine[part][place], exact), off(theirs[part][place], exact)))
        finite = [[e for e in side if math.isfinite(e)] for side in zip(*errors, strict=True)]
        return max(finite[0]), max(finite[1])

    @cached_property
    def _copies(self) -> list[tuple[Program, dict[str, Any], dict[str, Any]]]:
        """The program with its numbers nudged, and what both sides make of it."""
        copies = [_nudged(self._program, seed) for seed in range(COPIES)]
        mine, theirs = ([by_name(parts(near, side.run(near))) for near in copies] for side in self._sides)
        return list(zip(copies, mine, theirs, strict=True))

    @cached_property
    def without_what_is_no_number(self) -> dict[str, Any] | None:
        """The reference's gradients without those results that are no numbers; None where all are."""
        cotangent = self._program.cotangent
        result = _WITNESS.values(self._program)[-1]
        finite = np.array([bool(gmpy2.is_finite(number)) for number in result.reshape(-1)]).reshape(result.shape)
        if finite.all() or cotangent is None:
            return None
        rest = replace(self._program, cotangent=np.where(finite, cotangent, 0))
        return by_name(parts(rest, self._sides[1].run(rest)))

    def is_subgradient(self, part: str, place: Place, got: Outcome) -> bool:
        """Whether the engine's number, alone and with each other one at the kink, lies among slopes a hair away."""
        here = (self.leaf(part), place)
        others = [at for at in self._kinked() if at != here][: KINKED - 1]
        mine = {at: self._number(at, got) for at in (here, *others)}
        samples = [
            {at: _WITNESS.slopes(self._program, *at, jitter).middle for at in mine}
            for jitter in (Jitter(seed, A_HAIR, A_HAIR) for seed in range(SAMPLES))
        ]
        if mine[here] is None or not _lies_among(mine[here], [s[here] for s in samples]):
            return False
        for at, sign in itertools.product(others, (1, -1)):
            if mine[at] is None or any(s[at] is None or s[here] is None for s in samples):
                continue
            if not _lies_among(mine[here] + sign * mine[at], [s[here] + sign * s[at] for s in samples]):
                return False
        return True

    def _kinked(self) -> Iterator[tuple[int, Place]]:
        """The numbers of leaves that have unlike slopes on their two sides."""
        for leaf, operand in enumerate(self._program.leaves):
            for place in np.ndindex(operand.data.shape):
                slopes = _WITNESS.slopes(self._program, leaf, place)
                if slopes.left is not None and slopes.right is not None and slopes.exact is None:
                    yield leaf, place

    def _number(self, at: tuple[int, Place], got: Outcome) -> Any:
        gradient = got.gradients[at[0]]
        if gradient is None:
            return gmpy2.mpfr(0)
        number = float(gradient[at[1]]) if np.shape(gradient) == self._program.leaves[at[0]].data.shape else math.nan
        return gmpy2.mpfr(number) if math.isfinite(number) else None


def off(number: Any, exact: Any) -> float:
    """How far a number is from the exact one; infinitely far, if it is none."""
    return float(abs(gmpy2.mpfr(float(number)) - exact)) if np.isfinite(number) else math.inf


def spacing(exact: Any, *, single: bool) -> float:
    """One unit in the last place, in the precision that counts."""
    number = np.float32 if single else np.float64
    with np.errstate(all="ignore"):  # beside the largest number stands infinity
        return float(np.spacing(number(min(abs(float(exact)), float(np.finfo(number).max)))))


def nearest(exact: Any, like: Any) -> Any:
    """The exact number, rounded to the dtype of the number that it stands beside."""
    with np.errstate(all="ignore"):
        return np.asarray(like).dtype.type(float(exact))


def has(array: Any, place: Place) -> bool:
    """Whether an array has such a place."""
    return isinstance(array, np.ndarray) and array.ndim == len(place) and all(map(int.__lt__, place, array.shape))


def by_name(of: Sequence[Part]) -> dict[str, Any]:
    """The arrays of parts, by their names."""
    return {part.name: part.array for part in of}


def _lies_among(number: Any, samples: Sequence[Any]) -> bool:
    """Whether a number lies between the least and the largest of the samples, but for rounding."""
    known = [s for s in samples if s is not None]
    if not known:
        return False
    low, high = min(known), max(known)
    slack = (high - low + abs(high) + abs(low)) * 1e-6
    return bool(low - slack <= number <= high + slack)


def _nudged(program: Program, seed: int) -> Program:
    """The program with each number of its leaves, its cotangent and its directions moved by up to a few ULP."""
    rng = np.random.default_rng(seed)

    def near(data: np.ndarray) -> np.ndarray:
        steps = rng.integers(-NEARBY, NEARBY, data.shape, endpoint=True)
        with np.errstate(all="ignore"):
            return np.asarray(data * (1 + steps * np.finfo(data.dtype).eps), data.dtype)

    operands = [replace(o, data=near(o.data), layout="C") if o.kind == LEAF else o for o in program.operands]
    cotangent = None if program.cotangent is None else near(program.cotangent)
    return replace(
        program, operands=tuple(operands), cotangent=cotangent, directions=tuple(map(near, program.directions))
    )
