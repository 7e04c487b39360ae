"""One number that rounding does not explain: what both sides say, and how far each is from the exact one."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.engines.exact.numbers import precisely
from reference.verdict.exactness import Place, Witnessed, has, nearest, off, spacing
from reference.verdict.findings import Finding, Kind
from reference.verdict.rounding import AT_ONCE, MARGIN

if TYPE_CHECKING:
    from reference.engines.exact import Slopes
    from reference.verdict.comparison import Pair


class Number:
    """One number that rounding does not explain. The witness is asked when first it is wanted.

    Args:
        pair: the part that it stands in.
        place: where.
        error: how far rounding may take it; NaN where no reference shows it. Then the witness does.
        witnessed: what the witness shows.
        known: whether the reference is known to be wrong in another number of the part, so that it need not be shown.
    """

    def __init__(self, pair: Pair, place: Place, error: float, witnessed: Witnessed, *, known: bool) -> None:
        self.pair = pair
        self.place = place
        self.known = known
        self.got, self.wanted = pair.got[place], pair.wanted[place]
        self._error = error
        self._witnessed = witnessed

    @cached_property
    def slopes(self) -> Slopes:
        """What the witness says, on either side."""
        return self._witnessed.slopes(self.pair.name, self.place)

    @property
    def exact(self) -> Any:
        """The one right number; None at a kink, and where the witness cannot tell."""
        return self.slopes.exact

    @property
    def has_slopes(self) -> bool:
        """Whether it stands at a kink of which the witness knows the slopes on both sides."""
        known = self.slopes.left is not None and self.slopes.right is not None
        return self.exact is None and known and not self.pair.is_second_order

    @cached_property
    def error(self) -> float:
        """How far rounding may take it.

        Nobody needs to know it of a number that is right at once, and in half of its digits the reference's, too.
        """
        if not math.isnan(self._error):
            return self._error
        if self.exact is None or (self.mine <= AT_ONCE * self._spacing and self.shares_digits(self.wanted)):
            return 0.0
        return self._witnessed.moved_by_rounding(self.pair.name, self.place, self.exact, single=self.pair.single)

    @cached_property
    def rounding(self) -> float:
        """The same, with what agrees at once."""
        return self.error + AT_ONCE / MARGIN * self._spacing

    @cached_property
    def mine(self) -> float:
        """How far the engine is from the exact number."""
        return self._off(self.got)

    @cached_property
    def theirs(self) -> float:
        """How far the reference is."""
        return self._off(self.wanted)

    @property
    def apart(self) -> float:
        """How far the two are from each other."""
        with precisely():
            return off(self.wanted, self.got)

    @cached_property
    def nearby(self) -> tuple[float, float]:
        """The largest errors of both sides on numbers a few ULP away."""
        with precisely():
            return self._witnessed.errors_nearby(self.pair.name, self.place)

    @property
    def engine_is_right(self) -> bool:
        """Whether the engine is as near to the exact number as rounding lets it be."""
        return self.exact is not None and self.mine <= MARGIN * self.rounding

    @property
    def reference_is_right(self) -> bool:
        """The same of the reference."""
        return self.exact is not None and self.theirs <= MARGIN * self.rounding

    @property
    def reference_alone_is_off(self) -> bool:
        """Whether the reference is further off than rounding and the engine's own errors hereabouts explain."""
        if self.exact is None or self.reference_is_right:
            return False
        return self.engine_is_right or self.theirs > MARGIN * max(self.mine, self.nearby[0], self.rounding)

    @cached_property
    def is_of_a_part(self) -> bool:
        """Whether what is no number in the result has a share in it: the witness's is that of the rest alone."""
        if self.exact is None or self.engine_is_right or self.reference_is_right or self.pair.kind is Kind.FORWARD:
            return False
        arrays = self._witnessed.without_what_is_no_number
        if arrays is None or not has(arrays[self.pair.name], self.place):
            return arrays is not None
        return bool(arrays[self.pair.name][self.place] != self.wanted)

    def shares_digits(self, other: Any) -> bool:
        """Whether the engine's number and another have half of their digits in common."""
        with precisely():
            return off(other, self.got) <= math.sqrt(self._unit) * abs(float(other))

    @property
    def loses_less_than_half(self) -> bool:
        """Whether the reference is right to half of the digits of its largest number in the part."""
        theirs = np.asarray(self.pair.wanted, float)
        largest = float(np.max(np.abs(theirs), where=np.isfinite(theirs), initial=0.0))
        return self.apart <= math.sqrt(self._unit) * largest

    @property
    def finding(self) -> Finding:
        """The number as a finding, without what it comes to."""
        return self.pair.finding(self.place, self.error)

    @property
    def shown(self) -> Any:
        """The exact number as it is shown: in the dtype that it stands beside."""
        return None if self.exact is None else nearest(self.exact, self.got)

    def _off(self, number: Any) -> float:
        with precisely():
            return off(number, self.exact)

    @property
    def _spacing(self) -> float:
        return spacing(self.exact, single=self.pair.single)

    @property
    def _unit(self) -> float:
        return float(np.finfo(np.float32 if self.pair.single else np.float64).eps)
