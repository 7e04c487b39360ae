"""The first two tiers: do two outcomes agree at once, and if not, is it rounding?

Two estimates of the error that rounding may cause. The condition: the reference runs again with every operand use, and
every number kept for the way back, disturbed by a known factor; how far results move is how much this program magnifies
rounding. And the reference's own error: what it gives in another precision.

A tolerance is never scaled by the size of an array: each number is bounded by its own terms. This module knows neither
PyTorch nor any op: it is given two outcomes, and a way to run the reference again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from reference.engines import Noise
from reference.verdict.distance import apart, ulps, worst_place
from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Part, Result, Verdict

# Tier 1. Of gradients of random expressions in a right engine 93.5 % lie within 8 ULP of PyTorch's.
AT_ONCE = 8.0
# Tier 2. How many times the estimated error is let pass. On 12,000 random expressions a right engine's error was at
# most 3.4 times the estimate.
MARGIN = 16.0
# How strongly operands are disturbed: far above rounding, and far below where results bend. A power of 2.
DISTURBANCE = 2.0**-34
# How often: the largest movement counts. Five runs are few: of a million numbers some will have moved, by chance, a
# tenth of what they can, in each; and one run in single precision may be off by little, by chance. So where no witness
# can be asked, what is off by little more than the bound is looked at again, with many more of both.
RUNS = 5
MORE_RUNS = 25
LITTLE_MORE = 1e6
# So little of the largest number met may be all rounding, whatever the first look said; in single precision, more.
LITTLE, LITTLE_SINGLE = 2.0**-30, 2.0**-10
# Where results bend within less than the disturbance, as a spread of one unit in the last place does, a disturbance of
# four such units shows by itself what rounding does.
ROUNDING, ROUNDING_SINGLE = 2.0**-51, 2.0**-22
# How far operands are nudged to see single precision round otherwise: an exponential near 1 must come to lie between
# other neighbours. The numbers are hardly others.
NUDGE = 2.0**-10
SINGLE, DOUBLE = "float32", "float64"

Rerun = Callable[[Noise | None, str | None], list[Part]]  # what disturbs it, and the precision


class Unexplained(NamedTuple):
    """A finding that rounding does not explain.

    Args:
        finding: what differs, at its worst place.
        wrong: where it differs by more than rounding explains.
        rounding: how far each number may be off by rounding alone; NaN where nobody knows.
    """

    finding: Finding
    wrong: np.ndarray
    rounding: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two outcomes part by part.

    Args:
        numbers: how many were compared.
        worst: the largest distance among the parts that agreed at once, in ULP.
        at_once: whether all of them did.
        misfits: shapes, dtypes and gradients that are not there: what no number says.
        unexplained: numbers that differ by more than rounding explains.
    """

    numbers: int
    worst: float
    at_once: bool
    misfits: tuple[Finding, ...] = ()
    unexplained: tuple[Unexplained, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether rounding explains all."""
        return not self.misfits and not self.unexplained


def compare(
    got: Sequence[Part], wanted: Sequence[Part], rerun: Rerun, *, single: bool = False, seed: int = 0
) -> Verdict:
    """Compare two outcomes part by part, where no witness can be asked.

    Args:
        got: the engine's.
        wanted: the reference's, in the same order.
        rerun: gives the reference's parts again, disturbed or in another precision.
        single: whether some of the computation is in single precision, whose rounding then counts.
        seed: of the disturbances.
    """
    found = examine(got, wanted, rerun, single=single, seed=seed, again=1.0)
    findings = (*found.misfits, *(u.finding for u in found.unexplained))
    right = Result.AGREES if found.at_once else Result.CONDITIONED
    return Verdict(Result.ENGINE_WRONG if findings else right, findings, found.numbers, found.worst)


def examine(
    got: Sequence[Part],
    wanted: Sequence[Part],
    rerun: Rerun | None,
    *,
    single: bool = False,
    seed: int = 0,
    again: float | None = None,
    runs: int = RUNS,
) -> Comparison:
    """Compare two outcomes part by part, and say where rounding does not explain a difference.

    Args:
        got: the engine's.
        wanted: the reference's, in the same order.
        rerun: gives the reference's parts again, disturbed or in another precision; None if it cannot. Then nobody
            knows how far rounding may take a number, and none that differs is explained.
        single: whether some of the computation is in single precision, whose rounding then counts.
        seed: of the disturbances.
        again: whether to look again at what is off by little, and the largest number met; None to look but once.
        runs: how often the reference is disturbed at first.
    """
    findings, worst, numbers = [], 0.0, 0
    got = got if rerun else [_or_zeros(mine, theirs) for mine, theirs in zip(got, wanted, strict=True)]
    for mine, theirs in zip(got, wanted, strict=True):
        finding, distance, compared = _at_once(mine, theirs, single=single)
        numbers += compared
        worst = max(worst, 0.0 if finding else distance)
        findings += [finding] if finding else []
    if not findings:
        return Comparison(numbers, worst, at_once=True)
    numeric = [f for f in findings if f.kind in (Kind.FORWARD, Kind.GRADIENT)]
    if rerun is None:
        unexplained = tuple(_unknown(f, single=single) for f in numeric)
    else:
        rounding = _Rounding(wanted, rerun, single=single, seed=seed, scale=again, runs=runs)
        unexplained = tuple(_unexplained(numeric, {part.name: part.array for part in got}, rounding))
    misfits = tuple(f for f in findings if f not in numeric)
    return Comparison(numbers, worst, at_once=False, misfits=misfits, unexplained=unexplained)


def is_single(arrays: Sequence[Any]) -> bool:
    """Whether some of the arrays are in single precision."""
    return any(a.dtype == np.float32 for a in arrays)


def _at_once(mine: Part, theirs: Part, *, single: bool) -> tuple[Finding | None, float, int]:
    """Tier 1 for one part: what is wrong, the largest distance in ULP, and how many numbers were compared."""
    if mine.array is None:
        # A gradient of zeros is one as well: by it an optimizer's momentum goes on. Of a second one, numbers are asked.
        least = np.any(theirs.array) if mine.name.startswith(SECOND_ORDER) else theirs.array is not None
        missing = Finding(Kind.MISSING, mine.name, "is missing: no gradient arrived") if least else None
        return missing, 0.0, 0 if theirs.array is None else theirs.array.size
    wanted = np.zeros_like(mine.array) if theirs.array is None else theirs.array
    misfit = _misfit(mine, wanted)
    if misfit or not mine.array.size:
        return misfit, 0.0, 0
    if mine.array.tobytes() == wanted.tobytes():
        return None, 0.0, mine.array.size
    distance = float(ulps(mine.array, wanted, single=single).max())
    if distance <= AT_ONCE:
        return None, distance, mine.array.size
    place, a, b = worst_place(mine.array, wanted, single=single)
    finding = Finding(mine.kind, mine.name, "", place, a, b, distance, AT_ONCE, arrays=(mine.array, wanted))
    return finding, distance, mine.array.size


def _misfit(mine: Part, wanted: np.ndarray) -> Finding | None:
    """What is wrong with an array before any of its numbers is looked at."""
    if not isinstance(mine.array, np.ndarray):
        says = f"is a {type(mine.array).__name__}, but must be an array of shape {wanted.shape}"
        return Finding(Kind.SHAPE, mine.name, says)
    if mine.array.shape != wanted.shape:
        says = f"has shape {mine.array.shape}, but must have shape {wanted.shape}"
        return Finding(Kind.SHAPE, mine.name, says, arrays=(mine.array, wanted))
    if mine.array.dtype != wanted.dtype:
        return Finding(Kind.DTYPE, mine.name, f"has dtype {mine.array.dtype}, but must have {wanted.dtype}")
    return None


def _or_zeros(mine: Part, theirs: Part) -> Part:
    """Zeros for a second derivative that is missing: what the other side has in its place may be rounding."""
    missing = mine.array is None and theirs.array is not None and mine.name.startswith(SECOND_ORDER)
    return mine._replace(array=np.zeros_like(theirs.array)) if missing else mine


def _unknown(finding: Finding, *, single: bool) -> Unexplained:
    """A finding of which nobody knows how far rounding may take its numbers."""
    mine, theirs = finding.arrays
    wrong = ulps(mine, theirs, single=single) > AT_ONCE
    return Unexplained(finding, wrong, np.full(wrong.shape, np.nan))


def _unexplained(findings: Sequence[Finding], got: dict[str, Any], rounding: _Rounding) -> Iterator[Unexplained]:
    """Tier 2: the findings that rounding does not explain."""
    for finding in findings:
        wrong = rounding.unexplained(finding.part, got[finding.part])
        if wrong.any():
            error = np.broadcast_to(rounding.error(finding.part), wrong.shape)
            yield Unexplained(sharpened(finding, wrong, error, single=rounding.single), wrong, error)


def sharpened(finding: Finding, wrong: np.ndarray, error: np.ndarray, *, single: bool) -> Finding:
    """The finding at the worst of the places that rounding does not explain, with what rounding would explain there."""
    a, b = finding.arrays
    distance = np.where(wrong, ulps(a, b, single=single), -1.0)
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), a.shape))
    allowed = allowed_ulps(a[place], b[place], float(error[place]), single=single)
    ulp = float(distance[place])
    return replace(finding, place=place, got=a[place], wanted=b[place], ulp=ulp, allowed=allowed)


def allowed_ulps(got: Any, wanted: Any, error: float, *, single: bool) -> float:
    """How many units in the last place a number may be off, on the side where it is, for rounding to explain it.

    They are counted as distances are: from 0 on, where a unit is no measure, and into other binades as well.
    """
    if not np.isfinite(wanted):
        return AT_ONCE
    with np.errstate(all="ignore"):
        furthest = np.asarray(wanted + np.copysign(MARGIN * error, got - wanted), wanted.dtype)
    return max(AT_ONCE, float(ulps(furthest, np.asarray(wanted), single=single)))


class _Rounding:
    """How far each number of each part may be off by rounding.

    Args:
        wanted: the reference's parts.
        rerun: gives them again, disturbed or in another precision.
        single: whether single precision's rounding counts. Then double precision shows what is right.
        seed: of the disturbances.
        scale: the largest number that the computation meets; None to look but once.
        runs: how often the reference is disturbed at first.
    """

    def __init__(
        self, wanted: Sequence[Part], rerun: Rerun, *, single: bool, seed: int, scale: float | None, runs: int
    ) -> None:
        self.single = single
        self._precision = DOUBLE if single else None
        self._first = runs
        self._scale = scale
        self._seed = seed
        self._wanted = {part.name: part.array for part in wanted}
        self._rerun = rerun
        self._base: dict[str, Any] = {}
        self._moved = {name: np.zeros(()) for name in self._wanted}
        self._own = dict(self._moved)
        self._runs = 0

    def _look(self) -> None:
        """The first estimate: one run in the other precision, which is the cheapest."""
        other = {part.name: part.array for part in self._rerun(None, DOUBLE if self.single else SINGLE)}
        self._base = other if self.single else self._wanted
        self._own_scale = 1.0 if self.single else 2.0**-29  # from single precision's error to double's
        for name, array in self._wanted.items():
            self._own[name] = _finite(apart(array, other[name])) * self._own_scale

    def _disturb(self, runs: int) -> None:
        with np.errstate(all="ignore"):
            for run in range(self._runs, runs):
                for part in self._rerun(Noise(DISTURBANCE, self._seed + run), self._precision):
                    moved = apart(part.array, self._base[part.name])
                    self._moved[part.name] = np.maximum(
                        self._moved[part.name], np.where(np.isnan(moved), np.inf, moved)
                    )
        self._runs = runs

    def _look_again(self) -> None:
        """Many more runs; and as many in both precisions, each nudged so far that what is rounded rounds otherwise."""
        self._disturb(MORE_RUNS)
        for run in range(MORE_RUNS):
            single = self._rerun(Noise(NUDGE, self._seed + run), SINGLE)
            double = self._rerun(Noise(NUDGE, self._seed + run), DOUBLE)
            for part, exact in zip(single, double, strict=True):
                off = _finite(apart(part.array, exact.array)) * self._own_scale
                self._own[part.name] = np.maximum(self._own[part.name], off)
        for run in range(MORE_RUNS):
            size = ROUNDING_SINGLE if self.single else ROUNDING
            for part in self._rerun(Noise(size, self._seed + run), self._precision):
                moved = _finite(apart(part.array, self._base[part.name])) / 4  # of rounding, not of four times as much
                self._own[part.name] = np.maximum(self._own[part.name], moved)

    def error(self, name: str) -> np.ndarray:
        """How far the numbers of a part are off, as estimated."""
        unit, number = (2.0**-24, np.float32) if self.single else (2.0**-53, np.float64)
        with np.errstate(all="ignore"):
            condition = self._moved[name] / DISTURBANCE
        return np.maximum(condition * unit, self._own[name]) + float(np.finfo(number).tiny) / MARGIN

    def unexplained(self, name: str, array: np.ndarray) -> np.ndarray:
        """Where an engine's numbers are off by more than rounding explains.

        Another look can only raise the estimate. So what it explains once is explained, and nobody looks further.
        """
        wanted = self._wanted[name]
        if wanted is None:
            wanted = np.zeros_like(array)
        if not self._base:
            self._look()
        with np.errstate(all="ignore"):
            off = self._off(name, array, wanted)
            wrong = self._beyond(name, off)
            while wrong.any() and self._runs < self._first:
                self._disturb(self._runs + 1)
                wrong = self._beyond(name, off)
            if self._scale is not None and wrong.any() and self._runs < MORE_RUNS:
                little = (LITTLE_SINGLE if self.single else LITTLE) * self._scale
                if (off <= np.maximum(LITTLE_MORE * MARGIN * self.error(name), little))[wrong].all():
                    self._look_again()
                    wrong = self._beyond(name, off)
        return wrong

    def _off(self, name: str, array: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """How far an engine's numbers are off; not at all where they agree at once.

        Nor where both sides left the range of single precision on the way: which of inf and NaN comes of it is chance.
        """
        base = self._base[name] if self.single else wanted
        base = np.zeros(()) if base is None else base
        off = apart(array, base)
        near = ulps(array, wanted, single=self.single) <= AT_ONCE
        near |= ~np.isfinite(array) & ~np.isfinite(wanted) & np.isfinite(base)
        return np.where(near, 0.0, np.where(np.isnan(off), np.inf, off))

    def _beyond(self, name: str, off: np.ndarray) -> np.ndarray:
        """Where numbers are off by more than the estimate so far explains."""
        return ~(off <= MARGIN * self.error(name))


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0.0)
