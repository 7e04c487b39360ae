"""The witness: exact numbers with a bound on their error, in as many digits as that takes."""

from __future__ import annotations

from collections.abc import Callable
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
        """Return one number of the result, as the slopes of a number with respect to itself."""

        def value(engine: ExactEngine) -> Slopes:
            number = engine.value(program, place)
            return Slopes(number, number) if gmpy2.is_finite(number) else UNKNOWN

        return _enclosed(value, lambda engine: engine.value_noise(program, place))

    def slopes(self, program: Program, leaf: int, place: tuple[int, ...]) -> Slopes:
        """Return one number of a leaf's gradient, on both sides.

        Args:
            program: the program, with its cotangent.
            leaf: the index of the leaf among the leaves.
            place: the index of the number.
        """
        where = program, leaf, place
        return _enclosed(lambda engine: engine.slopes(*where), lambda engine: engine.noise(*where))

    def second_slopes(self, program: Program, leaf: int, place: tuple[int, ...]) -> Slopes:
        """Return one number of a second-order gradient: the slope of the slope along the program's directions."""
        where = program, leaf, place
        return _enclosed(lambda engine: engine.second_slopes(*where), lambda engine: engine.noise(*where, order=2))


def _enclosed(slopes: Callable[[ExactEngine], Slopes], noise: Callable[[ExactEngine], Any]) -> Slopes:
    """Return slopes with a bound on their error; unknown ones if it is too large with the most bits, too."""
    coarse = slopes(_ENGINES[0])
    for engine in _ENGINES[1:]:
        fine = slopes(engine)
        bound = _bound(coarse, fine, lambda engine=engine: noise(engine))  # type: ignore[misc]
        if bound is not None:
            return replace(fine, bound=bound)
        coarse = fine
    return UNKNOWN


def _bound(coarse: Slopes, fine: Slopes, noise: Callable[[], Any]) -> Any:
    """Return a bound on the error of the finer slopes, if it is small enough; None if it is not."""
    if fine.middle is None:
        return gmpy2.mpfr(0) if coarse.middle is None else None
    if coarse.middle is None or (coarse.exact is None) != (fine.exact is None):
        return None
    with precisely(2 * PRECISION):
        if fine.exact is None:  # at a kink: what tells one side from the other must be known
            bound = max(abs(fine.left - coarse.left), abs(fine.right - coarse.right))
            return bound if bound <= abs(fine.right - fine.left) * ENOUGH else None
        bound, most = abs(fine.middle - coarse.middle), max(abs(fine.middle) * ENOUGH, LEAST)
        rounding = noise() if bound <= most else None
        return bound + rounding if rounding is not None and bound + rounding <= most else None
