"""The witness: runs programs forward with 120 digits, and differentiates by central differences.

There is no gradient rule in it, so it cannot share a bug with those that are compared. It is slow, some milliseconds
a number, and is asked only where two engines part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import gmpy2
import numpy as np

from reference.engines.exact.numbers import Exact, computed, exactly, precisely
from reference.ops import OPS, Op, promoted
from reference.programs import LEAF, NUMBER, Program

STEP = gmpy2.mpfr(2) ** -84  # of a difference quotient, relative; its square, 1e-51, is the error that it leaves
NEAR_0 = gmpy2.mpfr(2) ** -100  # below this an operand is stepped by an absolute 2**-184, which 120 digits resolve
_HALVINGS = 60  # of a number, until a move of it is far below a rounding
FINER = gmpy2.mpfr(2) ** -20  # part of a step, to see whether slopes that differ over it are a kink's


@dataclass(frozen=True)
class Jitter:
    """Moves each operand as it is used: by a part of itself, and by adding to it. The same seed moves alike.

    Args:
        seed: of the numbers between -1 and 1 that the two sizes are multiplied by.
        relative: how much of itself a number moves by.
        absolute: how far it moves at least, which also moves a 0.
        rounding: whether an operand moves as far as a rounding of the result may mean, too: where a function is flat, a
            formula that reads the rounded result, such as 1 - tanh², cannot tell operands apart that lie far apart.
    """

    seed: int
    relative: float
    absolute: float = 0.0
    rounding: bool = False

    def moves(self) -> Callable[[Exact], Exact]:
        """Give a function that moves one array after the other."""
        rng = np.random.default_rng(self.seed)

        def moved(x: Exact) -> Exact:
            by, plus = rng.uniform(-1, 1, (2, *x.shape))
            return x * (1 + exactly(by * self.relative)) + exactly(plus * self.absolute)

        return moved


@dataclass(frozen=True)
class Slopes:
    """What a number's slope is on either side of it. They differ at a kink; None where no number tells."""

    left: Any
    right: Any

    @property
    def middle(self) -> Any:
        """The mean of both, which is exact to the square of the step where there is one slope; None if unknown."""
        if self.left is None or self.right is None:
            return None
        with precisely():
            return (self.left + self.right) / 2

    @property
    def exact(self) -> Any:
        """The one slope there is; None at a kink and where nothing tells."""
        middle = self.middle
        if middle is None:
            return None
        # Apart by no more than curvature makes them over a step: some 1e-25.
        return middle if _alike(self.left, self.right, middle) else None

    def is_like(self, other: Slopes) -> bool:
        """Whether the means are the same."""
        return other.middle is not None and _alike(self.middle, other.middle, self.middle)


def _alike(a: Any, b: Any, size: Any) -> bool:
    """Whether two slopes of this size are one, but for what steps make of it."""
    return bool(abs(a - b) <= gmpy2.mpfr(1e-15) * abs(size) + gmpy2.mpfr(1e-40))


class ExactEngine:
    """The witness behind programs, by the definitions of the op table. It answers for one number at a time."""

    def values(
        self, program: Program, leaves: Mapping[int, Exact] | None = None, jitter: Jitter | None = None
    ) -> list[Exact]:
        """Give the value of each step.

        Args:
            program: what to run.
            leaves: other numbers for some leaves, by their place among the operands.
            jitter: what moves each operand as it is used.
        """
        moved = jitter.moves() if jitter and not jitter.rounding else lambda x: x
        weak = [o.kind == NUMBER for o in program.operands]
        dtypes = [np.asarray(o.array).dtype for o in program.operands]
        with precisely():
            values = list(_operands(program))
            for place, numbers in (leaves or {}).items():
                values[place] = np.asarray(numbers)
            displacements = _displacements(program, jitter) if jitter and jitter.rounding else ()
            for step in program.steps:
                dtype = promoted([np.empty(0, dtypes[i]) for i in step.inputs if not (i < len(weak) and weak[i])])
                inputs = [np.asarray(moved(_rounded(values[i], dtypes[i], dtype))) for i in step.inputs]
                if displacements:
                    displaced = zip(inputs, displacements[len(values) - len(weak)], strict=True)
                    inputs = [np.asarray(x + by) for x, by in displaced]
                values.append(computed(OPS[step.op].definition, inputs, step.options))
                dtypes.append(np.dtype(step.options.get("dtype", dtype)))
        return values[len(weak) :]

    def value(self, program: Program, place: tuple[int, ...], jitter: Jitter | None = None) -> Any:
        """Give one number of the result."""
        return self.values(program, jitter=jitter)[-1][place]

    def slopes(self, program: Program, leaf: int, place: tuple[int, ...], jitter: Jitter | None = None) -> Slopes:
        """Give one number of a leaf's gradient, on either side.

        Args:
            program: what to differentiate, in the direction of its cotangent.
            leaf: which leaf, counted among leaves.
            place: which of its numbers.
            jitter: what moves each operand as it is used.
        """
        moved = _with_moved_ends(program, jitter)
        return self._slopes(moved, leaf, place, lambda leaves: self._result(program, leaves, jitter))

    def second_slopes(
        self, program: Program, leaf: int, place: tuple[int, ...], jitter: Jitter | None = None
    ) -> Slopes:
        """Give one number of a second-order gradient: the slope of the slope along the program's directions."""
        slopes, finer = (self._second_slopes(program, leaf, place, step, jitter) for step in (STEP, STEP * FINER))
        return slopes if slopes.exact is None or slopes.is_like(finer) else Slopes(None, None)  # it grows: at a kink

    def _second_slopes(
        self, program: Program, leaf: int, place: tuple[int, ...], step: Any, jitter: Jitter | None
    ) -> Slopes:
        moved = _with_moved_ends(program, jitter)
        along = {i: exactly(d) for i, d in zip(_leaf_places(program), moved.directions, strict=True)}

        def slope_along(leaves: dict[int, Exact]) -> Any:
            start = {i: leaves.get(i, _operands(program)[i]) for i in along}
            ahead, behind = (
                self._result(program, {i: x + side * step * along[i] for i, x in start.items()}, jitter)
                for side in (1, -1)
            )
            return _difference(ahead, behind, moved, 2 * step)

        return self._slopes(program, leaf, place, slope_along, step)

    def _result(self, program: Program, leaves: dict[int, Exact], jitter: Jitter | None) -> Exact:
        return self.values(program, leaves, jitter)[-1]

    def _slopes(
        self,
        program: Program,
        leaf: int,
        place: tuple[int, ...],
        function: Callable[[dict[int, Exact]], Any],
        relative: Any = STEP,
    ) -> Slopes:
        operand = _leaf_places(program)[leaf]
        with precisely():
            x = _operands(program)[operand]
            step = relative * max(abs(x[place]), NEAR_0) if x[place] else relative

            def at(by: Any) -> Any:
                nudged = x.copy()
                nudged[place] = nudged[place] + by
                return function({operand: nudged})

            return _sides(at, step, program)


def _with_moved_ends(program: Program, jitter: Jitter | None) -> Program:
    """The program with its cotangent and its directions moved by a rounding: they are operands of the backward pass.

    Its sums lose digits of them, as those over broadcast axes.
    """
    if jitter is None or not jitter.rounding:
        return program
    moved = jitter.moves()
    with precisely():
        cotangent, *directions = (moved(exactly(x)) for x in (program.cotangent, *program.directions))
    return replace(program, cotangent=cotangent, directions=tuple(directions))


@lru_cache(maxsize=32)  # a case's, which is run many times over with each
def _displacements(program: Program, jitter: Jitter) -> tuple[tuple[Exact, ...], ...]:
    """How far each operand of each step moves, by a part of itself or as far as the result's rounding may mean."""
    values = [*_operands(program), *ExactEngine().values(program)]
    rng = np.random.default_rng(jitter.seed)
    with precisely():
        return tuple(
            _displacement(OPS[s.op], [values[i] for i in s.inputs], jitter.relative, rng) for s in program.steps
        )


def _displacement(op: Op, inputs: list[Exact], size: float, rng: np.random.Generator) -> tuple[Exact, ...]:
    parts = [rng.uniform(-1, 1, x.shape) for x in inputs]
    if op.selects:
        return tuple(exactly(np.zeros(x.shape)) for x in inputs)
    moves = [_finite(x) * exactly(part * size) for x, part in zip(inputs, parts, strict=True)]
    if op.inputs.elementwise and len(inputs) == 1:
        wide = _while_alike(op, inputs[0], parts[0], size)
        moves = [np.where(np.asarray(np.abs(wide) > np.abs(moves[0]), bool), wide, moves[0])]
    return tuple(moves)


def _finite(x: Exact, instead: int = 0) -> Exact:
    """The numbers, but for those that are none."""
    numbers = [n if gmpy2.is_finite(n) else gmpy2.mpfr(instead) for n in x.flat]
    return exactly(np.zeros(x.shape)) if not numbers else np.array(numbers, object).reshape(x.shape)


def _while_alike(op: Op, x: Exact, part: np.ndarray, size: float) -> Exact:
    """How far numbers move to one side and leave the function's values as they are, but for their rounding."""
    y = computed(op.definition, [x], {})
    move = exactly(np.sign(part)) * np.where(
        np.asarray(np.abs(_finite(x)) < 1, bool), gmpy2.mpfr(1), np.abs(_finite(x))
    )
    far = np.ones(x.shape, bool)
    for _ in range(_HALVINGS):
        far = _exceeds(computed(op.definition, [x + move], {}) - y, y, size)
        if not far.any():
            break
        move = np.where(far, move / 2, move)
    return np.where(far, gmpy2.mpfr(0), move * exactly(np.abs(part)))


def _exceeds(moved: Exact, y: Exact, size: float) -> np.ndarray:
    """Where a value has moved by more than its rounding, or is no number."""
    return np.asarray(~np.asarray(np.abs(moved) <= np.abs(y) * size, bool), bool)


def _sides(at: Callable[[Any], Any], step: Any, program: Program) -> Slopes:
    """The slopes of a function at 0, on either side: one and the same where they differ by its bend alone."""
    here = at(0)

    def over(step: Any) -> Slopes:
        return Slopes(_difference(here, at(-step), program, step), _difference(at(step), here, program, step))

    slopes = over(step)
    if slopes.middle is None or slopes.exact is not None or not _is_a_bend(slopes, over(step * FINER)):
        return slopes
    return Slopes(slopes.middle, slopes.middle)


def _is_a_bend(slopes: Slopes, finer: Slopes) -> bool:
    """Whether slopes on the two sides differ by less over a finer step, as where a function turns; a kink's do not."""
    if finer.middle is None:
        return False
    return bool(abs(finer.left - finer.right) * 2**10 <= abs(slopes.left - slopes.right))


@lru_cache(maxsize=16)  # a case and its copies nearby, each of which is run many times over
def _operands(program: Program) -> tuple[Exact, ...]:
    """The operands of a program. Whoever wants other numbers makes a copy."""
    return tuple(exactly(o.array) for o in program.operands)


def _leaf_places(program: Program) -> list[int]:
    return [i for i, o in enumerate(program.operands) if o.kind == LEAF]


def _rounded(x: Exact, own: np.dtype[Any], dtype: np.dtype[Any]) -> Exact:
    """An operand as it is cast to the dtype of a step: a double beside singles, as Python's 0.1, is rounded by that."""
    return x if own.kind != "f" or own.itemsize <= dtype.itemsize else exactly(x.astype(float).astype(dtype))


def _difference(to: Any, start: Any, program: Program, step: Any) -> Any:
    """The difference quotient of the result, or of a slope, in the direction of the cotangent; None if not finite.

    What stays the same does not count, though it be infinite or NaN: if a slope went through it, no engine would have
    a number to compare.
    """
    if to is None or start is None:
        return None
    pairs = zip(np.ravel(to), np.ravel(start), _weights(to, program), strict=True)
    total = sum(((a - b) * c for a, b, c in pairs if _moves(a, b)), gmpy2.mpfr(0)) / step
    return total if gmpy2.is_finite(total) else None


def _moves(a: Any, b: Any) -> bool:
    return bool(a != b and not (gmpy2.is_nan(a) and gmpy2.is_nan(b)))


def _weights(of: Any, program: Program) -> list[Any]:
    """The cotangent's numbers; a slope along directions has its cotangent in it already."""
    return list(exactly(program.cotangent).reshape(-1)) if isinstance(of, np.ndarray) else [gmpy2.mpfr(1)]
