"""Estimates of rounding errors, for the judges of rounding.

There are two estimates. For the condition, the reference runs again with every use of an operand and every number saved
for the backward pass disturbed by a known factor; the move of the results tells how much the program magnifies
rounding. For the reference's own error, it runs again in another precision.

A tolerance is never scaled by the size of an array: each number is bounded by its own terms. This module knows neither
PyTorch nor any op: it gets an outcome, and a function that runs the reference again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.engines import Noise
from reference.verdict.distance import absolute_difference, ulps
from reference.verdict.findings import Part

# Tier 1. Of the numbers of a correct engine's gradients of random expressions, 99 % lie within 8 ULP of PyTorch's.
AT_ONCE = 8.0
# Tier 2. The allowed multiple of the estimated error. On 12,000 random expressions, a correct engine's error was at
# most 3.4 times the estimate.
MARGIN = 16.0
# The relative disturbance of operands: far above rounding, and so small that results move linearly. A power of 2.
DISTURBANCE = 2.0**-34
# The number of disturbed runs; the largest move counts. Five runs are few: of a million numbers, some move in each run
# by a tenth of what they can, by chance; and the error of one run in single precision may be small by chance. So if no
# witness can be asked, numbers a little above the bound are examined again, with many more runs of both kinds.
RUNS = 5
MORE_RUNS = 25
LITTLE_MORE = 1e6
# A difference below this part of the computation's largest number is examined again, whatever the first estimate was.
LITTLE, LITTLE_SINGLE = 2.0**-30, 2.0**-10
# Where a function curves within the disturbance, as a standard deviation of numbers one ULP apart does, a disturbance
# of four ULP shows directly how rounding moves the result.
ROUNDING, ROUNDING_SINGLE = 2.0**-51, 2.0**-22
# The relative move of operands that makes single precision round differently: an exponential near 1 must get other
# neighbours, while the operands stay almost the same.
NUDGE = 2.0**-10
SINGLE, DOUBLE = "float32", "float64"

Rerun = Callable[[Noise | None, str | None], list[Part]]  # runs the reference with a disturbance and a precision


def is_single(arrays: Sequence[Any]) -> bool:
    """Whether some of the arrays are in single precision."""
    return any(a.dtype == np.float32 for a in arrays)


def allowed_ulps(got: Any, wanted: Any, error: float, *, single: bool) -> float:
    """Return the distance in ULP that rounding explains, on the side of `wanted` where `got` lies.

    It is counted as distances are: in representable numbers, also across 0 and into other binades.
    """
    if not np.isfinite(wanted):
        return AT_ONCE
    with np.errstate(all="ignore"):
        furthest = np.asarray(wanted + np.copysign(MARGIN * error, got - wanted), wanted.dtype)
    return max(AT_ONCE, float(ulps(furthest, np.asarray(wanted), single=single)))


class Rounding:
    """Estimates of the rounding error of each number of each part.

    Args:
        wanted: the reference's parts.
        rerun: runs the reference again, disturbed or in another precision.
        single: whether single precision's rounding counts. Then the reference's run in double precision is the base.
        seed: the seed of the disturbances.
        scale: the largest number of the computation; None if numbers are not examined again.
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

    def _estimate(self) -> None:
        """Make the first and cheapest estimate: one run in the other precision."""
        other = {part.name: part.array for part in self._rerun(None, DOUBLE if self.single else SINGLE)}
        self._base = other if self.single else self._wanted
        self._own_scale = 1.0 if self.single else 2.0**-29  # from single precision's error to double's
        for name, array in self._wanted.items():
            self._own[name] = _finite(absolute_difference(array, other[name])) * self._own_scale

    def _disturb(self, runs: int) -> None:
        with np.errstate(all="ignore"):
            for run in range(self._runs, runs):
                for part in self._rerun(Noise(DISTURBANCE, self._seed + run), self._precision):
                    moved = absolute_difference(part.array, self._base[part.name])
                    self._moved[part.name] = np.maximum(
                        self._moved[part.name], np.where(np.isnan(moved), np.inf, moved)
                    )
        self._runs = runs

    def _estimate_again(self) -> None:
        """Estimate with many more disturbed runs, with runs in both precisions on moved operands, and with small moves.

        The operands move so far that single precision rounds differently.
        """
        self._disturb(MORE_RUNS)
        for run in range(MORE_RUNS):
            single = self._rerun(Noise(NUDGE, self._seed + run), SINGLE)
            double = self._rerun(Noise(NUDGE, self._seed + run), DOUBLE)
            for part, exact in zip(single, double, strict=True):
                error = _finite(absolute_difference(part.array, exact.array)) * self._own_scale
                self._own[part.name] = np.maximum(self._own[part.name], error)
        for run in range(MORE_RUNS):
            size = ROUNDING_SINGLE if self.single else ROUNDING
            for part in self._rerun(Noise(size, self._seed + run), self._precision):
                moved = _finite(absolute_difference(part.array, self._base[part.name])) / 4  # the move was four ULP
                self._own[part.name] = np.maximum(self._own[part.name], moved)

    def error(self, name: str) -> np.ndarray:
        """Return the estimated rounding errors of a part."""
        return np.asarray(np.maximum(self._condition(name), self._own[name]) + self._least)

    def _condition(self, name: str) -> np.ndarray:
        """Return how far rounding moves a part's numbers: the disturbance's move, scaled to the size of a rounding."""
        with np.errstate(all="ignore"):
            return np.asarray(self._moved[name] / DISTURBANCE * (2.0**-24 if self.single else 2.0**-53))

    @property
    def _least(self) -> float:
        """The least error: no number must be more precise than the smallest normal number."""
        return float(np.finfo(np.float32 if self.single else np.float64).tiny) / MARGIN

    def by_precision(self, name: str, off: np.ndarray) -> np.ndarray:
        """Return a mask of the numbers that the reference's own error in another precision explains."""
        return self._within(off, self._own[name])

    def by_disturbance(self, name: str, off: np.ndarray, unexplained: np.ndarray) -> np.ndarray:
        """Return a mask of the numbers that the condition explains.

        The reference is disturbed until all are explained, or the allowed number of runs is reached.

        Args:
            name: the name of the part.
            off: the differences of its numbers.
            unexplained: a mask of the numbers to be explained.
        """
        explained = self._within(off, self._condition(name))
        while (unexplained & ~explained).any() and self._runs < self._first:
            self._disturb(self._runs + 1)
            explained = self._within(off, self._condition(name))
        return explained

    def by_more_runs(self, name: str, off: np.ndarray, unexplained: np.ndarray) -> np.ndarray | None:
        """Return a mask of the numbers that many more runs explain; None unless all differences are small."""
        if self._scale is None or self._runs >= MORE_RUNS:
            return None
        little = (LITTLE_SINGLE if self.single else LITTLE) * self._scale
        with np.errstate(all="ignore"):
            if not (off <= np.maximum(LITTLE_MORE * MARGIN * self.error(name), little))[unexplained].all():
                return None
        self._estimate_again()
        return self._within(off, np.maximum(self._condition(name), self._own[name]))

    def off(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return the differences of an engine's numbers; in single precision, from the run in double precision."""
        if not self._base:
            self._estimate()
        difference = absolute_difference(array, self.base(name, array))
        return np.where(np.isnan(difference), np.inf, difference)

    def base(self, name: str, like: np.ndarray) -> np.ndarray:
        """Return the numbers that an engine's numbers are compared with; zeros if the reference has none."""
        if not self._base:
            self._estimate()
        base = self._base[name]
        return np.broadcast_to(0.0 if base is None else base, like.shape)

    def _within(self, off: np.ndarray, error: np.ndarray) -> np.ndarray:
        """Return a mask of the differences that an estimate explains."""
        with np.errstate(all="ignore"):
            return np.asarray(off <= MARGIN * (error + self._least))


def _finite(x: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(x), x, 0.0)
