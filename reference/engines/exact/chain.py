"""Exact derivatives along directions, step by step at an engine's own values, by the chain rule.

Rounding may put a value on the other side of a branch: `relu(0.85 * 0.637 - 0.54145)` is exactly 0 in floats, and is
not 0 in all digits. Both are right. So each step is differentiated at the operands that the engine had, and only the
derivatives are passed on from one step to the next. A derivative costs a few forward computations, however many numbers
the program has. Like the rest of the witness, this module contains no gradient rule.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import gmpy2
import numpy as np

from reference.engines.exact.engine import ExactEngine, cast, is_finite
from reference.engines.exact.jitter import Jitter, random_signs
from reference.engines.exact.numbers import PRECISION, Exact, computed, exactly, precisely
from reference.ops import OPS, promoted
from reference.programs import LEAF, NUMBER, Program, Step

# The relative step of a difference quotient has a fifth of the bits, 2**-84 for 400: the error of curvature is its
# square, and that of rounding has four fifths.
STEP = 84 / PRECISION
MOST_BITS = 6_400
_LEAST = gmpy2.mpfr(2) ** -2200  # below any double, also if it is multiplied by another one
_SAME = gmpy2.mpfr(2) ** -40  # the relative difference of the derivatives on both sides, if it is due to curvature
_FINER = gmpy2.mpfr(2) ** -20
_NAN = gmpy2.mpfr("nan")
_SHRINKS = 2**10  # by this factor, at least, if the steps are so much finer

# How a value moves if each of several parameters does: the coefficient of each product of parameters, which are the bits
# of its key. A missing one is 0.
Moves: TypeAlias = Mapping[int, Exact]
Function: TypeAlias = Callable[[list[Exact]], Exact]


class Unknown(ArithmeticError):  # noqa: N818 - nothing is wrong: the witness cannot tell
    """A derivative does not exist, or too few of its digits are known."""


class Sides(NamedTuple):
    """A derivative on both sides of a point. They differ at a kink.

    Args:
        left: backwards along the direction.
        right: forwards; the same object, if there is no kink.
    """

    left: Any
    right: Any

    @property
    def is_smooth(self) -> bool:
        """Whether there is a single derivative."""
        return self.left is self.right


class Chain:
    """The derivatives of a program's result times its cotangent.

    Args:
        program: the program, with its cotangent.
        values: the values of its steps in an engine, in order; by default the exact ones.
        bits: of each number, at least.
        jitter: moves each operand, each derivative and the cotangent as they are used.
        signs: the seed of random signs of each derivative and of the cotangent. Terms that cancel do not cancel then,
            so that the result shows their size.

    Attributes:
        used: the most bits that a derivative of a step took so far. Those that are 0 do not count.
    """

    def __init__(
        self,
        program: Program,
        values: Sequence[np.ndarray] | None = None,
        bits: int = PRECISION,
        jitter: Jitter | None = None,
        signs: int | None = None,
    ) -> None:
        self._program = program
        self._bits = bits
        moved = jitter.moves() if jitter else np.asarray
        signed = moved if signs is None else random_signs(signs)
        self._jitter = jitter
        self._moved_operand: Callable[[Exact], Exact] = moved
        self._moved: Callable[[Exact], Exact] = signed
        self._operands = [np.asarray(o.array) for o in program.operands]
        self._values = [*self._operands, *(values or ())]
        self._exact = ExactEngine(bits, jitter).steps(program) if values is None else None
        self._weak = [o.kind == NUMBER for o in program.operands]
        self._inputs: dict[int, list[Exact]] = {}
        self.used = bits

    def sides(self, direction: Sequence[np.ndarray]) -> Sides:
        """Return the derivative along a direction, on both sides.

        Args:
            direction: an array for each leaf, of its shape.

        Raises:
            Unknown: the derivative is not finite, or too few of its digits are known.
        """
        with precisely(self._bits):
            moves: list[Sides | None] = list(self._starts(direction, lambda x: Sides(x, x)))
            for number, step in enumerate(self._program.steps):
                inputs = [moves[i] for i in step.inputs]
                moved = self._step_sides(number, step, inputs) if any(inputs) else None
                moves.append(moved if moved and (moved.left.any() or moved.right.any()) else None)
            last = moves[-1]
            if last is None:
                zero = gmpy2.mpfr(0)
                return Sides(zero, zero)
            right = self._total(last.right)
            return Sides(right if last.is_smooth else self._total(last.left), right)

    def value(self, number: int) -> Exact:
        """Return a step's exact value at the operands that the engine had."""
        step = self._program.steps[number]
        with precisely(self._bits):
            return _computed(step, self._step_inputs(number, step))

    def is_finite(self, number: int) -> bool:
        """Whether all operands of a step are finite."""
        return all(bool(np.isfinite(self._values[i]).all()) for i in self._program.steps[number].inputs)

    def has_pole(self, number: int) -> bool:
        """Whether a step's derivative along the direction of ones is not finite."""
        step = self._program.steps[number]
        with precisely(self._bits):
            inputs = self._step_inputs(number, step)
            ones = [Sides(one, one) for one in (exactly(np.ones(x.shape)) for x in inputs)]
            try:
                left, right = self._step_sides(number, step, ones)
            except Unknown:
                return True
        return not (is_finite(left).all() and is_finite(right).all())

    def mixed(self, *directions: Sequence[np.ndarray]) -> Any:
        """Return the derivative along several directions, one after the other.

        Args:
            directions: each an array for each leaf, of its shape.

        Raises:
            Unknown: as above, or the derivative depends on one that differs on the two sides of a kink.
        """
        with precisely(self._bits):
            moves: list[dict[int, Exact]] = [{} for _ in self._operands]
            for parameter, direction in enumerate(directions):
                for place, start in enumerate(self._starts(direction, lambda x: x)):
                    if start is not None:
                        moves[place][1 << parameter] = start
            for number, step in enumerate(self._program.steps):
                inputs = [moves[i] for i in step.inputs]
                moves.append(self._step_moves(number, step, inputs, len(directions)) if any(inputs) else {})
            last = moves[-1].get((1 << len(directions)) - 1)
            return gmpy2.mpfr(0) if last is None else self._total(last)

    def _starts(self, direction: Sequence[np.ndarray], of: Callable[[Exact], Any]) -> list[Any]:
        parts = iter(direction)
        starts = (next(parts) if o.kind == LEAF else None for o in self._program.operands)
        return [None if start is None or not np.any(start) else of(exactly(start)) for start in starts]

    def _total(self, derivative: Exact) -> Any:
        weights = self._moved(exactly(self._program.cotangent))
        total = sum((w * d for w, d in zip(weights.flat, derivative.flat, strict=True) if w), gmpy2.mpfr(0))
        if not gmpy2.is_finite(total):
            raise Unknown("it is not finite")
        return total

    # One step.

    def _step_inputs(self, number: int, step: Step) -> list[Exact]:
        """Return the operands that the engine had, as exact numbers in the step's dtype."""
        if number not in self._inputs:
            moved = np.asarray if OPS[step.op].selects else self._moved_operand  # another number would be selected
            if self._exact is not None:
                self._inputs[number] = self._exact[number].inputs
                return self._inputs[number]
            arrays = [self._values[i] for i in step.inputs]
            weak = [i < len(self._weak) and self._weak[i] for i in step.inputs]
            dtype = promoted([a for a, is_number in zip(arrays, weak, strict=True) if not is_number])
            self._inputs[number] = [moved(cast(exactly(a), a.dtype, dtype)) for a in arrays]
        return self._inputs[number]

    def _step_sides(self, number: int, step: Step, moves: Sequence[Sides | None]) -> Sides:
        inputs = self._step_inputs(number, step)
        function = partial(_computed, step)
        moves = [None if m is None else self._jittered(m) for m in moves]
        rights, lefts = ([None if m is None else getattr(m, side) for m in moves] for side in ("right", "left"))
        reach = min(_reach(inputs, [{} if m is None else {1: m} for m in side]) for side in (rights, lefts))
        for bits in _precisions(self._bits):
            with precisely(bits):
                by = _step_of(bits) * reach
                here = function(inputs)
                right, left = _quotients(function, inputs, here, (rights, lefts), by)
                if self._is_known(step, inputs, moves, (here, right, left), by, bits):
                    return _joined(function, inputs, here, (rights, lefts), by, (right, left))
        raise Unknown("too few of its digits are known")

    def _is_known(
        self,
        step: Step,
        inputs: list[Exact],
        moves: Sequence[Sides | None],
        found: tuple[Exact, Exact, Exact],
        by: Any,
        bits: int,
    ) -> bool:
        """Whether rounding is far below each derivative, or below any double. Where nothing depends, 0 is known."""
        here, right, left = found
        size = gmpy2.mpfr(0) if OPS[step.op].inputs.elementwise else max(map(size_of, inputs))  # of what cancelled
        error = np.where(np.asarray(here == 0, bool), size, abs(here)) * (_rounding(bits) / by)
        enough = self._enough
        precise = np.asarray((error <= enough * abs(right)) | (error <= enough * abs(left)), bool)
        known = precise | np.asarray(error <= _LEAST, bool)
        if known.all():
            self.used = max(self.used, bits if precise.any() else 0)
            return True
        poisoned = [x if m is None else _poisoned(x, {1: m.right, 2: m.left}, 3) for x, m in zip(inputs, moves, strict=True)]
        settled = bool((known | ~is_finite(here) | is_finite(_computed(step, poisoned))).all())
        self.used = max(self.used, bits if settled and precise.any() else 0)
        return settled

    @property
    def _enough(self) -> Any:
        """The largest accepted rounding error, relative to a derivative: that of a step's curvature."""
        return _step_of(self._bits) ** 2

    def _jittered(self, sides: Sides) -> Sides:
        right = self._moved(sides.right)
        return Sides(right if sides.is_smooth else self._moved(sides.left), right)

    def _step_moves(self, number: int, step: Step, moves: Sequence[Moves], parameters: int) -> dict[int, Exact]:
        """Return how a step's value moves. Where a derivative differs on the two sides, it is NaN."""
        inputs = self._step_inputs(number, step)
        function = partial(_computed, step)
        moves = [{key: self._moved(m) for key, m in each.items()} for each in moves]
        reach = _reach(inputs, moves)
        found: dict[int, Exact] = {}
        for key in sorted(range(1, 1 << parameters), key=int.bit_count):
            below = [{k: m for k, m in each.items() if not k & ~key} for each in moves]
            if not _covers(below, key):
                continue
            if key.bit_count() == 1:
                left, right = self._step_sides(number, step, [Sides(m[key], m[key]) if m else None for m in below])
                moved = right if left is right else np.asarray(np.where(_far(left, right), _NAN, right))
            else:
                size = max(map(size_of, found.values()), default=gmpy2.mpfr(0))
                mixed, bits = _mixed(function, inputs, below, key, reach, size, self._bits)
                self.used = max(self.used, bits if np.any(mixed) else 0)
                mixed = mixed + self._lost(step, inputs, below, key, reach, size)
                moved = np.asarray(np.where(_depends(function, inputs, below, key), mixed, gmpy2.mpfr(0)))
            if moved.any():
                found[key] = moved
        return found


    def _lost(self, step: Step, inputs: list[Exact], moves: Sequence[Moves], key: int, reach: Any, size: Any) -> Any:
        """Return what rounding of its terms does to a mixed derivative, if numbers are to be moved by a rounding.

        The terms may cancel, as they do for softmax along a direction of equal numbers. With random signs they do not.
        """
        if self._jitter is None:
            return 0
        signs = random_signs(self._jitter.seed)
        signed = [{k: np.asarray(signs(m)) for k, m in each.items()} for each in moves]
        lost, _ = _mixed(partial(_computed, step), inputs, signed, key, reach, size, self._bits)
        return np.asarray(signs(lost)) * self._jitter.relative


def _computed(step: Step, inputs: list[Exact]) -> Exact:
    return computed(OPS[step.op].definition, inputs, step.options)


def _covers(moves: Sequence[Moves], key: int) -> bool:
    """Whether all parameters of a key occur in some moves."""
    union = 0
    for each in moves:
        for k in each:
            union |= k
    return union == key


def _precisions(bits: int) -> Sequence[int]:
    return [bits << i for i in range(int(math.log2(MOST_BITS / bits)) + 1)]


def _step_of(bits: int) -> Any:
    return gmpy2.mpfr(2) ** -round(STEP * bits)


def _reach(inputs: Sequence[Exact], moves: Sequence[Moves]) -> Any:
    """Return how far the parameters go until a number has moved by its own size, or by 1 if it is 0."""
    reach = gmpy2.inf()
    for x, each in zip(inputs, moves, strict=True):
        for key, move in each.items():
            for number, by in zip(x.flat, move.flat, strict=True):
                if by and gmpy2.is_finite(by) and gmpy2.is_finite(number):
                    ratio = abs(number or gmpy2.mpfr(1)) / abs(by)
                    reach = min(reach, ratio if key.bit_count() == 1 else gmpy2.root(ratio, key.bit_count()))
    return reach if gmpy2.is_finite(reach) else gmpy2.mpfr(1)


def _plus(x: Exact, move: Exact | None, by: Any) -> Exact:
    return x if move is None else np.asarray(x + move * by)


def _quotients(
    function: Function, inputs: list[Exact], here: Exact, moves: tuple[list[Any], list[Any]], by: Any
) -> tuple[Exact, Exact]:
    """Return the difference quotients on the right and on the left."""
    rights, lefts = moves
    ahead = function([_plus(x, m, by) for x, m in zip(inputs, rights, strict=True)])
    behind = function([_plus(x, m, -by) for x, m in zip(inputs, lefts, strict=True)])
    return np.asarray(_difference(ahead, here) / by), np.asarray(_difference(here, behind) / by)


def _difference(to: Exact, start: Exact) -> Exact:
    """Return a difference. It is 0 where numbers stay the same, also infinite ones and NaN."""
    same = np.asarray((to == start) | ((to != to) & (start != start)), bool)  # noqa: PLR0124 - tests for NaN
    return np.asarray(np.where(same, gmpy2.mpfr(0), to - start))


def _joined(
    function: Function,
    inputs: list[Exact],
    here: Exact,
    moves: tuple[list[Any], list[Any]],
    by: Any,
    quotients: tuple[Exact, Exact],
) -> Sides:
    """Return both sides; a single derivative where they differ by curvature only."""
    right, left = quotients
    middle = np.asarray((right + left) / 2)
    apart = _far(right, left)
    if not apart.any():
        return Sides(middle, middle)
    finer_right, finer_left = _quotients(function, inputs, here, moves, by * _FINER)
    curved = np.asarray(abs(finer_right - finer_left) * _SHRINKS <= abs(right - left), bool)
    right, left = (np.where(_grows(a, b), _NAN, a) for a, b in ((right, finer_right), (left, finer_left)))
    if (curved | ~apart).all():
        both = np.where(apart, (finer_right + finer_left) / 2, middle)
        return Sides(both, both)
    smooth = curved | ~apart
    return Sides(np.where(smooth, middle, left), np.where(smooth, middle, right))


def _grows(quotient: Exact, finer: Exact) -> np.ndarray:
    """Whether a quotient grows with finer steps: at a jump, or where the slope is infinite."""
    return np.asarray(abs(finer) > 2**8 * abs(quotient), bool)


def _far(a: Exact, b: Exact) -> np.ndarray:
    return np.asarray(abs(a - b) > _SAME * np.maximum(abs(a), abs(b)), bool)


def _mixed(
    function: Function, inputs: list[Exact], moves: Sequence[Moves], key: int, reach: Any, size: Any, least: int
) -> tuple[Exact, int]:
    """Return the coefficient of a product of parameters, by a mixed central difference, and the bits that it took."""
    order = key.bit_count()
    parameters = [p for p in range(key.bit_length()) if key >> p & 1]
    for bits in _precisions(least):
        with precisely(bits):
            by = _step_of(bits) * reach
            total: Any = 0
            for signs in itertools.product((1, -1), repeat=order):
                at = dict(zip(parameters, signs, strict=True))
                value = function([_moved_in_all(x, each, at, by) for x, each in zip(inputs, moves, strict=True)])
                total = total + value * math.prod(signs)
            coefficient = np.asarray(total / (2 * by) ** order)
            error = size_of(value) * _rounding(bits) / by**order
            if error <= max(_LEAST, _step_of(least) ** 2 * max(size_of(coefficient), size)):
                return coefficient, bits
    raise Unknown("too few of its digits are known")


def _depends(function: Function, inputs: Sequence[Exact], moves: Sequence[Moves], key: int) -> np.ndarray:
    """Return which numbers of a value depend on each parameter of a key: those that NaN in its place turns into NaN."""
    here = function(list(inputs))
    depends = np.asarray(is_finite(here), bool)
    if all(is_finite(m).all() for each in moves for m in each.values()):
        return depends
    for parameter in (1 << p for p in range(key.bit_length()) if key >> p & 1):
        poisoned = [_poisoned(x, each, parameter) for x, each in zip(inputs, moves, strict=True)]
        depends &= ~np.asarray(is_finite(function(poisoned)), bool)
    return depends


def _poisoned(x: Exact, moves: Moves, parameter: int) -> Exact:
    for key, move in moves.items():
        if key & parameter:
            x = np.asarray(np.where(np.asarray(move != 0, bool), _NAN, x))
    return x


def _moved_in_all(x: Exact, moves: Moves, signs: Mapping[int, int], by: Any) -> Exact:
    for key, move in moves.items():
        sign = math.prod(s for p, s in signs.items() if key >> p & 1)
        x = np.asarray(x + move * (sign * by ** key.bit_count()))
    return x


def _rounding(bits: int) -> Any:
    """Return the relative rounding error of a step's values."""
    return gmpy2.mpfr(2) ** (4 - bits)


def size_of(array: Exact) -> Any:
    """Return the largest finite number of an array, without its sign."""
    return max((abs(n) for n in array.flat if gmpy2.is_finite(n)), default=gmpy2.mpfr(0))
