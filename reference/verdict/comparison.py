"""Two outcomes side by side, part by part, and what rounding does to the second. It knows neither engines nor ops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from reference.verdict.distance import ulps
from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Part
from reference.verdict.rounding import RUNS, Rerun, Rounding, allowed_ulps


class Pair:
    """One part of both outcomes.

    Args:
        mine: the engine's.
        theirs: the reference's.
        single: whether some of the computation is in single precision, whose rounding then counts.

    Attributes:
        got: the engine's array, or whatever it gave in its place.
        theirs: the reference's; None where it has none.
        wanted: the same, with zeros where it has none and the engine does.
        fits: whether the numbers of the two can be set side by side.
    """

    def __init__(self, mine: Part, theirs: Part, *, single: bool) -> None:
        self.name = mine.name
        self.kind = mine.kind
        self.single = single
        self.got, self.theirs = got, wanted = mine.array, theirs.array
        if wanted is None and got is not None:
            wanted = np.zeros_like(got)
        self.wanted = wanted
        self.fits = isinstance(got, np.ndarray) and (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        self._ulps: np.ndarray | None = None

    @property
    def is_second_order(self) -> bool:
        """Whether it is differentiated twice."""
        return self.name.startswith(SECOND_ORDER)

    @property
    def numbers(self) -> int:
        """How many numbers are compared. A gradient that is missing is compared with all that should be there."""
        if self.got is None:
            return 0 if self.theirs is None else int(self.theirs.size)
        return int(self.got.size) if self.fits else 0

    @property
    def is_same(self) -> bool:
        """Whether both are equal to the bit. Mostly they are, and nothing else need be computed."""
        return bool(self.got.tobytes() == self.wanted.tobytes())

    @property
    def ulps(self) -> np.ndarray:
        """How far each number is off, in units in the last place."""
        if self._ulps is None:
            self._ulps = ulps(self.got, self.wanted, single=self.single)
        return self._ulps

    @property
    def worst(self) -> float:
        """How far the worst number is off, in ULP: not at all, if nobody had to ask."""
        return 0.0 if self._ulps is None or not self._ulps.size else float(self._ulps.max())

    def furthest(self, where: np.ndarray, most: int) -> list[tuple[int, ...]]:
        """The places of a mask at which the two are furthest apart, the worst first."""
        distance = np.where(where, self.ulps, -1.0)
        order = np.argsort(-distance, axis=None, kind="stable")[: min(most, int(where.sum()))]
        return [tuple(map(int, np.unravel_index(i, where.shape))) for i in order]

    def finding(self, place: tuple[int, ...], error: float) -> Finding:
        """What differs at a place.

        Args:
            place: the index of the number.
            error: how far rounding may take it.
        """
        got, wanted = self.got[place], self.wanted[place]
        allowed = allowed_ulps(got, wanted, error, single=self.single)
        ulp = float(self.ulps[place])
        return Finding(self.kind, self.name, "", place, got, wanted, ulp, allowed, arrays=(self.got, self.wanted))

    def misfit(self, kind: Kind, says: str) -> Finding:
        """What is wrong with the array as a whole."""
        arrays = (self.got, self.wanted) if isinstance(self.got, np.ndarray) else (None, None)
        return Finding(kind, self.name, says, arrays=arrays)


class Comparison:
    """Two outcomes, part by part.

    Args:
        got: the engine's.
        wanted: the reference's, in the same order.
        rerun: gives the reference's parts again, disturbed or in another precision; None if it cannot. Then nobody
            knows how far rounding may take a number, and none that differs is explained.
        single: whether some of the computation is in single precision, whose rounding then counts.
        seed: of the disturbances.
        scale: the largest number that the computation meets, where what is off by little is looked at again, with many
            more runs; None where it is looked at but once, for the witness can be asked.
        runs: how often the reference is disturbed at first.
    """

    def __init__(
        self,
        got: Sequence[Part],
        wanted: Sequence[Part],
        rerun: Rerun | None,
        *,
        single: bool = False,
        seed: int = 0,
        scale: float | None = None,
        runs: int = RUNS,
    ) -> None:
        got = got if rerun else [_or_zeros(mine, theirs) for mine, theirs in zip(got, wanted, strict=True)]
        self.pairs = [Pair(mine, theirs, single=single) for mine, theirs in zip(got, wanted, strict=True)]
        self._settings = (single, seed, scale, runs)
        self._wanted = wanted
        self._rerun = rerun

    @cached_property
    def rounding(self) -> Rounding | None:
        """What the reference shows of rounding; None if it cannot be run disturbed."""
        if self._rerun is None:
            return None
        single, seed, scale, runs = self._settings
        return Rounding(self._wanted, self._rerun, single=single, seed=seed, scale=scale, runs=runs)

    def error(self, pair: Pair) -> np.ndarray:
        """How far rounding may take each number of a part, as estimated so far; NaN where nobody knows."""
        shape = np.shape(pair.got)
        if self.rounding is None:
            return np.full(shape, np.nan)
        return np.broadcast_to(self.rounding.error(pair.name), shape)


def _or_zeros(mine: Part, theirs: Part) -> Part:
    """Zeros for a second derivative that is missing: what the other side has in its place may be rounding."""
    missing = mine.array is None and theirs.array is not None and mine.name.startswith(SECOND_ORDER)
    return mine._replace(array=np.zeros_like(theirs.array)) if missing else mine


def worst(pair: Pair, where: np.ndarray, error: np.ndarray) -> Finding:
    """What differs most among the places of a mask, with what rounding would explain there."""
    (place,) = pair.furthest(where, 1)
    return pair.finding(place, float(error[place]))
