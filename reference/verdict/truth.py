"""The exact numbers of a program, at the values that one side had, and how far rounding moves them.

Each side is measured by itself. Its values are compared step by step, each with the exact value at the operands that
this side had, and its gradients with the exact derivatives at these operands. So what one step rounds does not count
again in the next, and rounding cannot put the witness on another side of a branch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from reference.engines.exact import (
    Chain,
    Computed,
    ExactEngine,
    Jitter,
    Sides,
    Slopes,
    Unknown,
    UsualChain,
    Witness,
    enclosed,
    slopes_along,
    towards,
)
from reference.engines.exact.engine import is_finite
from reference.engines.exact.numbers import PRECISION, precisely
from reference.ops import OPS
from reference.verdict.exactness import error_of, nearest, spacing
from reference.verdict.findings import SECOND_ORDER
from reference.verdict.rounding import AT_ONCE, MARGIN

if TYPE_CHECKING:
    from reference.engines import Outcome
    from reference.programs import Program

ROUNDINGS = 3  # runs with all operands and derivatives moved by a rounding
FORMULAS = 12  # evaluations of the usual formulas, each rounded otherwise

Place = tuple[int, ...]
CACHED = 64

Bounds = tuple[Any, Any]
_CACHE: dict[Any, Truth] = {}
_WITNESS = Witness()


class WrongValue(NamedTuple):
    """A number of a step's value that is off.

    Args:
        step: the index of the step.
        place: the number's index.
        got: the number.
        exact: the exact number at the operands that the step had.
        inner: the size of the terms that may cancel inside the op: of its largest operand, if it has several numbers.
    """

    step: int
    place: Place
    got: Any
    exact: Any
    inner: float


def truth_of(program: Program, outcome: Outcome, *, single: bool) -> Truth:
    """Return the exact numbers at a side's values. They are cached: both sides mostly have the same values.

    In mutation testing, many faults fail on the same program, with the same values as well.

    Args:
        program: the case.
        outcome: the outcome of this side.
        single: whether some of the computation is in single precision, whose rounding then counts.
    """
    key = program, tuple(value.tobytes() for value in outcome.values), single
    if key not in _CACHE:
        while len(_CACHE) >= CACHED:
            del _CACHE[next(iter(_CACHE))]
        _CACHE[key] = Truth(program, outcome.values, single=single)
    return _CACHE[key]


class Truth:
    """The exact numbers at the values of one side.

    Args:
        program: the case.
        values: the values of the steps.
        single: whether some of the computation is in single precision, whose rounding then counts.
    """

    def __init__(self, program: Program, values: Sequence[np.ndarray], *, single: bool) -> None:
        self._program = program
        self._values = values
        self._known: dict[tuple[str, Place], Slopes] = {}
        self._crossing: dict[tuple[str, Place], bool] = {}
        self.single = single
        self.unit = 2.0**-24 if single else 2.0**-53
        self.least = float(np.finfo(np.float32 if single else np.float64).tiny) / AT_ONCE  # spacing that counts
        self._leaves = [o.name for o in program.leaves]

    def leaf(self, part: str) -> int:
        """Return the index of the leaf of which a part is the gradient."""
        return self._leaves.index(part[part.index("[") + 1 : -1])

    def slopes(self, part: str, place: Place) -> Slopes:
        """Return one exact number of a gradient, as slopes on both sides; or one of the program's exact value.

        They are computed in more and more digits, until the error is below any double. Otherwise they are unknown.
        Beyond a value that has overflown they are those of the program in exact numbers.
        """
        if part == "value":
            return _WITNESS.value(self._program, place)
        if (part, place) not in self._known:
            slopes = enclosed(lambda bits: self._computed(bits, part, place))
            self._known[part, place] = self._of_program(part, place) if self._crossing[part, place] else slopes
        return self._known[part, place]

    def rounding(self, part: str, place: Place, exact: Any, enough: float = math.inf) -> float:
        """Return how far a number moves if each operand and each derivative moves by a rounding, at each use.

        Args:
            part: the part's name.
            place: the index of the number.
            exact: the exact number.
            enough: the distance at which no further runs are needed.
        """
        return self._furthest(self._jittered, part, place, exact, enough)

    def _furthest(self, chains: Iterable[Chain], part: str, place: Place, exact: Any, enough: float) -> float:
        furthest = 0.0
        for chain in chains:
            number = self._slopes(chain, part, place).middle
            if number is not None:
                with precisely():
                    furthest = max(furthest, float(abs(number - exact)))
            if furthest >= enough:
                break
        return furthest

    def rounding_at_kink(self, part: str, place: Place, slopes: Slopes) -> float:
        """Return how far the slopes on both sides move, likewise."""
        direction = towards(self._program, self.leaf(part), place)
        return self.moved_bounds(direction, (min(slopes.left, slopes.right), max(slopes.left, slopes.right)))

    def usual_loss(self, part: str, place: Place, exact: Any, enough: float = math.inf) -> float:
        """Return how much the usual formulas lose of a number, and rounding of terms that cancel.

        Args:
            part: the part's name.
            place: the index of the number.
            exact: the exact number.
            enough: as above.
        """
        terms = self._terms(part, place) * self.unit
        return terms if terms >= enough else max(terms, self._furthest(self._usual, part, place, exact, enough))

    def _terms(self, part: str, place: Place) -> float:
        """Return the size of the terms that add up to a number."""
        sizes = (self._slopes(chain, part, place).middle for chain in self._signed)
        return max((float(abs(size)) for size in sizes if size is not None), default=0.0)

    @cached_property
    def _signed(self) -> list[Chain]:
        return [Chain(self._program, self._values, signs=seed) for seed in range(ROUNDINGS)]

    @cached_property
    def _usual(self) -> list[UsualChain]:
        return [UsualChain(self._program, self._values, seed) for seed in range(FORMULAS)]

    def along(self, direction: Sequence[np.ndarray]) -> Sides:
        """Return the slopes along a direction on both sides."""
        return self._chain.sides(direction)

    def bounds(self, direction: Sequence[np.ndarray], *, second: bool = False, finer: bool = False) -> Bounds:
        """Return the least and the largest derivative along a direction: they differ at a kink.

        Args:
            direction: an array for each leaf, of its shape.
            second: whether of the slope along the program's directions.
            finer: whether to compute it with twice as many digits, and a finer step.

        Raises:
            Unknown: the witness cannot tell.
        """
        chain = Chain(self._program, self._values, 2 * PRECISION) if finer else self._chain
        return self._bounds(chain, direction, second=second)

    def moved_bounds(self, direction: Sequence[np.ndarray], exact: Bounds, *, second: bool = False) -> float:
        """Return how far these bounds move if all numbers move by a rounding, as above."""
        moved = 0.0
        for chain in self._jittered:
            with suppress(Unknown), precisely():
                bounds = self._bounds(chain, direction, second=second)
                moved = max([moved, *(float(abs(a - b)) for a, b in zip(bounds, exact, strict=True))])
        return moved

    def _bounds(self, chain: Chain, direction: Sequence[np.ndarray], *, second: bool) -> Bounds:
        if second:
            mixed = chain.mixed(direction, self._program.directions)
            return mixed, mixed
        left, right = chain.sides(direction)
        return min(left, right), max(left, right)

    @cached_property
    def wrong_value(self) -> WrongValue | None:
        """The first number of a step's value that is off by more than rounding explains; None if all are right.

        Of a step on infinities or NaN, only finite numbers count: else the definitions do not bind there.
        """
        for step, value in enumerate(self._values):
            try:
                exact = self._chain.value(step)
            except Unknown:
                continue
            if exact.shape != value.shape:  # the judges of parts decide on shapes
                continue
            counts = (
                np.ones(value.shape, bool) if self._chain.is_finite(step) else np.isfinite(value) & is_finite(exact)
            )
            for place in np.ndindex(value.shape):
                if counts[place] and self._is_off(step, place, value[place], exact[place]):
                    return WrongValue(step, place, value[place], exact[place], self._inner(step))
        return None

    def _inner(self, step: int) -> float:
        if OPS[self._program.steps[step].op].inputs.elementwise:
            return 0.0
        arrays = [*(o.data for o in self._program.operands), *self._values]
        operands = [arrays[i] for i in self._program.steps[step].inputs]
        return float(max((np.abs(x).max(initial=0.0) for x in operands), default=0.0))

    @cached_property
    def nonfinite_results(self) -> np.ndarray:
        """A mask of the numbers of the exact result that are not finite."""
        return ~is_finite(ExactEngine().values(self._program)[-1])

    @cached_property
    def has_pole(self) -> bool:
        """Whether the slope of a step is not finite, at finite operands. Times 0, it is NaN for every engine."""
        return any(self._chain.has_pole(step) for step in range(len(self._values)))

    def _is_off(self, step: int, place: Place, got: Any, exact: Any) -> bool:
        """Whether a step's number is off. Infinities and NaN must be the same, and no exact number is too large."""
        wanted = float(exact)
        if not (math.isfinite(wanted) and np.isfinite(got)):
            return not (got == nearest(exact, got) or (math.isnan(wanted) and np.isnan(got)))
        error, at_once = error_of(got, exact), AT_ONCE * max(spacing(exact, single=self.single), self.least)
        if error <= at_once:
            return False
        with precisely():
            moved = max(float(abs(chain.value(step)[place] - exact)) for chain in self._jittered)
        return error > at_once + MARGIN * moved

    @cached_property
    def _chain(self) -> Chain:
        return Chain(self._program, self._values)

    def _computed(self, bits: int, part: str, place: Place) -> Computed:
        chain = Chain(self._program, self._values, bits, thorough=True)
        slopes = self._slopes(chain, part, place)
        self._crossing[part, place] = chain.crosses
        return Computed(slopes, chain.used)

    def _of_program(self, part: str, place: Place) -> Slopes:
        slopes = _WITNESS.second_slopes if part.startswith(SECOND_ORDER) else _WITNESS.slopes
        return slopes(self._program, self.leaf(part), place)

    def crosses_nonfinite(self, part: str, place: Place) -> bool:
        """Whether a number's slope passes a value that has overflown. What comes after it is left out."""
        self.slopes(part, place)
        return self._crossing.get((part, place), False)

    @cached_property
    def _jittered(self) -> list[Chain]:
        jitters = (Jitter(seed, self.unit) for seed in range(ROUNDINGS))
        return [Chain(self._program, self._values, jitter=jitter) for jitter in jitters]

    def _slopes(self, chain: Chain, part: str, place: Place) -> Slopes:
        direction = towards(self._program, self.leaf(part), place)
        second = (self._program.directions,) if part.startswith(SECOND_ORDER) else ()
        return slopes_along(chain, direction, *second)
