"""The witness: exact numbers with a bound on their error, in as many digits as that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import gmpy2
import numpy as np

from reference.engines.exact.chain import Chain
from reference.engines.exact.differences import MOST_BITS, Unknown
from reference.engines.exact.engine import ExactEngine
from reference.engines.exact.jitter import Jitter
from reference.engines.exact.numbers import PRECISION, precisely
from reference.engines.exact.slopes import UNKNOWN, Slopes
from reference.programs import Program

ENOUGH = gmpy2.mpfr(2) ** -55  # of a number, a quarter of a unit in the last place of a double ...
LEAST = gmpy2.mpfr(2) ** -1076  # ... or less than any double: a quarter of the smallest subnormal number


class Computed(NamedTuple):
    """Slopes, and the bits that they took.

    Args:
        slopes: on both sides.
        bits: the most bits of any number.
    """

    slopes: Slopes
    bits: int


class Witness:
    """Exact numbers of programs, with each step at the exact values of the steps before.

    Each is computed twice, the second time with twice as many bits and a finer step. The difference bounds its error.
    While that is too large for a double, the bits are doubled again, up to 12,800. Then it is unknown.
    """

    def value(self, program: Program, place: tuple[int, ...]) -> Slopes:
        """Return one number of the result, in place of both slopes."""

        def value(bits: int, jitter: Jitter | None = None) -> Computed:
            return Computed(Slopes.single(ExactEngine(bits, jitter).value(program, place)), bits)

        return enclosed(value, _noise(value))

    def slopes(self, program: Program, leaf: int, place: tuple[int, ...]) -> Slopes:
        """Return one number of a leaf's gradient, on both sides.

        Args:
            program: the program, with its cotangent.
            leaf: the index of the leaf among the leaves.
            place: the index of the number.
        """
        return self.along(program, towards(program, leaf, place))

    def second_slopes(self, program: Program, leaf: int, place: tuple[int, ...]) -> Slopes:
        """Return one number of a second-order gradient: the slope of the slope along the program's directions."""
        return self.along(program, towards(program, leaf, place), program.directions)

    def along(self, program: Program, *directions: Sequence[np.ndarray]) -> Slopes:
        """Return the derivative along a direction; or that of the derivative along further ones, up to three in all.

        Args:
            program: the program, with its cotangent.
            directions: each an array for each leaf, of its shape.
        """

        def slopes(bits: int, jitter: Jitter | None = None) -> Computed:
            chain = Chain(program, bits=bits, jitter=jitter, thorough=True)
            return Computed(slopes_along(chain, *directions), chain.used)

        return enclosed(slopes, _noise(slopes))


def _noise(compute: Callable[..., Computed]) -> Callable[[int], Any]:
    """Return a function that estimates rounding errors: all numbers move by some units in their last place.

    What is much smaller than what is added to it is lost in all digits, whatever their number, and looks like 0. Slopes
    that do not move in proportion jump: the moves have put them on another side of a kink, and tell nothing.
    """

    def noise(bits: int) -> Any:
        unit = gmpy2.mpfr(2) ** (3 - bits)
        here = compute(bits).slopes
        moved, further = (_difference(here, compute(bits, Jitter(0, by)).slopes) for by in (unit, unit * 1024))
        is_proportional = moved is not None and further is not None and 32 * moved <= further
        return moved if is_proportional else gmpy2.mpfr(0)

    return noise


def towards(program: Program, leaf: int, place: tuple[int, ...]) -> list[np.ndarray]:
    """Return the direction of one number of a leaf."""
    direction = [np.zeros(o.data.shape) for o in program.leaves]
    direction[leaf][place] = 1.0
    return direction


def slopes_along(chain: Chain, *directions: Sequence[np.ndarray]) -> Slopes:
    """Return a chain's derivative along directions."""
    try:
        if len(directions) > 1:
            return Slopes.single(chain.mixed(*directions))
        left, right = chain.sides(directions[0])
        return Slopes(left, right)
    except Unknown:
        return UNKNOWN


def enclosed(compute: Callable[[int], Computed], noise: Callable[[int], Any] = lambda bits: 0) -> Slopes:  # noqa: ARG005 - none
    """Return slopes with a bound on their error; unknown ones if it is too large with the most bits, too.

    Args:
        compute: computes them with at least so many bits, and a step that is the finer, the more bits there are.
        noise: estimates what rounding of values does to them.
    """
    coarse, bits = compute(PRECISION)
    while bits <= MOST_BITS:
        fine, more = compute(2 * bits)
        if coarse.middle is None and fine.middle is None:
            return fine
        with precisely(2 * PRECISION):
            bound = _difference(coarse, fine)
            if bound is not None and bound <= (most := _most(fine)):
                bound += noise(2 * bits)
                if bound <= most:
                    return replace(fine, bound=bound)
        coarse, bits = fine, more
    return UNKNOWN


def _difference(coarse: Slopes, fine: Slopes) -> Any:
    """Return how far the two are from each other; None if one of them is unknown, or at a kink and the other is not."""
    if coarse.middle is None or fine.middle is None or (coarse.exact is None) != (fine.exact is None):
        return None
    return max(abs(fine.left - coarse.left), abs(fine.right - coarse.right))


def _most(slopes: Slopes) -> Any:
    """Return the largest error that is accepted. At a kink, what tells one side from the other must be known."""
    if slopes.exact is None:
        return abs(slopes.right - slopes.left) * ENOUGH
    return max(abs(slopes.left) * ENOUGH, LEAST)
