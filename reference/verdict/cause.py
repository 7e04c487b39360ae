"""Guesses the likely cause of a mismatch from its numbers. The guess is worded as a question.

A few small numbers fit many guesses: where all are 1, a sum and a product are alike, and so are a lost contribution and
a wrong place. So a guess must fit several sets of numbers, or else one set of several different numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Shape: TypeAlias = tuple[int, ...]
COTANGENT = "the cotangent"  # its name among known arrays

# Ratios that suggest a bug by themselves, and the usual bug.
_USUAL = {
    2.0: "ratio 2 everywhere: a contribution counted twice, or a mean not taken?",
    0.5: "ratio 1/2 everywhere: a contribution lost, or a mean too many?",
    -1.0: "ratio -1 everywhere: a sign?",
}
_SAME = 1e-9  # the tolerance between ratios, and between a ratio and one of those above
_SAME_SINGLE = 1e-5  # the same in single precision
_NEAR_1 = 1e-3  # a ratio nearer to 1 is printed as its difference from 1
_FEW = 2  # an array with fewer different numbers fits many guesses by chance
_MANY = 32  # of more numbers, all differences fill the line so densely that some fit by chance
_COMBINATIONS = 20_000  # likewise


class Mismatch(NamedTuple):
    """Two arrays that should be equal.

    Args:
        got: the engine's array, or None.
        wanted: the reference's array, or None.
        known: arrays by name that they are computed from: the operands and the cotangent.
    """

    got: Any
    wanted: Any
    known: Mapping[str, np.ndarray] = {}

    @property
    def tolerance(self) -> float:
        """The relative difference of numbers that count as equal."""
        single = any(np.asarray(side).dtype == np.float32 for side in (self.got, self.wanted))
        return _SAME_SINGLE if single else _SAME

    @property
    def operand_shapes(self) -> list[Shape]:
        """The shapes of the operands, of which a gradient has one, and a value often that which they broadcast to."""
        return [np.shape(array) for name, array in self.known.items() if name != COTANGENT]

    @property
    def is_equal(self) -> bool:
        """Whether there is no mismatch."""
        if self.got is None or self.wanted is None:
            return self.got is self.wanted
        return _Numbers(self).are_alike(np.asarray(self.got, float), np.asarray(self.wanted, float))


def likely_cause(shown: Mismatch, *others: Mismatch) -> str:
    """Guess why two arrays differ.

    Args:
        shown: the arrays of the failure.
        others: those of the same program with other numbers, if it fails with them, too. A guess must fit all.

    Returns:
        A sentence; empty if the arrays suggest no cause.
    """
    if shown.got is None or shown.wanted is None:
        return ""
    with np.errstate(all="ignore"):
        fitting = [set(_guesses(other, alone=False)) for other in others]
        return next((g for g in _guesses(shown, alone=not others) if all(g in guesses for guesses in fitting)), "")


def _guesses(mismatch: Mismatch, *, alone: bool) -> Iterator[str]:
    """Yield all guesses that fit, the most specific first. `alone`: no other numbers are known to fail as well."""
    if mismatch.got is None or mismatch.wanted is None:
        return
    numbers = _Numbers(mismatch)
    if numbers.got.shape != numbers.wanted.shape:
        yield from _by_shape(numbers.got.shape, numbers.wanted.shape, mismatch.operand_shapes)
        return
    if not numbers.got.any() and np.isfinite(numbers.wanted).all() and numbers.wanted.any():
        yield "zero everywhere: a gradient that does not flow?"
    elif not alone or _different(numbers.wanted) >= _FEW:
        yield from numbers.by_usual_ratio()
        yield from numbers.by_arrangement()
        yield from numbers.by_factor(alone=alone)
        yield from () if alone else numbers.by_contribution()
        yield from numbers.by_ratio()


def _by_shape(got: Shape, wanted: Shape, operands: Sequence[Shape]) -> Iterator[str]:
    """A gradient with the broadcast shape was not summed; another may have its axes in another order."""
    if operands and _broadcast(*operands) == got:
        yield "the shape after broadcasting: a sum over the broadcast axes missing?"
    elif got == wanted[::-1]:
        yield "the axes are reversed: transposed once too often, or too seldom?"
    elif [n for n in got if n != 1] == [n for n in wanted if n != 1]:
        yield "the right number of numbers in another shape: axes of length 1 added or lost?"
    elif np.prod(got) == np.prod(wanted):
        yield "the right number of numbers in another shape: a reshape or transposition left out?"
    elif _broadcast(wanted, got) == got:
        yield "the shape after broadcasting: a sum over the broadcast axes missing?"
    elif _broadcast(got, wanted) == wanted:
        yield "summed over more than was broadcast?"


def _broadcast(*shapes: Shape) -> Shape | None:
    """Return the shape that these shapes broadcast to; None if they do not."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


def _different(array: np.ndarray) -> int:
    """Count the different numbers that are not 0."""
    return np.unique(array[array != 0]).size


class _Numbers:
    """Guesses about two arrays of the same shape."""

    def __init__(self, mismatch: Mismatch) -> None:
        self.got, self.wanted = np.asarray(mismatch.got, float), np.asarray(mismatch.wanted, float)
        self._known = {name: np.asarray(array, float) for name, array in mismatch.known.items()}
        self._same = mismatch.tolerance

    def are_alike(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether two arrays are equal up to rounding."""
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=self._same, atol=0, equal_nan=True))

    @property
    def _ratio(self) -> float | None:
        """The ratio of the arrays, if it is the same everywhere."""
        divisible = np.isfinite(self.got) & np.isfinite(self.wanted) & (self.wanted != 0)
        if not divisible.any() or (self.got[~divisible] != self.wanted[~divisible]).any():
            return None
        ratio = self.got[divisible] / self.wanted[divisible]
        return None if np.ptp(ratio) > self._same * abs(ratio[0]) else float(ratio[0])

    def by_usual_ratio(self) -> Iterator[str]:
        """A ratio that suggests a bug by itself."""
        ratio = self._ratio
        if ratio is None:
            return
        yield from (words for factor, words in _USUAL.items() if abs(ratio - factor) < self._same)
        if round(ratio) > max(_USUAL) and abs(ratio - round(ratio)) < self._same:
            yield f"ratio {round(ratio)} everywhere: a mean not taken, or a sum taken too often?"

    def by_ratio(self) -> Iterator[str]:
        """Any other ratio."""
        ratio = self._ratio
        if ratio is not None:
            near_1 = f"1 {'-' if ratio < 1 else '+'} {abs(ratio - 1):.2g}"
            shown = near_1 if abs(ratio - 1) < _NEAR_1 else f"{ratio:.10g}"
            yield f"ratio {shown} everywhere: a factor lost, or one too many?"

    def by_arrangement(self) -> Iterator[str]:
        """The right numbers, but in wrong places or not all of them."""
        got, wanted = self.got, self.wanted
        if got.ndim > 1 and _different(wanted) >= _FEW and self.are_alike(got, np.swapaxes(wanted, -1, -2)):
            yield "the right numbers, transposed: axes exchanged, or expanded at the wrong end?"
        if _different(wanted) == wanted.size and self.are_alike(np.sort(got.ravel()), np.sort(wanted.ravel())):
            yield "the right numbers in other places: a wrong order, or a permutation not inverted?"
        missing = (got == 0) & (wanted != 0) & np.isfinite(wanted)
        if missing.any() and got.any() and self.are_alike(got[~missing], wanted[~missing]):
            yield "some numbers are 0 and the rest right: contributions lost, as by an index or a mask?"

    def by_factor(self, *, alone: bool) -> Iterator[str]:
        """One array is the other times a known array."""
        for name, factor in self._known.items():
            if _broadcast(factor.shape, self.got.shape) != self.got.shape or (
                alone and _different(factor) < max(_FEW, factor.size)
            ):
                continue
            if self.are_alike(self.got * factor, self.wanted):
                yield f"times {name} it would be right: a factor lost?"
            if self.are_alike(self.got, self.wanted * factor):
                yield f"divided by {name} it would be right: a factor too many?"

    def by_contribution(self) -> Iterator[str]:
        """Each array sums numbers of a known array, but not the same ones."""
        difference = (self.got - self.wanted).ravel()
        difference = difference[difference != 0]
        operands = [array.ravel() for name, array in self._known.items() if name != COTANGENT]
        together = {"the operands": np.concatenate(operands)} if len(operands) > 1 else {}
        for name, array in {**self._known, **together}.items():
            each = array.ravel()
            if not 0 < np.unique(each).size == each.size <= _MANY:
                continue
            if self._are_among(difference, -_sums(each)):
                yield f"numbers of {name} are missing: contributions lost, as where an operand or an index repeats?"
            if self._are_among(difference, _sums(each)):
                yield f"numbers of {name} too many: contributions counted twice, or a wrong mask?"
            if self._are_among(difference, np.concatenate([each, -each, _exchanges(each)])):
                yield f"numbers of {name} in wrong places: a wrong offset, index or mask?"

    def _are_among(self, some: np.ndarray, all_of_them: np.ndarray) -> bool:
        """Whether each of some numbers is among others, up to rounding of the numbers that were subtracted."""
        size = max(np.abs(self.got).max(initial=0), np.abs(self.wanted).max(initial=0))
        nearest = np.abs(np.subtract.outer(some, all_of_them)).min(axis=1, initial=np.inf)
        return bool((nearest <= self._same * size).all())


def _sums(each: np.ndarray) -> np.ndarray:
    """Return the sums of any of several numbers, or the numbers alone if they are many."""
    combined = _combinations(each.size, (0, 1))
    return each if combined is None else np.asarray(combined @ each)


def _exchanges(each: np.ndarray) -> np.ndarray:
    """Return what changes if some of several numbers, once or twice each, are taken for as many others."""
    combined = _combinations(each.size, (-2, -1, 0, 1, 2))
    if combined is None:
        return np.asarray(np.subtract.outer(each, each)).ravel()
    return np.asarray(combined[combined.sum(axis=1) == 0] @ each)


def _combinations(size: int, coefficients: tuple[int, ...]) -> np.ndarray | None:
    """Return each combination of coefficients as a row; None if there are too many."""
    if len(coefficients) ** size > _COMBINATIONS:
        return None
    return np.array(list(itertools.product(coefficients, repeat=size)))
