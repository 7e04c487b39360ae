"""The witness: exact numbers with a bound on their error, in as many digits as that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gmpy2

from reference.engines.exact.engine import ExactEngine, Slopes
from reference.engines.exact.numbers import PRECISION, precisely
from reference.programs import Program

DOUBLINGS = 4  # of the precision: up to 6,400 bits, in which a step of 2**-1344 has no error that any double shows
ENOUGH = gmpy2.mpfr(2) ** -55  # of a number, a quarter of a unit in the last place of a double ...
LEAST = gmpy2.mpfr(2) ** -1076  # ... or less than any double: a quarter of the smallest subnormal number
_ENGINES = [ExactEngine(PRECISION << doublings, LEAST) for doublings in range(DOUBLINGS + 1)]

UNKNOWN = Slopes(None, None)


class Witness:
    """Exact numbers of programs.

    Each is computed twice, the second time with twice as many bits and a finer step. The difference, and what rounding
    may do to the second one, bound its error. While that is too large for a double, the bits are doubled again, up to
    `DOUBLINGS` times. Then the number is unknown.
    """

    def value(self, program: Program, place: tuple[int, ...]) -> Slopes:
        """Return one number of the result, in place of both slopes."""
        where = program, place
        return enclosed(
            lambda engine: Slopes.of_value(engine.value(*where)), _ENGINES, lambda engine: engine.value_noise(*where)
        )

    def slopes(self, program: Program, leaf: int, place: tuple[int, ...]) -> Slopes:
        """Return one number of a leaf's gradient, on both sides.

        Args:
            program: the program, with its cotangent.
            leaf: the index of the leaf among the leaves.
            place: the index of the number.
        """
        where = program, leaf, place
        return enclosed(lambda engine: engine.slopes(*where), _ENGINES, lambda engine: engine.noise(*where))

    def second_slopes(self, program: Program, leaf: int, place: tuple[int, ...]) -> Slopes:
        """Return one number of a second-order gradient: the slope of the slope along the program's directions."""
        where = program, leaf, place
        return enclosed(
            lambda engine: engine.second_slopes(*where), _ENGINES, lambda engine: engine.noise(*where, order=2)
        )


def enclosed(
    slopes: Callable[[Any], Slopes], engines: Sequence[Any], noise: Callable[[Any], Any] = lambda engine: 0
) -> Slopes:
    """Return slopes with a bound on their error; unknown ones if it is too large with the most bits, too.

    Args:
        slopes: computes them by an engine.
        engines: each with twice as many bits, and a finer step, as the one before.
        noise: estimates what rounding may do to them in an engine.
    """
    coarse = slopes(engines[0])
    for engine in engines[1:]:
        fine = slopes(engine)
        if coarse.middle is None and fine.middle is None:
            return fine
        with precisely(2 * PRECISION):
            bound = _difference(coarse, fine)
            if bound is not None and bound <= (most := _most(fine)):
                bound += 0 if fine.exact is None else noise(engine)  # a kink stands out of the noise
                if bound <= most:
                    return replace(fine, bound=bound)
        coarse = fine
    return UNKNOWN


def _difference(coarse: Slopes, fine: Slopes) -> Any:
    """Return how far the two are from each other; None if one of them is unknown, or at a kink and the other is not."""
    if coarse.middle is None or fine.middle is None or (coarse.exact is None) != (fine.exact is None):
        return None
    if fine.exact is None:
        return max(abs(fine.left - coarse.left), abs(fine.right - coarse.right))
    return abs(fine.middle - coarse.middle)


def _most(slopes: Slopes) -> Any:
    """Return the largest error that is accepted. At a kink, what tells one side from the other must be known."""
    if slopes.exact is None:
        return abs(slopes.right - slopes.left) * ENOUGH
    return max(abs(slopes.middle) * ENOUGH, LEAST)
