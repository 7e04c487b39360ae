"""One number that rounding does not explain, with the errors of both sides."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.engines.exact.numbers import precisely
from reference.verdict.exactness import Place, Testimony, error_of, has, nearest, spacing
from reference.verdict.findings import Finding, Kind
from reference.verdict.rounding import AT_ONCE, MARGIN

if TYPE_CHECKING:
    from reference.engines.exact import Slopes
    from reference.verdict.comparison import Pair


class Number:
    """One number that rounding does not explain. The witness is asked when its answer is first needed.

    Args:
        pair: the part that contains it.
        place: its index.
        error: its estimated rounding error; NaN if the reference cannot be disturbed. Then the witness estimates it.
        testimony: the witness's answers.
        known: whether the reference is known to be wrong in another number of the part, and need not be right here.
    """

    def __init__(self, pair: Pair, place: Place, error: float, testimony: Testimony, *, known: bool) -> None:
        self.pair = pair
        self.place = place
        self.known = known
        self.got, self.wanted = pair.got[place], pair.wanted[place]
        self._error = error
        self._testimony = testimony

    @cached_property
    def slopes(self) -> Slopes:
        """The exact slopes on both sides."""
        return self._testimony.slopes(self.pair.name, self.place)

    @property
    def exact(self) -> Any:
        """The exact number; None at a kink, and if the witness cannot tell."""
        return self.slopes.exact

    @property
    def has_slopes(self) -> bool:
        """Whether it lies at a kink, and the witness knows the slopes on both sides."""
        known = self.slopes.left is not None and self.slopes.right is not None
        return self.exact is None and known and not self.pair.is_second_order

    @cached_property
    def error(self) -> float:
        """The estimated rounding error.

        0 if it is not needed: the engine's number is exact to a few ULP, and shares half of its digits with the
        reference's.
        """
        if not math.isnan(self._error):
            return self._error
        if self.exact is None or (self.engine_error <= AT_ONCE * self._spacing and self.shares_digits(self.wanted)):
            return 0.0
        return self._testimony.moved_by_rounding(self.pair.name, self.place, self.exact, single=self.pair.single)

    @cached_property
    def rounding(self) -> float:
        """The rounding error, plus the distance that always agrees at once."""
        return self.error + AT_ONCE / MARGIN * self._spacing

    @cached_property
    def engine_error(self) -> float:
        """The engine's distance from the exact number."""
        return self._error_of(self.got)

    @cached_property
    def reference_error(self) -> float:
        """The reference's distance from the exact number."""
        return self._error_of(self.wanted)

    @property
    def difference(self) -> float:
        """The distance of the two numbers."""
        with precisely():
            return error_of(self.wanted, self.got)

    @cached_property
    def nearby(self) -> tuple[float, float]:
        """The largest errors of both sides on programs a few ULP away."""
        with precisely():
            return self._testimony.errors_nearby(self.pair.name, self.place)

    @property
    def engine_is_right(self) -> bool:
        """Whether rounding explains the engine's error."""
        return self.exact is not None and self.engine_error <= MARGIN * self.rounding

    @property
    def reference_is_right(self) -> bool:
        """Whether rounding explains the reference's error."""
        return self.exact is not None and self.reference_error <= MARGIN * self.rounding

    @property
    def reference_alone_is_off(self) -> bool:
        """Whether the reference's error is larger than rounding and the engine's errors on nearby programs explain."""
        if self.exact is None or self.reference_is_right:
            return False
        if self.engine_is_right:
            return True
        return self.reference_error > MARGIN * max(self.engine_error, self.nearby[0], self.rounding)

    @cached_property
    def depends_on_nonfinite(self) -> bool:
        """Whether a nonfinite result contributes to it. The exact number is then that of the finite results only."""
        if self.exact is None or self.engine_is_right or self.reference_is_right or self.pair.kind is Kind.FORWARD:
            return False
        arrays = self._testimony.of_finite_results
        if arrays is None or not has(arrays[self.pair.name], self.place):
            return arrays is not None
        return bool(arrays[self.pair.name][self.place] != self.wanted)

    def shares_digits(self, other: Any) -> bool:
        """Whether the engine's number and another one agree in half of their digits."""
        with precisely():
            return error_of(other, self.got) <= math.sqrt(self._unit) * abs(float(other))

    @property
    def loses_less_than_half(self) -> bool:
        """Whether the reference's error is below half of the digits of its largest number in the part."""
        theirs = np.asarray(self.pair.wanted, float)
        largest = float(np.max(np.abs(theirs), where=np.isfinite(theirs), initial=0.0))
        return self.difference <= math.sqrt(self._unit) * largest

    @property
    def finding(self) -> Finding:
        """The number as a finding that is not decided yet."""
        return self.pair.finding(self.place, self.error)

    @property
    def rounded(self) -> Any:
        """The exact number, rounded to the engine's dtype; None if unknown."""
        return None if self.exact is None else nearest(self.exact, self.got)

    def _error_of(self, number: Any) -> float:
        with precisely():
            return error_of(number, self.exact)

    @property
    def _spacing(self) -> float:
        return spacing(self.exact, single=self.pair.single)

    @property
    def _unit(self) -> float:
        return float(np.finfo(np.float32 if self.pair.single else np.float64).eps)
