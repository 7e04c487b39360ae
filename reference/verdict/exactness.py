"""The exact witness's answers about a program, number by number, and the errors of both sides on nearby programs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np

from reference.engines.exact import ExactEngine, Jitter, Slopes, Witness
from reference.engines.exact.numbers import precisely
from reference.programs import LEAF, Program
from reference.verdict.findings import SECOND_ORDER, Part, parts

if TYPE_CHECKING:
    from reference.engines import Engine, Outcome

COPIES = 5  # programs with operands a few ULP away, which show the typical errors of both sides
NEARBY = 4  # the largest move of these operands, in ULP
SAMPLES = 32  # points around a kink: a given one of the four combinations of two sides is missed once in 10,000
KINKED = 8  # numbers at a kink whose slopes are checked together
ROUNDINGS = 3  # runs with operands moved by a rounding, which estimate rounding errors
A_HAIR = 2.0**-60  # the distance of points around a kink: far below rounding, and far above the step of differences

Place = tuple[int, ...]
_WITNESS = Witness()
_EXACT = ExactEngine()  # the same without bounds, where operands are moved by far more than its errors


class Testimony:
    """The witness's answers about one program.

    Args:
        program: the case.
        engine: the engine, to measure its errors on nearby programs.
        reference: the reference, likewise.
    """

    def __init__(self, program: Program, engine: Engine, reference: Engine) -> None:
        self._program = program
        self._sides = (engine, reference)
        self._leaves = [o.name for o in program.leaves]

    def leaf(self, part: str) -> int:
        """Return the index of the leaf of which a part is the gradient."""
        return self._leaves.index(part[part.index("[") + 1 : -1])

    def slopes(self, part: str, place: Place, jitter: Jitter | None = None, program: Program | None = None) -> Slopes:
        """Return one exact number of a part: its slopes on both sides; for a value, twice the value.

        Args:
            part: the part's name, such as `grad[x]`.
            place: the index of the number.
            jitter: moves each operand as it is used.
            program: another program than the case.
        """
        program = program or self._program
        if part == "value":
            return _value(program, place, jitter)
        return _slopes(program, self.leaf(part), place, jitter, second=part.startswith(SECOND_ORDER))

    def moved_by_rounding(self, part: str, place: Place, exact: Any, *, single: bool) -> float:
        """Return how far a number moves if every operand of every step moves by a rounding.

        This estimates the rounding error if the reference cannot be disturbed.
        """
        size, moved = 2.0**-24 if single else 2.0**-53, 0.0
        for seed in range(ROUNDINGS):
            number = self.slopes(part, place, Jitter(seed, size, rounding=True)).middle
            if number is not None:
                with precisely():
                    moved = max(moved, float(abs(number - exact)))
        return moved

    def errors_nearby(self, part: str, place: Place) -> tuple[float, float]:
        """Return the largest errors of both sides on numbers a few ULP away: either may be exact here by luck."""
        errors = [(0.0, 0.0)]
        for program, mine, theirs in self._copies:
            exact = self.slopes(part, place, program=program).exact
            if exact is not None and has(mine[part], place) and has(theirs[part], place):
                errors.append((error_of(mine[part][place], exact), error_of(theirs[part][place], exact)))
        finite = [[e for e in side if math.isfinite(e)] for side in zip(*errors, strict=True)]
        return max(finite[0]), max(finite[1])

    @cached_property
    def _copies(self) -> list[tuple[Program, dict[str, Any], dict[str, Any]]]:
        """Nearby programs, with the parts of both sides."""
        copies = [_nudged(self._program, seed) for seed in range(COPIES)]
        mine, theirs = ([by_name(parts(near, side.run(near))) for near in copies] for side in self._sides)
        return list(zip(copies, mine, theirs, strict=True))

    @cached_property
    def of_finite_results(self) -> dict[str, Any] | None:
        """The reference's gradients of the finite results only; None if all results are finite."""
        cotangent = self._program.cotangent
        result = _EXACT.values(self._program)[-1]
        finite = np.array([bool(gmpy2.is_finite(number)) for number in result.reshape(-1)]).reshape(result.shape)
        if finite.all() or cotangent is None:
            return None
        rest = replace(self._program, cotangent=np.where(finite, cotangent, 0))
        return by_name(parts(rest, self._sides[1].run(rest)))

    def is_subgradient(self, part: str, place: Place, got: Outcome) -> bool:
        """Whether the engine's number, alone and paired with others at the kink, lies among slopes a hair away."""
        here = (self.leaf(part), place)
        number, slopes = self._number(here, got), _slopes_around(self._program, here)
        if number is None or not _lies_among(number, slopes):
            return False
        for at in [at for at in _kinked(self._program) if at != here][: KINKED - 1]:
            other, others = self._number(at, got), _slopes_around(self._program, at)
            if other is None or any(slope is None for slope in (*slopes, *others)):
                continue
            for sign in (1, -1):
                sums = [a + sign * b for a, b in zip(slopes, others, strict=True)]
                if not _lies_among(number + sign * other, sums):
                    return False
        return True

    def _number(self, at: tuple[int, Place], got: Outcome) -> Any:
        gradient = got.gradients[at[0]]
        if gradient is None:
            return gmpy2.mpfr(0)
        number = float(gradient[at[1]]) if np.shape(gradient) == self._program.leaves[at[0]].data.shape else math.nan
        return gmpy2.mpfr(number) if math.isfinite(number) else None


# Exact numbers are cached: in mutation testing many faults fail on the same program.


@lru_cache(maxsize=1_024)
def _value(program: Program, place: Place, jitter: Jitter | None) -> Slopes:
    return _WITNESS.value(program, place) if jitter is None else Slopes.of_value(_EXACT.value(program, place, jitter))


@lru_cache(maxsize=16_384)
def _slopes(program: Program, leaf: int, place: Place, jitter: Jitter | None, *, second: bool) -> Slopes:
    if jitter is None:
        return (_WITNESS.second_slopes if second else _WITNESS.slopes)(program, leaf, place)
    return (_EXACT.second_slopes if second else _EXACT.slopes)(program, leaf, place, jitter)


@lru_cache(maxsize=256)
def _slopes_around(program: Program, at: tuple[int, Place]) -> list[Any]:
    """Return a number's slopes at points around a kink, the same points for all numbers; None if not finite."""
    jitters = (Jitter(seed, A_HAIR, A_HAIR) for seed in range(SAMPLES))
    return [_EXACT.slopes(program, *at, jitter).middle for jitter in jitters]


@lru_cache(maxsize=16)
def _kinked(program: Program) -> list[tuple[int, Place]]:
    """Return the first numbers of leaves that have different slopes on their two sides."""
    return list(itertools.islice(_each_kinked(program), KINKED))


def _each_kinked(program: Program) -> Iterator[tuple[int, Place]]:
    for leaf, operand in enumerate(program.leaves):
        for place in np.ndindex(operand.data.shape):
            slopes = _EXACT.slopes(program, leaf, place)
            if slopes.left is not None and slopes.right is not None and slopes.exact is None:
                yield leaf, place


def error_of(number: Any, exact: Any) -> float:
    """Return the absolute error of a number; infinity if it is not finite."""
    return float(abs(gmpy2.mpfr(float(number)) - exact)) if np.isfinite(number) else math.inf


def spacing(exact: Any, *, single: bool) -> float:
    """Return one unit in the last place, in the precision that counts."""
    number = np.float32 if single else np.float64
    with np.errstate(all="ignore"):  # the neighbour of the largest number is infinity
        return float(np.spacing(number(min(abs(float(exact)), float(np.finfo(number).max)))))


def nearest(exact: Any, like: Any) -> Any:
    """Return the exact number, rounded to the dtype of `like`."""
    with np.errstate(all="ignore"):
        return np.asarray(like).dtype.type(float(exact))


def has(array: Any, place: Place) -> bool:
    """Whether an object is an array with this place."""
    return isinstance(array, np.ndarray) and array.ndim == len(place) and all(map(int.__lt__, place, array.shape))


def by_name(of: Sequence[Part]) -> dict[str, Any]:
    """Return the arrays of parts by name."""
    return {part.name: part.array for part in of}


def _lies_among(number: Any, samples: Sequence[Any]) -> bool:
    """Whether a number lies between the least and the largest sample, up to rounding."""
    known = [s for s in samples if s is not None]
    if not known:
        return False
    low, high = min(known), max(known)
    slack = (high - low + abs(high) + abs(low)) * 1e-6
    return bool(low - slack <= number <= high + slack)


@lru_cache(maxsize=256)
def _nudged(program: Program, seed: int) -> Program:
    """Return the program with each number of its leaves, cotangent and directions moved by a few ULP at most."""
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
