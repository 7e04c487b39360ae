"""How far rounding may take a number: what the judges of rounding are told.

Two estimates of the error that rounding may cause. The condition: the reference runs again with every operand use, and
every number kept for the backward pass, disturbed by a known factor; how far results move is how much this program
magnifies rounding. And the reference's own error: what it gives in another precision.

A tolerance is never scaled by the size of an array: each number is bounded by its own terms. This module knows neither
PyTorch nor any op: it is given an outcome, and a way to run the reference again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.engines import Noise
from reference.verdict.distance import apart, ulps
from reference.verdict.findings import Part

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


def is_single(arrays: Sequence[Any]) -> bool:
    """Whether some of the arrays are in single precision."""
    return any(a.dtype == np.float32 for a in arrays)


def allowed_ulps(got: Any, wanted: Any, error: float, *, single: bool) -> float:
    """How many units in the last place a number may be off, on the side where it is, for rounding to explain it.

    They are counted as distances are: from 0 on, where a unit is no measure, and into other binades as well.
    """
    if not np.isfinite(wanted):
        return AT_ONCE
    with np.errstate(all="ignore"):
        furthest = np.asarray(wanted + np.copysign(MARGIN * error, got - wanted), wanted.dtype)
    return max(AT_ONCE, float(ulps(furthest, np.asarray(wanted), single=single)))


class Rounding:
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
        return np.asarray(np.maximum(self._condition(name), self._own[name]) + self._least)

    def _condition(self, name: str) -> np.ndarray:
        """How far rounding moves the numbers of a part: as far as the disturbance did, for its share of that."""
        with np.errstate(all="ignore"):
            return np.asarray(self._moved[name] / DISTURBANCE * (2.0**-24 if self.single else 2.0**-53))

    @property
    def _least(self) -> float:
        """No number is held to less than the smallest normal one."""
        return float(np.finfo(np.float32 if self.single else np.float64).tiny) / MARGIN

    def by_precision(self, name: str, off: np.ndarray) -> np.ndarray:
        """Which numbers the reference's own error explains: it is off by as much in another precision."""
        return self._within(off, self._own[name])

    def by_disturbance(self, name: str, off: np.ndarray, still: np.ndarray) -> np.ndarray:
        """Which numbers the condition explains. The reference is disturbed until it does, as often as it may be.

        Args:
            name: of the part.
            off: how far its numbers are off.
            still: those that are to be explained.
        """
        explained = self._within(off, self._condition(name))
        while (still & ~explained).any() and self._runs < self._first:
            self._disturb(self._runs + 1)
            explained = self._within(off, self._condition(name))
        return explained

    def by_more_runs(self, name: str, off: np.ndarray, still: np.ndarray) -> np.ndarray | None:
        """Which numbers many more runs explain. They are run where all that is left is off by little."""
        if self._scale is None or self._runs >= MORE_RUNS:
            return None
        little = (LITTLE_SINGLE if self.single else LITTLE) * self._scale
        with np.errstate(all="ignore"):
            if not (off <= np.maximum(LITTLE_MORE * MARGIN * self.error(name), little))[still].all():
                return None
        self._look_again()
        return self._within(off, np.maximum(self._condition(name), self._own[name]))

    def off(self, name: str, array: np.ndarray) -> np.ndarray:
        """How far an engine's numbers are off: in single precision, from what double precision gives."""
        if not self._base:
            self._look()
        off: np.ndarray = apart(array, self.base(name, array))
        return np.where(np.isnan(off), np.inf, off)

    def base(self, name: str, like: np.ndarray) -> np.ndarray:
        """What an engine's numbers are measured from: zeros where the reference has nothing."""
        if not self._base:
            self._look()
        base = self._base[name]
        return np.broadcast_to(0.0 if base is None else base, like.shape)

    def _within(self, off: np.ndarray, error: np.ndarray) -> np.ndarray:
        """Where numbers are off by no more than an estimate explains."""
        with np.errstate(all="ignore"):
            return np.asarray(off <= MARGIN * (error + self._least))


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0.0)
