"""Exact derivatives of one step at its operands, by differences of neighbouring points.

The bits of the computation are doubled until rounding is far below each derivative, or below any double.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import gmpy2
import numpy as np

from reference.engines.exact.engine import is_finite
from reference.engines.exact.numbers import PRECISION, Exact, computed, precisely
from reference.ops import OPS
from reference.programs import Step

# The relative step of a difference quotient has a fifth of the bits, 2**-84 for 400: the error of curvature is its
# square, and that of rounding has four fifths.
STEP = 84 / PRECISION
MOST_BITS = 6_400
_LEAST = gmpy2.mpfr(2) ** -2200  # below any double, also if it is multiplied by another one
_SAME = gmpy2.mpfr(2) ** -40  # the relative difference of the derivatives on both sides, if it is due to curvature
_FINER = gmpy2.mpfr(2) ** -20
_NAN = gmpy2.mpfr("nan")
_SHRINKS = 2**10  # by this factor, at least, if the steps are so much finer
_GROWS = 2**8

# How a value moves if each of several parameters does: the coefficient of each product of parameters, which are the
# bits of its key. A missing one is 0.
Moves: TypeAlias = Mapping[int, Exact]


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


class _Mixed(NamedTuple):
    """The coefficient of a product of parameters, and its rounding errors."""

    coefficient: Exact
    error: Exact

    def known(self, enough: Any) -> np.ndarray:
        """Return which numbers have errors that are small beside them, or below any double; NaN stays NaN."""
        small = np.asarray((self.error <= enough * abs(self.coefficient)) | (self.error <= _LEAST), bool)
        return np.asarray(small | ~is_finite(self.coefficient))

    @property
    def is_0(self) -> np.ndarray:
        """Which numbers are no larger than their errors, and these are below any double."""
        below = np.asarray(abs(self.coefficient) <= 16 * self.error, bool)
        return np.asarray(below & np.asarray(self.error <= _LEAST, bool))


class StepAt:
    """One step at its operands.

    Args:
        step: the step.
        inputs: its operands.
        bits: the least bits of the computation.

    Attributes:
        used: the most bits that a derivative took so far. Those that are 0 do not count.
    """

    def __init__(self, step: Step, inputs: list[Exact], bits: int) -> None:
        self._step = step
        self._inputs = inputs
        self._bits = bits
        self.used = bits

    @cached_property
    def value(self) -> Exact:
        """The value."""
        with precisely(self._bits):
            return self._at(self._inputs)

    def _at(self, inputs: list[Exact]) -> Exact:
        try:
            return computed(OPS[self._step.op].definition, inputs, self._step.options)
        except (ValueError, IndexError) as error:  # an engine's value of a wrong shape
            raise Unknown(f"NumPy refuses the operands: {error}") from error

    def sides(self, moves: Sequence[Sides | None]) -> Sides:
        """Return the derivative along moves of the operands, on both sides.

        Raises:
            Unknown: too few of its digits are known.
        """
        rights, lefts = ([None if m is None else getattr(m, side) for m in moves] for side in ("right", "left"))
        reach = min(_reach(self._inputs, [{} if m is None else {1: m} for m in side]) for side in (rights, lefts))
        poisoned = [{} if m is None else {1: m.right, 2: m.left} for m in moves]
        for bits in _precisions(self._bits):
            with precisely(bits):
                quotients = _Quotients(self, rights, lefts, _step_of(bits) * reach)
                if self._is_known(quotients, poisoned, bits):
                    return quotients.joined()
        raise Unknown("too few of its digits are known")

    def _is_known(self, quotients: _Quotients, moves: Sequence[Moves], bits: int) -> bool:
        """Whether rounding is far below each derivative, or below any double. Where nothing depends, 0 is known."""
        here = quotients.here
        inner = gmpy2.mpfr(0) if OPS[self._step.op].inputs.elementwise else max(map(size_of, self._inputs))
        size = np.where(np.asarray(here == 0, bool), inner, abs(here))  # of what has cancelled inside, at 0
        error = size * (_rounding(bits) / quotients.by)
        largest = np.maximum(abs(quotients.right), abs(quotients.left))
        precise = np.asarray(error <= _step_of(self._bits) ** 2 * largest, bool)
        known = precise | np.asarray(error <= _LEAST, bool)
        if not known.all():
            depends = ~is_finite(self._at(_poisoned(self._inputs, moves, 3)))
            known |= ~(is_finite(here) & depends)
        if known.all() and precise.any():
            self.used = max(self.used, bits)
        return bool(known.all())

    def mixed(self, moves: Sequence[Moves], key: int, size: Any = None) -> Exact:
        """Return the coefficient of a product of parameters, by a mixed central difference.

        Args:
            moves: how the operands move.
            key: the parameters.
            size: a number beside which errors must be small. By default they must be small beside each coefficient,
                and what looks like 0 is computed again with the most bits.

        Raises:
            Unknown: too few of its digits are known.
        """
        enough, zero = _step_of(self._bits) ** 2, None
        for bits in _precisions(self._bits):
            found = self._mixed(moves, key, bits)
            known = found.known(enough)
            if size is not None and size_of(found.error) <= enough * max(size_of(found.coefficient), size):
                known[...] = True
            elif size is None and zero is None and not known.all():
                zero = self._mixed(moves, key, max(bits, MOST_BITS)).is_0
            if zero is not None and (known | zero).all():
                found, known = (
                    found._replace(coefficient=np.where(zero, gmpy2.mpfr(0), found.coefficient)),
                    known | zero,
                )
            if known.all():
                coefficient = np.asarray(found.coefficient)
                self.used = max(self.used, bits if coefficient.any() else 0)
                return np.asarray(np.where(self._depends(moves, key), coefficient, gmpy2.mpfr(0)))
        raise Unknown("too few of its digits are known")

    def _mixed(self, moves: Sequence[Moves], key: int, bits: int) -> _Mixed:
        order = key.bit_count()
        parameters = [p for p in range(key.bit_length()) if key >> p & 1]
        with precisely(bits):
            by = _step_of(bits) * _reach(self._inputs, moves)
            total: Any = 0
            for signs in itertools.product((1, -1), repeat=order):
                at = dict(zip(parameters, signs, strict=True))
                value = self._at([_moved(x, each, at, by) for x, each in zip(self._inputs, moves, strict=True)])
                total = total + value * math.prod(signs)
            finite = np.where(is_finite(value), abs(value), gmpy2.mpfr(0))
            largest = np.maximum(finite, max(map(size_of, self._inputs)))  # of what may cancel inside
            error = np.asarray(largest * (_rounding(bits) / by**order))
            return _Mixed(np.asarray(total / (2 * by) ** order), error)

    def _depends(self, moves: Sequence[Moves], key: int) -> np.ndarray:
        """Return which numbers depend on each parameter of a key: those that NaN in its place turns into NaN.

        This is needed only beside unknown moves, which are NaN.
        """
        depends = is_finite(self.value)
        if all(is_finite(m).all() for each in moves for m in each.values()):
            return depends
        for parameter in (1 << p for p in range(key.bit_length()) if key >> p & 1):
            depends &= ~is_finite(self._at(_poisoned(self._inputs, moves, parameter)))
        return depends


class _Quotients:
    """Difference quotients of a step on both sides.

    Args:
        step: the step at its operands.
        rights: the moves of the operands forwards.
        lefts: those backwards.
        by: how far.
    """

    def __init__(self, step: StepAt, rights: Sequence[Any], lefts: Sequence[Any], by: Any) -> None:
        self._step, self._rights, self._lefts, self.by = step, rights, lefts, by
        self.here = step._at(step._inputs)  # noqa: SLF001 - in the precision of the context
        self.right, self.left = self._quotients(by)

    def _quotients(self, by: Any) -> tuple[Exact, Exact]:
        inputs = self._step._inputs  # noqa: SLF001 - as above
        ahead = self._step._at([_plus(x, m, by) for x, m in zip(inputs, self._rights, strict=True)])  # noqa: SLF001
        behind = self._step._at([_plus(x, m, -by) for x, m in zip(inputs, self._lefts, strict=True)])  # noqa: SLF001
        return np.asarray(_difference(ahead, self.here) / by), np.asarray(_difference(self.here, behind) / by)

    def joined(self) -> Sides:
        """Return both sides; a single derivative where they differ by curvature only."""
        right, left = self.right, self.left
        middle = np.asarray((right + left) / 2)
        apart = differ(right, left)
        if not apart.any():
            return Sides(middle, middle)
        finer_right, finer_left = self._quotients(self.by * _FINER)
        smooth = ~apart | np.asarray(abs(finer_right - finer_left) * _SHRINKS <= abs(right - left), bool)
        middle = np.where(apart, (finer_right + finer_left) / 2, middle)
        if smooth.all():
            return Sides(middle, middle)
        right, left = (np.where(_grows(a, b), _NAN, a) for a, b in ((right, finer_right), (left, finer_left)))
        return Sides(np.where(smooth, middle, left), np.where(smooth, middle, right))


def differ(a: Exact, b: Exact) -> np.ndarray:
    """Return which derivatives on both sides differ by more than curvature makes them."""
    return np.asarray(abs(a - b) > _SAME * np.maximum(abs(a), abs(b)), bool)


def size_of(array: Exact) -> Any:
    """Return the largest finite number of an array, without its sign."""
    return max((abs(n) for n in array.flat if gmpy2.is_finite(n)), default=gmpy2.mpfr(0))


def unless_kinked(sides: Sides) -> Exact:
    """Return the single derivative; NaN where both sides differ."""
    return sides.right if sides.is_smooth else np.asarray(np.where(differ(*sides), _NAN, sides.right))


def _precisions(bits: int) -> Sequence[int]:
    return [bits << i for i in range(max(0, int(math.log2(MOST_BITS / bits))) + 1)]


def _step_of(bits: int) -> Any:
    return gmpy2.mpfr(2) ** -round(STEP * bits)


def _rounding(bits: int) -> Any:
    """Return the relative rounding error of a step's values."""
    return gmpy2.mpfr(2) ** (4 - bits)


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


def _moved(x: Exact, moves: Moves, signs: Mapping[int, int], by: Any) -> Exact:
    for key, move in moves.items():
        sign = math.prod(s for p, s in signs.items() if key >> p & 1)
        x = np.asarray(x + move * (sign * by ** key.bit_count()))
    return x


def _poisoned(inputs: Sequence[Exact], moves: Sequence[Moves], parameters: int) -> list[Exact]:
    """Put NaN in the place of each number that moves with one of the parameters."""
    poisoned = []
    for x, each in zip(inputs, moves, strict=True):
        for key, move in each.items():
            if key & parameters:
                x = np.asarray(np.where(np.asarray(move != 0, bool), _NAN, x))  # noqa: PLW2901 - step by step
        poisoned.append(x)
    return poisoned


def _difference(to: Exact, start: Exact) -> Exact:
    """Return a difference. It is 0 where numbers stay the same, also infinite ones and NaN."""
    same = np.asarray((to == start) | ((to != to) & (start != start)), bool)  # noqa: PLR0124 - tests for NaN
    return np.asarray(np.where(same, gmpy2.mpfr(0), to - start))


def _grows(quotient: Exact, finer: Exact) -> np.ndarray:
    """Return which quotients grow with finer steps: at a jump, or where the slope is infinite."""
    return np.asarray(abs(finer) > _GROWS * abs(quotient), bool)
