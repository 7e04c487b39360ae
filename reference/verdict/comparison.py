"""A comparison of two outcomes, part by part, with rounding errors of the second. It knows neither engines nor ops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from reference.verdict.distance import absolute_difference, ulps
from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Part
from reference.verdict.rounding import RUNS, Rerun, Rounding, allowed_ulps


class Pair:
    """One part of both outcomes.

    Args:
        mine: the engine's part.
        theirs: the reference's part.
        single: whether some of the computation is in single precision, whose rounding then counts.

    Attributes:
        got: the engine's array, or any other object that it gave.
        theirs: the reference's array or None.
        wanted: the reference's array; zeros if only the engine has one.
        fits: whether the two arrays have the same shape and dtype.
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

    def with_zeros(self, like: np.ndarray) -> Pair:
        """Return the pair with zeros in place of an array that is missing: a second-order gradient may be."""
        if self.got is not None:
            return self
        mine, theirs = (np.zeros_like(like) if x is None else x for x in (self.got, self.theirs))
        return Pair(Part(self.name, self.kind, mine), Part(self.name, self.kind, theirs), single=self.single)

    @property
    def is_second_order(self) -> bool:
        """Whether the part is a second-order gradient."""
        return self.name.startswith(SECOND_ORDER)

    @property
    def numbers(self) -> int:
        """How many numbers are compared. A missing gradient counts with the reference's numbers."""
        if self.got is None:
            return 0 if self.theirs is None else int(self.theirs.size)
        return int(self.got.size) if self.fits else 0

    @property
    def is_same(self) -> bool:
        """Whether both are equal to the bit. They mostly are, and then nothing else is computed."""
        return bool(self.got.tobytes() == self.wanted.tobytes())

    @property
    def ulps(self) -> np.ndarray:
        """The distance of each number, in units in the last place."""
        if self._ulps is None:
            self._ulps = ulps(self.got, self.wanted, single=self.single)
        return self._ulps

    @property
    def shares_digits(self) -> np.ndarray:
        """A mask of the numbers in which both agree in half of their digits, or of the largest number's digits."""
        finite = [np.where(np.isfinite(x), abs(x), 0.0).max(initial=0.0) for x in (self.got, self.wanted)]
        little = float(np.sqrt(np.finfo(np.float32 if self.single else np.float64).eps)) * max(finite)
        return np.asarray(absolute_difference(self.got, self.wanted) <= little)

    @property
    def worst(self) -> float:
        """The largest distance in ULP; 0 if no judge had to compute distances."""
        return 0.0 if self._ulps is None or not self._ulps.size else float(self._ulps.max())

    def furthest(self, where: np.ndarray, most: int) -> list[tuple[int, ...]]:
        """Return at most `most` places of a mask, by descending distance."""
        distance = np.where(where, self.ulps, -1.0)
        order = np.argsort(-distance, axis=None, kind="stable")[: min(most, int(where.sum()))]
        return [tuple(map(int, np.unravel_index(i, where.shape))) for i in order]

    def finding(self, place: tuple[int, ...], error: float) -> Finding:
        """Return the difference at a place as a finding.

        Args:
            place: the index of the number.
            error: its rounding error, as estimated.
        """
        got, wanted = self.got[place], self.wanted[place]
        allowed = allowed_ulps(got, wanted, error, single=self.single)
        ulp = float(self.ulps[place])
        return Finding(self.kind, self.name, "", place, got, wanted, ulp, allowed, arrays=(self.got, self.wanted))

    def misfit(self, kind: Kind, says: str) -> Finding:
        """Return an error of the array as a whole as a finding."""
        arrays = (self.got, self.wanted) if isinstance(self.got, np.ndarray) else (None, None)
        return Finding(kind, self.name, says, arrays=arrays)


class Comparison:
    """Two outcomes, part by part.

    Args:
        got: the engine's parts.
        wanted: the reference's parts, in the same order.
        rerun: runs the reference again, disturbed or in another precision, and returns its parts; None if it cannot.
            Then rounding errors are unknown, and no difference is explained.
        single: whether some of the computation is in single precision, whose rounding then counts.
        seed: the seed of the disturbances.
        scale: the largest number of the computation, if small differences are to be examined again with many more
            runs; None if they are examined once, since the witness can be asked.
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

    @property
    def has_witness(self) -> bool:
        """Whether the witness can be asked about what stays open."""
        return self._settings[2] is None

    @cached_property
    def rounding(self) -> Rounding | None:
        """The reference's rounding errors; None if it cannot be disturbed."""
        if self._rerun is None:
            return None
        single, seed, scale, runs = self._settings
        return Rounding(self._wanted, self._rerun, single=single, seed=seed, scale=scale, runs=runs)

    def error(self, pair: Pair) -> np.ndarray:
        """Return the rounding error of each number of a part, as estimated so far; NaN if unknown."""
        shape = np.shape(pair.got)
        if self.rounding is None:
            return np.full(shape, np.nan)
        return np.broadcast_to(self.rounding.error(pair.name), shape)


def _or_zeros(mine: Part, theirs: Part) -> Part:
    """Replace a missing second-order gradient by zeros: the other side's numbers may be mere rounding errors."""
    missing = mine.array is None and theirs.array is not None and mine.name.startswith(SECOND_ORDER)
    return mine._replace(array=np.zeros_like(theirs.array)) if missing else mine


def worst(pair: Pair, where: np.ndarray, error: np.ndarray) -> Finding:
    """Return the largest difference among the places of a mask as a finding."""
    (place,) = pair.furthest(where, 1)
    return pair.finding(place, float(error[place]))
