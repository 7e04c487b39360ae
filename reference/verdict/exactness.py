"""The third tier: who is right? The exact witness decides, number by number, what rounding does not explain.

At a kink, where the slopes on the two sides differ, no number is the right one: an engine's gradient is then held
against those at points a hair away. If it lies among them it is a subgradient, and a matter of convention; if it does
not, it is wrong, whatever the convention.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import gmpy2
import numpy as np

from reference.engines import Engine, Outcome
from reference.engines.exact import ExactEngine, Jitter, Slopes
from reference.exact import precisely
from reference.program import LEAF, Program
from reference.verdict.distance import ulps
from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Part, Result, parts
from reference.verdict.rounding import AT_ONCE, MARGIN, Unexplained, allowed_ulps

PLACES = 6  # how many numbers of an array are looked at, the furthest apart first
FEW_PLACES = 2  # the same where the witness also has to find out what rounding does
COPIES = 5  # how many programs with operands a few ULP away show what errors the reference makes hereabouts
NEARBY = 4  # how many ULP
SAMPLES = 32  # of points around a kink: two of four combinations of two sides are missed once in ten thousand
KINKED = 8  # of how many numbers the slopes around a kink are looked at together
ROUNDINGS = 3  # times that operands are moved by a rounding, to see what it does
A_HAIR = 2.0**-60  # how far such a point is away, far below rounding, and far above the step of a difference

Place = tuple[int, ...]


class Exactness:
    """Asks the witness about one program.

    Args:
        program: the case.
        sides: the engine and the reference, to see what errors they make nearby.
        witness: the exact engine.
        got: what the engine made of it.
        followed: what the reference makes of the engine's own values.
        single: whether single precision's rounding counts.
        convention: whether another slope at a kink is another convention; else rounding may have chosen it.
        authority: whether the reference settles what the witness cannot tell. One that cannot be disturbed does not.
    """

    def __init__(
        self,
        program: Program,
        sides: tuple[Engine, Engine],
        witness: ExactEngine,
        got: Outcome,
        followed: Outcome,
        *,
        single: bool,
        convention: bool,
        authority: bool,
    ) -> None:
        self._program = program
        self._sides = sides
        self._witness = witness
        self._got = got
        self._followed = _by_name(parts(program, followed))
        self._single = single
        self._convention = convention
        self._authority = authority
        self._leaves = [o.name for o in program.leaves]
        self._nearby: list[tuple[Program, dict[str, Any], dict[str, Any]]] = []

    def settle(self, unexplained: Unexplained) -> Finding:
        """Say what one finding comes to: the gravest that any of its numbers comes to."""
        finding, wrong, error = unexplained
        distance = np.where(wrong, ulps(*finding.arrays, single=self._single), -1.0)
        order = np.argsort(-distance, axis=None, kind="stable")[
            : min(PLACES if self._authority else FEW_PLACES, int(wrong.sum()))
        ]
        places = [tuple(map(int, np.unravel_index(i, wrong.shape))) for i in order]
        settled: list[Finding] = []
        for place in places:
            known = any(f.result is Result.REFERENCE_WRONG for f in settled)
            at = self._settled_at(finding, place, float(error[place]), float(distance[place]), known=known)
            settled.append(at if self._authority else self._left_open(at))
        return max(settled, key=lambda f: f.result.gravity)

    def _settled_at(self, finding: Finding, place: Place, error: float, ulp: float, *, known: bool) -> Finding:
        """Say what one number comes to. That the reference is wrong is not shown again where it is known."""
        got, wanted = (side[place] for side in finding.arrays)
        slopes = self._slopes(self._program, finding.part, place)
        if math.isnan(error):
            error = self._rounding(replace(finding, got=got, wanted=wanted), place, slopes.exact)
        allowed = allowed_ulps(got, wanted, error, single=self._single)
        at = replace(finding, place=place, got=got, wanted=wanted, ulp=ulp, allowed=allowed)
        if slopes.exact is None:
            return self._at_a_kink(at, slopes)
        with precisely():
            result = self._compared(at, slopes.exact, error, known=known)
        return replace(at, exact=_nearest(slopes.exact, got), result=result)

    def _left_open(self, finding: Finding) -> Finding:
        """What no authority settles: where there is no exact number, or it stands beside infinities, NaN or kinks.

        At a kink the rules of two engines may each be right, and what they make of a program not what it is.
        """
        told = finding.exact is not None and self._is_finite and self._convention
        decided = finding.result.blames or finding.result is Result.REFERENCE_WRONG
        return replace(finding, result=Result.INCONCLUSIVE) if decided and not told else finding

    @cached_property
    def _is_finite(self) -> bool:
        """Whether all numbers of the program are finite."""
        arrays = [*(o.data for o in self._program.operands), *self._got.values]
        return all(bool(np.isfinite(a).all()) for a in arrays)

    def _rounding(self, finding: Finding, place: Place, exact: Any) -> float:
        """How far rounding may take a number, where no reference shows it: as far as it moves if all operands do.

        Nobody needs to know it of a number that is right at once, and in half of its digits the reference's, too.
        """
        size, moved, part = 2.0**-24 if self._single else 2.0**-53, 0.0, finding.part
        with precisely():
            at_once = exact is not None and _off(finding.got, exact) <= AT_ONCE * _spacing(exact, single=self._single)
            if exact is None or (at_once and self._share_digits(finding)):
                return 0.0
        for seed in range(ROUNDINGS):
            number = self._slopes(self._program, part, place, Jitter(seed, size, rounding=True)).middle
            if number is not None:
                with precisely():
                    moved = max(moved, float(abs(number - exact)))
        return moved

    def _slopes(self, program: Program, part: str, place: Place, jitter: Jitter | None = None) -> Slopes:
        """The exact number of a part: of a value, the same on both sides."""
        if part == "value":
            value = self._witness.value(program, place, jitter)
            return Slopes(value, value) if gmpy2.is_finite(value) else Slopes(None, None)
        leaf = self._leaf(part)
        function = self._witness.second_slopes if part.startswith(SECOND_ORDER) else self._witness.slopes
        return function(program, leaf, place, jitter)

    def _compared(self, finding: Finding, exact: Any, error: float, *, known: bool) -> Result:
        """Who is right, where there is one right number."""
        rounding = error + AT_ONCE / MARGIN * _spacing(exact, single=self._single)
        mine, theirs = _off(finding.got, exact), _off(finding.wanted, exact)
        if mine <= MARGIN * rounding:
            right = known or theirs <= MARGIN * rounding
            return Result.CONDITIONED if right else self._reference(finding, rounding)
        if theirs > MARGIN * rounding and self._sees_a_part(finding):
            return Result.INCONCLUSIVE if self._share_digits(finding) else _by_convention(finding)
        worst_mine, worst_theirs = self._errors_nearby(finding.part, finding.place)
        if theirs > MARGIN * max(mine, worst_mine, rounding):
            alone = not self._authority and self._is_imprecise_alone(finding)
            return Result.CONDITIONED if alone else Result.REFERENCE_WRONG
        return Result.CONDITIONED if mine <= MARGIN * max(theirs, worst_theirs) else Result.ENGINE_WRONG

    def _sees_a_part(self, finding: Finding) -> bool:
        """Whether what is no number in the result has a share in this one: the witness's is that of the rest alone."""
        result = self._witness.values(self._program)[-1]
        finite = np.array([bool(gmpy2.is_finite(number)) for number in result.reshape(-1)]).reshape(result.shape)
        if finite.all() or finding.kind is Kind.FORWARD or self._program.cotangent is None:
            return False
        rest = replace(self._program, cotangent=np.where(finite, self._program.cotangent, 0))
        array = _by_name(parts(rest, self._sides[1].run(rest)))[finding.part]
        return not (_has(array, finding.place) and array[finding.place] == finding.wanted)

    def _share_digits(self, finding: Finding) -> bool:
        """Whether both sides have half of their digits in common: beside NaN, rounding cannot be measured."""
        unit = np.finfo(np.float32 if self._single else np.float64).eps
        return _off(finding.wanted, finding.got) <= math.sqrt(unit) * abs(float(finding.wanted))

    def _reference(self, finding: Finding, rounding: float) -> Result:
        """The reference is off, and the engine is not: unless that one errs as much nearby, its fault.

        One that cannot be disturbed is not told to be wrong for what its formulas lose, if they lose less than half.
        """
        if not self._authority and self._is_imprecise_alone(finding):
            return Result.CONDITIONED
        worst_mine = self._errors_nearby(finding.part, finding.place)[0] if self._authority else 0.0
        off = _off(finding.wanted, finding.got)
        return Result.REFERENCE_WRONG if off > MARGIN * max(worst_mine, rounding) else Result.CONDITIONED

    def _is_imprecise_alone(self, finding: Finding) -> bool:
        """Whether the reference is right to half of the digits of its largest number in the part."""
        unit = np.finfo(np.float32 if self._single else np.float64).eps
        theirs = np.asarray(finding.arrays[1], float)
        largest = float(np.max(np.abs(theirs), where=np.isfinite(theirs), initial=0.0))
        return _off(finding.wanted, finding.got) <= math.sqrt(unit) * largest

    def _errors_nearby(self, part: str, place: Place) -> tuple[float, float]:
        """The largest errors of both sides on numbers a few ULP away: here either may be right by luck."""
        errors = [(0.0, 0.0)]
        for program, mine, theirs in self._copies():
            exact = self._slopes(program, part, place).exact
            if exact is not None:
                both = tuple(_off(side[part][place], exact) for side in (mine, theirs) if _has(side[part], place))
                errors += [(both[0], both[1])] if len(both) == len(errors[0]) else []
        finite = [[e for e in side if math.isfinite(e)] for side in zip(*errors, strict=True)]
        return max(finite[0]), max(finite[1])

    def _copies(self) -> list[tuple[Program, dict[str, Any], dict[str, Any]]]:
        """The program with its numbers nudged, and what both sides make of it."""
        if not self._nearby:
            for seed in range(COPIES):
                near = _nudged(self._program, seed)
                mine, theirs = (_by_name(parts(near, side.run(near))) for side in self._sides)
                self._nearby.append((near, mine, theirs))
        return self._nearby

    # Kinks.

    def _at_a_kink(self, finding: Finding, slopes: Slopes) -> Finding:
        """Where no number is the right one. What the witness cannot tell, the reference's convention settles."""
        if self._is_of_nan(finding):
            says = "of what is NaN there is no slope"
            return replace(finding, kind=Kind.CONVENTION, result=Result.CONVENTION, says=says)
        if slopes.left is None or slopes.right is None or finding.part.startswith(SECOND_ORDER):
            return replace(finding, result=_by_convention(finding))
        if not self._authority:
            low, high = sorted((float(slopes.left), float(slopes.right)))
            within = low <= float(finding.got) <= high
            return replace(finding, result=Result.CONDITIONED if within else Result.INCONCLUSIVE)
        with precisely():
            legal = self._is_subgradient(finding)
        if not legal:
            says = f"its slopes are {float(slopes.left):.6g} and {float(slopes.right):.6g} on the two sides"
            return replace(finding, says=says)
        if not self._convention or self._decided_by_rounding(finding):
            return replace(finding, result=Result.CONDITIONED)
        return replace(finding, kind=Kind.CONVENTION, result=Result.CONVENTION)

    def _is_of_nan(self, finding: Finding) -> bool:
        """Whether it is the gradient towards a number that is none."""
        of_a_leaf = finding.kind is Kind.GRADIENT and not finding.part.startswith(SECOND_ORDER)
        return of_a_leaf and bool(np.isnan(self._program.leaves[self._leaf(finding.part)].data[finding.place]))

    def _leaf(self, part: str) -> int:
        """The place among the leaves of that which a part is the gradient of."""
        return self._leaves.index(part[part.index("[") + 1 : -1])

    def _decided_by_rounding(self, finding: Finding) -> bool:
        """Whether the reference takes the engine's slope as well, once it has the engine's numbers to compare."""
        array = self._followed[finding.part]
        return _has(array, finding.place) and self._share_digits(replace(finding, wanted=array[finding.place]))

    def _is_subgradient(self, finding: Finding) -> bool:
        """Whether the engine's number, alone and with each other one at the kink, lies among slopes a hair away."""
        leaf = self._leaf(finding.part)
        here = (leaf, finding.place)
        others = [at for at in self._kinked() if at != here][: KINKED - 1]
        mine = {at: self._number(at) for at in (here, *others)}
        samples = [
            {at: self._witness.slopes(self._program, *at, jitter).middle for at in mine}
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
                slopes = self._witness.slopes(self._program, leaf, place)
                if slopes.left is not None and slopes.right is not None and slopes.exact is None:
                    yield leaf, place

    def _number(self, at: tuple[int, Place]) -> Any:
        gradient = self._got.gradients[at[0]]
        if gradient is None:
            return gmpy2.mpfr(0)
        number = float(gradient[at[1]]) if np.shape(gradient) == self._program.leaves[at[0]].data.shape else math.nan
        return gmpy2.mpfr(number) if math.isfinite(number) else None


def _by_convention(finding: Finding) -> Result:
    """Where no exact number tells, slopes are a convention, which is the reference's; but NaN twice over is none."""
    left_open = finding.part.startswith(SECOND_ORDER) and not np.isfinite(finding.wanted)
    return Result.INCONCLUSIVE if left_open else Result.ENGINE_WRONG


def _lies_among(number: Any, samples: Sequence[Any]) -> bool:
    """Whether a number lies between the least and the largest of the samples, but for rounding."""
    known = [s for s in samples if s is not None]
    if not known:
        return False
    low, high = min(known), max(known)
    slack = (high - low + abs(high) + abs(low)) * 1e-6
    return bool(low - slack <= number <= high + slack)


def _off(number: Any, exact: Any) -> float:
    """How far a number is from the exact one; infinitely far, if it is none."""
    return float(abs(gmpy2.mpfr(float(number)) - exact)) if np.isfinite(number) else math.inf


def _spacing(exact: Any, *, single: bool) -> float:
    """One unit in the last place, in the precision that counts."""
    number = np.float32 if single else np.float64
    with np.errstate(all="ignore"):  # beside the largest number stands infinity
        return float(np.spacing(number(min(abs(float(exact)), float(np.finfo(number).max)))))


def _nearest(exact: Any, like: Any) -> Any:
    """The exact number, rounded to the dtype of the number that it stands beside."""
    with np.errstate(all="ignore"):
        return np.asarray(like).dtype.type(float(exact))


def _has(array: Any, place: Place) -> bool:
    return isinstance(array, np.ndarray) and array.ndim == len(place) and all(map(int.__lt__, place, array.shape))


def _by_name(of: Sequence[Part]) -> dict[str, Any]:
    return {part.name: part.array for part in of}


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
