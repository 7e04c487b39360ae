"""Whether an engine's gradient at a kink is a subgradient: a convention, and not an error.

Along each direction v, a subgradient g has a slope g·v between the slopes of the two sides. It is not enough to look at
each number by itself: where three numbers tie for a maximum, a half for each of them lies between 0 and 1, but their
sum must be 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np

from reference.engines.exact import Unknown
from reference.engines.exact.numbers import precisely
from reference.verdict.rounding import AT_ONCE, MARGIN

if TYPE_CHECKING:
    from reference.engines import Outcome
    from reference.verdict.truth import Place, Truth

KINKED = 8  # numbers at the kink that are looked at together
SIGNS = 8  # random combinations of their signs

Number = tuple[int, "Place"]  # of a leaf's gradient: the index of the leaf, and its place


class Subgradient:
    """The gradients of an engine at a kink.

    Args:
        truth: the exact slopes at the engine's values.
        outcome: the engine's outcome.
        shapes: the shapes of the leaves.
    """

    def __init__(self, truth: Truth, outcome: Outcome, shapes: Sequence[tuple[int, ...]]) -> None:
        self._truth = truth
        self._outcome = outcome
        self._shapes = shapes
        self._gradients = [_finite(g, shape) for g, shape in zip(outcome.gradients, shapes, strict=True)]

    def is_legal(self, here: Number) -> bool:
        """Whether the number, alone and together with others at the kink, lies between the slopes of the two sides."""
        leaf, place = here
        gradient = self._outcome.gradients[leaf]
        return bool(gradient is None or np.isfinite(gradient[place])) and all(
            map(self._is_between, self._directions(here))
        )

    def _directions(self, here: Number) -> Iterator[list[np.ndarray]]:
        yield self._towards([here], [1.0])
        tied = [here, *self._others(here)]
        yield self._towards(tied, np.ones(len(tied)))
        for signs in np.random.default_rng(0).choice([-1.0, 1.0], (SIGNS, len(tied))):
            yield self._towards(tied, signs)

    def _others(self, here: Number) -> list[Number]:
        """Return other numbers at the same kink: moving one changes what the other does to the slopes.

        At another kink it does not. The slopes of two kinks, one of which bends upwards and the other one downwards, do
        not bound those in between.
        """
        every = [(leaf, place) for leaf, shape in enumerate(self._shapes) for place in np.ndindex(shape)]
        return [n for n in self._tied([number for number in every if number != here]) if self._is_joint(here, n)]

    def _is_joint(self, here: Number, other: Number) -> bool:
        """Whether the bends along two numbers do not add up."""
        try:
            one, another = self._bend([here], [1.0]), self._bend([other], [1.0])
            both, against = self._bend([here, other], [1.0, 1.0]), self._bend([here, other], [1.0, -1.0])
        except Unknown:
            return False
        with precisely():
            little = 1e-9 * max(map(abs, (one, another, both, against)))
            return bool(abs(both - one - another) > little or abs(against - one - another) > little)

    def _bend(self, numbers: Sequence[Number], steps: Sequence[float]) -> Any:
        left, right = self._truth.along(self._towards(numbers, steps))
        return right - left

    def _tied(self, numbers: Sequence[Number]) -> list[Number]:
        """Search numbers at the kink, by halves: where a whole half has one slope, none of it is at the kink."""
        found: list[Number] = []
        halves = [numbers]
        while halves and len(found) < KINKED - 1:
            some = halves.pop()
            if not some or self._is_smooth(some):
                continue
            if len(some) == 1:
                found += some
            else:
                halves += [some[len(some) // 2 :], some[: len(some) // 2]]
        return found

    def _is_smooth(self, numbers: Sequence[Number]) -> bool:
        """Whether there is one slope along a direction of unlike steps, which no symmetry makes equal by chance."""
        steps = np.random.default_rng(1).uniform(0.5, 1.5, len(numbers))
        try:
            return self._truth.along(self._towards(numbers, steps)).is_smooth
        except Unknown:
            return len(numbers) == 1

    def _towards(self, numbers: Sequence[Number], steps: Sequence[float] | np.ndarray) -> list[np.ndarray]:
        direction = [np.zeros(shape) for shape in self._shapes]
        for (leaf, place), step in zip(numbers, steps, strict=True):
            direction[leaf][place] = step
        return direction

    def _is_between(self, direction: list[np.ndarray]) -> bool:
        try:
            low, high = bounds = self._truth.bounds(direction)
        except Unknown:
            return True
        with precisely():
            terms = [gmpy2.mpfr(a) * gmpy2.mpfr(b) for a, b in self._terms(direction)]
            got, size = sum(terms, gmpy2.mpfr(0)), sum(map(abs, terms), gmpy2.mpfr(0))
            off = max(low - got, got - high)
            little = 2 * AT_ONCE * self._truth.unit * max(size, abs(low), abs(high))
            return bool(off <= little or off <= little + MARGIN * self._truth.moved_bounds(direction, bounds))

    def _terms(self, direction: Sequence[np.ndarray]) -> Iterator[tuple[float, float]]:
        for gradient, by in zip(self._gradients, direction, strict=True):
            yield from ((float(gradient[place]), float(by[place])) for place in np.ndindex(by.shape) if by[place])


def _finite(gradient: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a gradient as an array of its leaf's shape; zeros where it is missing or not finite."""
    if not isinstance(gradient, np.ndarray) or gradient.shape != shape:
        return np.zeros(shape)
    return np.where(np.isfinite(gradient), gradient, 0.0)
