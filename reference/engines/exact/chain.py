"""Exact derivatives along directions, step by step at an engine's own values, by the chain rule.

Rounding may put a value on the other side of a branch: `relu(0.85 * 0.637 - 0.54145)` is exactly 0 in floats, and is
not 0 in all digits. Both are right. So each step is differentiated at the operands that the engine had, and only the
derivatives are passed on from one step to the next. A derivative costs a few forward computations, however many numbers
the program has. Like the rest of the witness, this module contains no gradient rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import gmpy2
import numpy as np

from reference.engines.exact.differences import Moves, Sides, StepAt, Unknown, size_of, unless_kinked
from reference.engines.exact.engine import ExactEngine, cast, is_finite
from reference.engines.exact.jitter import Jitter, random_signs
from reference.engines.exact.numbers import PRECISION, Exact, exactly, precisely
from reference.ops import OPS, promoted
from reference.programs import LEAF, NUMBER, Program, Step


class Chain:
    """The derivatives of a program's result times its cotangent.

    Args:
        program: the program, with its cotangent.
        values: the values of its steps in an engine, in order; by default the exact ones.
        bits: of each number, at least.
        jitter: moves each operand, each derivative and the cotangent as they are used.
        signs: the seed of random signs of each derivative and of the cotangent. Terms that cancel do not cancel then,
            so that the result shows their size.
        thorough: whether a mixed derivative that looks like 0 beside the simple ones is computed with the most bits.

    Attributes:
        crosses: whether the latest derivative passed a value of the engine that is not finite, though the exact one
            may be: it has overflown. What comes after it is left out.
    """

    def __init__(
        self,
        program: Program,
        values: Sequence[np.ndarray] | None = None,
        bits: int = PRECISION,
        *,
        jitter: Jitter | None = None,
        signs: int | None = None,
        thorough: bool = False,
    ) -> None:
        moved = jitter.moves() if jitter else np.asarray
        self._program = program
        self._bits = bits
        self._jitter = jitter
        self._thorough = thorough
        self._moved_operand: Callable[[Exact], Exact] = moved
        self._moved: Callable[[Exact], Exact] = moved if signs is None else random_signs(signs)
        self._operands = [np.asarray(o.array) for o in program.operands]
        self._values = [*self._operands, *(values or ())]
        self._exact = ExactEngine(bits, jitter).steps(program) if values is None else None
        self._steps: dict[int, StepAt] = {}
        self.crosses = False

    @property
    def used(self) -> int:
        """The most bits that a derivative of a step took so far. Those that are 0 do not count."""
        return max([self._bits, *(step.used for step in self._steps.values())])

    def sides(self, direction: Sequence[np.ndarray]) -> Sides:
        """Return the derivative along a direction, on both sides.

        Args:
            direction: an array for each leaf, of its shape.

        Raises:
            Unknown: the derivative is not finite, or too few of its digits are known.
        """
        self.crosses = False
        with precisely(self._bits):
            moves: list[Sides | None] = [None if s is None else Sides(s, s) for s in self._starts(direction)]
            for number, step in enumerate(self._program.steps):
                inputs = [moves[i] for i in step.inputs]
                moved = self._step_sides(number, step, list(map(self._jittered, inputs))) if any(inputs) else None
                moves.append(moved if moved and (moved.left.any() or moved.right.any()) else None)
                self._look_at(number, [] if moves[-1] is None else [moves[-1].left, moves[-1].right])
            last = moves[-1]
            if last is None:
                zero = gmpy2.mpfr(0)
                return Sides(zero, zero)
            right = self._total(last.right)
            return Sides(right if last.is_smooth else self._total(last.left), right)

    def mixed(self, *directions: Sequence[np.ndarray]) -> Any:
        """Return the derivative along several directions, one after the other.

        Args:
            directions: each an array for each leaf, of its shape.

        Raises:
            Unknown: as above, or the derivative depends on one that differs on the two sides of a kink.
        """
        self.crosses = False
        with precisely(self._bits):
            moves: list[dict[int, Exact]] = [{} for _ in self._operands]
            for parameter, direction in enumerate(directions):
                for place, start in enumerate(self._starts(direction)):
                    if start is not None:
                        moves[place][1 << parameter] = start
            for number, step in enumerate(self._program.steps):
                inputs = [{key: self._moved(m) for key, m in moves[i].items()} for i in step.inputs]
                moves.append(self._step_moves(number, step, inputs, len(directions)) if any(inputs) else {})
                self._look_at(number, moves[-1].values())
            last = moves[-1].get((1 << len(directions)) - 1)
            return gmpy2.mpfr(0) if last is None else self._total(last)

    def value(self, number: int) -> Exact:
        """Return a step's exact value at the operands that the engine had."""
        return self._step_at(number, self._program.steps[number]).value

    def is_finite(self, number: int) -> bool:
        """Whether all operands of a step are finite."""
        return all(bool(np.isfinite(self._values[i]).all()) for i in self._program.steps[number].inputs)

    def has_pole(self, number: int) -> bool:
        """Whether a step's derivative along the direction of ones is not finite. Constants stay where they are."""
        step = self._program.steps[number]
        with precisely(self._bits):
            ones = (exactly(np.ones(np.shape(self._values[i]))) for i in step.inputs)
            moves = [Sides(one, one) if i in self._active else None for i, one in zip(step.inputs, ones, strict=True)]
            try:
                left, right = self._step_sides(number, step, moves)
            except Unknown:
                return True
        return not (is_finite(left).all() and is_finite(right).all())

    @cached_property
    def _active(self) -> set[int]:
        """The indices of the leaves, and of the steps that depend on them."""
        active = {i for i, operand in enumerate(self._program.operands) if operand.kind == LEAF}
        for number, step in enumerate(self._program.steps, len(self._operands)):
            if active & set(step.inputs):
                active.add(number)
        return active

    def _look_at(self, number: int, moves: Iterable[Exact]) -> None:
        """Notice if a step's value moves where the engine's value is not finite, before another step uses it."""
        if self._exact is None and number + 1 < len(self._program.steps):
            value = self._values[len(self._operands) + number]
            if not np.isfinite(value).all():
                self.crosses |= any(bool(np.any(np.asarray(m != 0, bool) & ~np.isfinite(value))) for m in moves)

    def _starts(self, direction: Sequence[np.ndarray]) -> list[Exact | None]:
        parts = iter(direction)
        starts = (next(parts) if o.kind == LEAF else None for o in self._program.operands)
        return [None if start is None or not np.any(start) else exactly(start) for start in starts]

    def _total(self, derivative: Exact) -> Any:
        weights = self._moved(exactly(self._program.cotangent))
        total = sum((w * d for w, d in zip(weights.flat, derivative.flat, strict=True) if w), gmpy2.mpfr(0))
        if not gmpy2.is_finite(total):
            raise Unknown("it is not finite")
        return total

    # One step.

    def _step_at(self, number: int, step: Step) -> StepAt:
        """Return a step at the operands that the engine had, in the step's dtype."""
        if number not in self._steps:
            self._steps[number] = StepAt(step, self._step_inputs(number, step), self._bits)
        return self._steps[number]

    def _step_inputs(self, number: int, step: Step) -> list[Exact]:
        if self._exact is not None:
            return self._exact[number].inputs
        moved = np.asarray if OPS[step.op].selects else self._moved_operand  # another number would be selected
        arrays = [self._values[i] for i in step.inputs]
        weak = [i < len(self._operands) and self._program.operands[i].kind == NUMBER for i in step.inputs]
        dtype = promoted([a for a, is_number in zip(arrays, weak, strict=True) if not is_number])
        return [moved(cast(exactly(a), a.dtype, dtype)) for a in arrays]

    def _jittered(self, sides: Sides | None) -> Sides | None:
        if sides is None:
            return None
        right = self._moved(sides.right)
        return Sides(right if sides.is_smooth else self._moved(sides.left), right)

    def _step_sides(self, number: int, step: Step, moves: Sequence[Sides | None]) -> Sides:
        return self._step_at(number, step).sides(moves)

    def _step_moves(self, number: int, step: Step, moves: Sequence[Moves], parameters: int) -> dict[int, Exact]:
        """Return how a step's value moves. Where a derivative differs on the two sides, it is NaN."""
        here = self._step_at(number, step)
        found: dict[int, Exact] = {}
        for key in sorted(range(1, 1 << parameters), key=int.bit_count):
            below = [{k: m for k, m in each.items() if not k & ~key} for each in moves]
            if not _covers(below, key):
                continue
            if key.bit_count() == 1:
                moved = unless_kinked(here.sides([Sides(m[key], m[key]) if m else None for m in below]))
            else:
                size = None if self._thorough else max(map(size_of, found.values()), default=gmpy2.mpfr(0))
                moved = np.asarray(here.mixed(below, key, size) + self._lost(here, below, key, size))
            if moved.any():
                found[key] = moved
        return found

    def _lost(self, here: StepAt, moves: Sequence[Moves], key: int, size: Any) -> Any:
        """Return what rounding of its terms does to a mixed derivative, if numbers are to be moved by a rounding.

        The terms may cancel, as they do for softmax along a direction of equal numbers. With random signs they do not.
        """
        if self._jitter is None:
            return 0
        signs = random_signs(self._jitter.seed)
        lost = here.mixed([{k: signs(m) for k, m in each.items()} for each in moves], key, size)
        return signs(lost) * self._jitter.relative


def _covers(moves: Sequence[Moves], key: int) -> bool:
    """Whether all parameters of a key occur in some moves."""
    union = 0
    for each in moves:
        for k in each:
            union |= k
    return union == key
