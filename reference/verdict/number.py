"""One number that rounding does not explain, with the standing of both sides, each measured by itself."""

from __future__ import annotations

import math
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.engines.exact.numbers import precisely
from reference.verdict.exactness import Place, error_of, has, nearest, spacing
from reference.verdict.findings import Finding, Kind
from reference.verdict.rounding import AT_ONCE, MARGIN

USUAL = 4.0  # the allowed multiple of what the usual formulas lose

if TYPE_CHECKING:
    from reference.engines.exact import Slopes
    from reference.verdict.comparison import Pair
    from reference.verdict.evidence import Evidence
    from reference.verdict.truth import Truth


class Standing(Enum):
    """How a side's number stands to the exact one."""

    RIGHT = "right"  # within what the function allows: rounding of each operand at each use moves it as far
    IMPRECISE = "imprecise"  # within what the usual formulas lose there
    WRONG = "wrong"
    UNKNOWN = "unknown"  # the witness has no single number


class Number:
    """One number that rounding does not explain. The witness is asked when its answer is first needed.

    Args:
        pair: the part that contains it.
        place: its index.
        error: its rounding error, as estimated by disturbing the reference; NaN if the reference cannot be disturbed.
        evidence: the evidence about the program.
    """

    def __init__(self, pair: Pair, place: Place, error: float, evidence: Evidence) -> None:
        self.pair = pair
        self.place = place
        self.got, self.wanted = pair.got[place], pair.wanted[place]
        self._error = error
        self._evidence = evidence

    @cached_property
    def slopes(self) -> Slopes:
        """The exact slopes on both sides, at the engine's values; for a value, the program's exact value."""
        return self._evidence.mine.slopes(self.pair.name, self.place)

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
    def engine(self) -> Standing:
        """The standing of the engine's number."""
        return self._standing(self._evidence.mine, self.got)

    @cached_property
    def reference(self) -> Standing:
        """The standing of the reference's number."""
        return self._standing(self._evidence.theirs, self.wanted)

    def _standing(self, truth: Truth, number: Any) -> Standing:
        if self._is_value and truth.wrong_value is None and np.isfinite(number):
            return Standing.RIGHT
        exact = self.exact if self._is_value else truth.slopes(self.pair.name, self.place).exact
        if exact is None:
            return Standing.UNKNOWN
        if not np.isfinite(number) or not math.isfinite(float(exact)):
            return Standing.RIGHT if nearest(exact, number) == number else Standing.WRONG
        error = _error(number, exact)
        if error <= self._at_once(exact):
            return Standing.RIGHT
        where = self.pair.name, self.place, exact
        if not self._is_value and error <= MARGIN * truth.rounding(*where, error / MARGIN):
            return Standing.RIGHT
        if not self._is_value and error <= USUAL * truth.usual_loss(*where, error / USUAL):
            return Standing.IMPRECISE
        explained = math.isfinite(self._error) and error <= MARGIN * self._error
        half = error <= math.sqrt(self._unit) * abs(float(exact))
        return Standing.IMPRECISE if explained and half else Standing.WRONG

    def _at_once(self, exact: Any) -> float:
        return AT_ONCE * max(spacing(exact, single=self.pair.single), self._least)

    @cached_property
    def error(self) -> float:
        """The estimated rounding error; that of the exact number, if the reference cannot be disturbed."""
        if not math.isnan(self._error):
            return self._error
        if self.exact is None or self._is_value:
            return 0.0
        return self._evidence.mine.rounding(self.pair.name, self.place, self.exact)

    @cached_property
    def depends_on_nonfinite(self) -> bool:
        """Whether a nonfinite result contributes to it. The exact number is then that of the finite results only."""
        right = Standing.RIGHT in (self.engine, self.reference)
        if self.exact is None or right or self._is_value:
            return False
        if self._evidence.mine.crosses_nonfinite(self.pair.name, self.place):
            return True
        arrays = self._evidence.of_finite_results
        if arrays is None or not has(arrays[self.pair.name], self.place):
            return arrays is not None
        return bool(arrays[self.pair.name][self.place] != self.wanted)

    @property
    def is_explained(self) -> bool:
        """Whether disturbing the reference explains the difference of both numbers, whatever is exact."""
        return math.isfinite(self.difference) and self.difference <= MARGIN * (self._error + self._least)

    @property
    def is_alike_at_kink(self) -> bool:
        """Whether both sides have the same slope of a kink, up to rounding."""
        slopes = self.slopes
        moved = self._evidence.mine.rounding_at_kink(self.pair.name, self.place, slopes)
        return self.difference <= self._at_once(max(abs(slopes.left), abs(slopes.right))) + MARGIN * moved

    @property
    def difference(self) -> float:
        """The distance of the two numbers."""
        return _error(self.got, self.wanted) if np.isfinite(self.wanted) else math.inf

    def shares_digits(self, other: Any) -> bool:
        """Whether the engine's number and another one agree in half of their digits."""
        return bool(np.isfinite(other)) and _error(other, self.got) <= math.sqrt(self._unit) * abs(float(other))

    @property
    def finding(self) -> Finding:
        """The number as a finding that is not decided yet."""
        return self.pair.finding(self.place, self.error)

    @property
    def rounded(self) -> Any:
        """The exact number, rounded to the engine's dtype; None if unknown."""
        return None if self.exact is None else nearest(self.exact, self.got)

    @property
    def _is_value(self) -> bool:
        return self.pair.kind is Kind.FORWARD

    @property
    def _unit(self) -> float:
        return float(np.finfo(self._dtype).eps)

    @property
    def _least(self) -> float:
        """The least spacing: no number must be more precise than the smallest normal number."""
        return float(np.finfo(self._dtype).tiny) / AT_ONCE

    @property
    def _dtype(self) -> Any:
        return np.float32 if self.pair.single else np.float64


def _error(number: Any, exact: Any) -> float:
    with precisely():
        return error_of(number, exact)
