"""Exact numbers: programs run forward with 120 digits or more, and are differentiated by central differences.

It contains no gradient rule, so it cannot share a bug with the engines that are compared. It is slow, some milliseconds
per number, and is asked only if two engines disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import gmpy2
import numpy as np

from reference.engines.exact.numbers import PRECISION, Exact, computed, exactly, precisely
from reference.ops import OPS, Op, promoted
from reference.programs import LEAF, NUMBER, Program

# The relative step of a difference quotient has a fifth of the bits, 2**-84 for 400: the error of curvature is its
# square, and that of rounding has four fifths.
STEP = 84 / PRECISION
NEAR_0 = gmpy2.mpfr(2) ** -100  # smaller operands move by an absolute 2**-184, which 120 digits resolve
_HALVINGS = 60  # of a move, until it is far below a rounding
FINER = gmpy2.mpfr(2) ** -20  # the ratio of a second, finer step, which tells a kink from curvature


@dataclass(frozen=True)
class Jitter:
    """Moves each operand as it is used, by a relative and an absolute amount.

    Args:
        seed: the seed of the random factors between -1 and 1 of both amounts.
        relative: the largest relative move.
        absolute: the largest absolute move, which also moves a 0.
        rounding: whether an operand may also move as far as the result stays the same up to rounding. Where a function
            is flat, distant operands have the same rounded result, and a formula that reads it, such as 1 - tanh²,
            cannot distinguish them.
    """

    seed: int
    relative: Any  # a float, or an mpfr where it is smaller than any
    absolute: float = 0.0
    rounding: bool = False

    def moves(self) -> Callable[[Exact], Exact]:
        """Return a function that moves one array after the other."""
        rng = np.random.default_rng(self.seed)

        def moved(x: Exact) -> Exact:
            by, plus = rng.uniform(-1, 1, (2, *x.shape))
            return x * (1 + exactly(by) * self.relative) + exactly(plus * self.absolute)

        return moved


@dataclass(frozen=True)
class Slopes:
    """The slopes on both sides of a number. They differ at a kink, and are None if they are not finite.

    Args:
        left: the slope towards smaller numbers.
        right: the slope towards larger numbers.
        bound: an estimate of the error of both; None if nobody has estimated it.
        scale: the size of the cotangent. Differences far below it count as 0.
    """

    left: Any
    right: Any
    bound: Any = None
    scale: Any = 1

    @classmethod
    def of_value(cls, number: Any) -> Slopes:
        """Return a value in place of both slopes; None if it is not finite."""
        return cls(number, number) if gmpy2.is_finite(number) else cls(None, None)

    @property
    def middle(self) -> Any:
        """The mean of both; without a kink, its error is the square of the step. None if unknown."""
        if self.left is None or self.right is None:
            return None
        with precisely():
            return (self.left + self.right) / 2

    @property
    def exact(self) -> Any:
        """The single slope; None at a kink and if unknown."""
        middle = self.middle
        if middle is None:
            return None
        # Curvature over a step makes a difference of some 1e-25 at most.
        return middle if _alike(self.left, self.right, middle, self.scale) else None

    def is_like(self, other: Slopes) -> bool:
        """Whether the means are the same up to the error of a step."""
        return other.middle is not None and _alike(self.middle, other.middle, self.middle, self.scale)


def _alike(a: Any, b: Any, size: Any, scale: Any) -> bool:
    """Whether two slopes of this size are the same up to the error of a step."""
    return bool(abs(a - b) <= gmpy2.mpfr(1e-15) * abs(size) + gmpy2.mpfr(1e-40) * scale)


class ExactEngine:
    """Programs in many digits, by the definitions of the op table. It computes one number at a time.

    Args:
        bits: the number of bits of each number.
        near_0: operands smaller than this number move as far as it does.
    """

    def __init__(self, bits: int = PRECISION, near_0: Any = NEAR_0) -> None:
        self.bits = bits
        self._step = gmpy2.mpfr(2) ** -round(STEP * bits)
        self._near_0 = near_0

    def values(
        self, program: Program, leaves: Mapping[int, Exact] | None = None, jitter: Jitter | None = None
    ) -> list[Exact]:
        """Compute the value of each step.

        Args:
            program: the program.
            leaves: other numbers for some leaves, by their index among the operands.
            jitter: moves each operand as it is used.
        """
        moved = jitter.moves() if jitter and not jitter.rounding else lambda x: x
        weak = [o.kind == NUMBER for o in program.operands]
        dtypes = [np.asarray(o.array).dtype for o in program.operands]
        with precisely(self.bits):
            values = list(_operands(program))
            for place, numbers in (leaves or {}).items():
                values[place] = np.asarray(numbers)
            displacements = _displacements(program, jitter) if jitter and jitter.rounding else ()
            for step in program.steps:
                dtype = promoted([np.empty(0, dtypes[i]) for i in step.inputs if not (i < len(weak) and weak[i])])
                inputs = [np.asarray(moved(cast(values[i], dtypes[i], dtype))) for i in step.inputs]
                if displacements:
                    displaced = zip(inputs, displacements[len(values) - len(weak)], strict=True)
                    inputs = [np.asarray(x + by) for x, by in displaced]
                values.append(computed(OPS[step.op].definition, inputs, step.options))
                dtypes.append(np.dtype(step.options.get("dtype", dtype)))
        return values[len(weak) :]

    def value(self, program: Program, place: tuple[int, ...], jitter: Jitter | None = None) -> Any:
        """Compute one number of the result."""
        return self.values(program, jitter=jitter)[-1][place]

    def slopes(self, program: Program, leaf: int, place: tuple[int, ...], jitter: Jitter | None = None) -> Slopes:
        """Compute one number of a leaf's gradient, on both sides.

        Args:
            program: the program, with its cotangent.
            leaf: the index of the leaf among the leaves.
            place: the index of the number.
            jitter: moves each operand as it is used.
        """
        moved = _with_moved_ends(program, jitter)
        return self._slopes(moved, leaf, place, lambda leaves: self._result(program, leaves, jitter), self._step)

    def second_slopes(
        self, program: Program, leaf: int, place: tuple[int, ...], jitter: Jitter | None = None
    ) -> Slopes:
        """Compute one number of a second-order gradient: the slope of the slope along the program's directions."""
        steps = (self._step, self._step * FINER)
        slopes, finer = (self._second_slopes(program, leaf, place, step, jitter) for step in steps)
        grows = slopes.exact is not None and not slopes.is_like(finer)  # with finer steps: at a kink
        return Slopes(None, None) if grows else slopes

    def _second_slopes(
        self, program: Program, leaf: int, place: tuple[int, ...], step: Any, jitter: Jitter | None
    ) -> Slopes:
        moved = _with_moved_ends(program, jitter)
        with precisely(self.bits):
            by = step * self._reach(moved)

        def slope_along(leaves: dict[int, Exact]) -> Any:
            ahead, behind = (self._result(program, _moved_along(moved, side * by, leaves), jitter) for side in (1, -1))
            return _difference(ahead, behind, moved, 2 * by)

        return self._slopes(program, leaf, place, slope_along, step)

    def _reach(self, program: Program) -> Any:
        """Return how far along its directions a program goes until a number has moved by its own size; at most 1."""
        reach = gmpy2.mpfr(1)
        for operand, direction in zip(program.leaves, program.directions, strict=True):
            for x, d in zip(exactly(operand.array).flat, exactly(direction).flat, strict=True):
                if x and d and gmpy2.is_finite(x):
                    reach = min(reach, max(abs(x), self._near_0) / abs(d))
        return reach

    def value_noise(self, program: Program, place: tuple[int, ...]) -> Any:
        """Estimate the rounding error of one number of the result."""
        with precisely(self.bits):
            return self._rounding(program, {})[place]

    def noise(self, program: Program, leaf: int, place: tuple[int, ...], order: int = 1) -> Any:
        """Estimate the rounding error of a slope.

        If an operand is much smaller than what is added to it, its move is lost in all digits, which looks like a slope
        of 0. The estimate is how far the result itself moves when each operand and result moves by a rounding.

        Args:
            program: the program, with its cotangent.
            leaf: the index of the leaf among the leaves.
            place: the index of the number.
            order: of the slope.
        """
        with precisely(self.bits):
            step = self._absolute_step(_operands(program)[_leaf_places(program)[leaf]][place], self._step)
            leaves: dict[int, Exact] = {}
            if order > 1:
                by = self._step * self._reach(program)
                leaves, step = _moved_along(program, by), step * by
            moves = np.ravel(self._rounding(program, leaves))
            weights = exactly(program.cotangent).reshape(-1)
            return sum((move * abs(c) for move, c in zip(moves, weights, strict=True)), gmpy2.mpfr(0)) / step

    def _rounding(self, program: Program, leaves: dict[int, Exact]) -> np.ndarray:
        """Estimate the rounding error of each number of the result: how far it moves when all numbers move.

        A number that does not move in proportion is at a jump, such as 1 to an infinite power. Slopes show that by
        themselves, so it counts as 0, and so does a number that is not finite.
        """
        unit = gmpy2.mpfr(2) ** (3 - self.bits)
        here = np.asarray(self._result(program, leaves, None))
        moved, further = (
            np.ravel(self._result(program, leaves, Jitter(0, by))) * (1 + by) for by in (unit, unit * 1024)
        )
        errors = np.empty(here.size, object)
        for i, (x, a, b) in enumerate(zip(here.reshape(-1), moved, further, strict=True)):
            is_proportional = gmpy2.is_finite(b - x) and 32 * abs(a - x) <= abs(b - x)
            errors[i] = abs(a - x) if is_proportional else gmpy2.mpfr(0)
        return errors.reshape(here.shape)

    def _absolute_step(self, x: Any, relative: Any) -> Any:
        return relative * max(abs(x), self._near_0) if x else relative

    def _result(self, program: Program, leaves: dict[int, Exact], jitter: Jitter | None) -> Exact:
        return self.values(program, leaves, jitter)[-1]

    def _slopes(
        self,
        program: Program,
        leaf: int,
        place: tuple[int, ...],
        function: Callable[[dict[int, Exact]], Any],
        relative: Any,
    ) -> Slopes:
        operand = _leaf_places(program)[leaf]
        with precisely(self.bits):
            x = _operands(program)[operand]
            step = self._absolute_step(x[place], relative)

            def at(by: Any) -> Any:
                nudged = x.copy()
                nudged[place] = nudged[place] + by
                return function({operand: nudged})

            return _sides(at, step, program)


def _moved_along(program: Program, by: Any, leaves: Mapping[int, Exact] = MappingProxyType({})) -> dict[int, Exact]:
    """Return the numbers of all leaves, moved along the program's directions from some other numbers or their own."""
    places = zip(_leaf_places(program), program.directions, strict=True)
    return {i: leaves.get(i, _operands(program)[i]) + by * exactly(direction) for i, direction in places}


def _with_moved_ends(program: Program, jitter: Jitter | None) -> Program:
    """Move a program's cotangent and directions by a rounding, too: they are operands of the backward pass.

    Its sums, such as those over broadcast axes, lose digits of them.
    """
    if jitter is None or not jitter.rounding:
        return program
    moved = jitter.moves()
    with precisely():
        cotangent, *directions = (moved(exactly(x)) for x in (program.cotangent, *program.directions))
    return replace(program, cotangent=cotangent, directions=tuple(directions))


@lru_cache(maxsize=32)  # each jitter of a case runs many times
def _displacements(program: Program, jitter: Jitter) -> tuple[tuple[Exact, ...], ...]:
    """Return how far each operand of each step moves: by a relative amount, or while its result rounds the same."""
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
        wide = _flat_move(op, inputs[0], parts[0], size)
        moves = [np.where(np.asarray(np.abs(wide) > np.abs(moves[0]), bool), wide, moves[0])]
    return tuple(moves)


def _finite(x: Exact, instead: int = 0) -> Exact:
    """Replace numbers that are not finite."""
    numbers = [n if gmpy2.is_finite(n) else gmpy2.mpfr(instead) for n in x.flat]
    return exactly(np.zeros(x.shape)) if not numbers else np.array(numbers, object).reshape(x.shape)


def _flat_move(op: Op, x: Exact, part: np.ndarray, size: float) -> Exact:
    """Return how far numbers can move to one side while the function's values stay the same up to rounding."""
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
    """Return a mask of values that moved by more than a rounding, or are NaN."""
    return np.asarray(~np.asarray(np.abs(moved) <= np.abs(y) * size, bool), bool)


def _sides(at: Callable[[Any], Any], step: Any, program: Program) -> Slopes:
    """Return the slopes of a function at 0 on both sides; a single slope if they differ only by curvature."""
    here, scale = at(0), _scale(program)

    def over(step: Any) -> Slopes:
        left, right = _difference(here, at(-step), program, step), _difference(at(step), here, program, step)
        return Slopes(left, right, scale=scale)

    slopes = over(step)
    if slopes.middle is None or slopes.exact is not None or not _is_curvature(slopes, over(step * FINER)):
        return slopes
    return Slopes(slopes.middle, slopes.middle, scale=scale)


@lru_cache(maxsize=16)
def _scale(program: Program) -> Any:
    """Return the size of the cotangent, up to 1."""
    sizes = [abs(c) for c in exactly(program.cotangent).flat if c and gmpy2.is_finite(c)]
    return min([gmpy2.mpfr(1), max(sizes, default=gmpy2.mpfr(1))])


def _is_curvature(slopes: Slopes, finer: Slopes) -> bool:
    """Whether the slopes on the two sides differ by less over a finer step. At a kink they do not."""
    if finer.middle is None:
        return False
    return bool(abs(finer.left - finer.right) * 2**10 <= abs(slopes.left - slopes.right))


@lru_cache(maxsize=16)  # a case and its nearby copies run many times
def _operands(program: Program) -> tuple[Exact, ...]:
    """Return the operands of a program. They are cached, so callers must not write into them."""
    return tuple(exactly(o.array) for o in program.operands)


def _leaf_places(program: Program) -> list[int]:
    return [i for i, o in enumerate(program.operands) if o.kind == LEAF]


def cast(x: Exact, own: np.dtype[Any], dtype: np.dtype[Any]) -> Exact:
    """Cast an operand to the dtype of a step: a double beside singles, such as Python's 0.1, is rounded."""
    return x if own.kind != "f" or own.itemsize <= dtype.itemsize else exactly(x.astype(float).astype(dtype))


def _difference(to: Any, start: Any, program: Program, step: Any) -> Any:
    """Return the difference quotient of the result times the cotangent, or of a slope; None if it is not finite.

    Numbers that stay the same are left out, also infinite ones and NaN: if a slope depended on these, no engine would
    have a number to compare.
    """
    if to is None or start is None:
        return None
    pairs = zip(np.ravel(to), np.ravel(start), _weights(to, program), strict=True)
    total = sum(((a - b) * c for a, b, c in pairs if _moves(a, b)), gmpy2.mpfr(0)) / step
    return total if gmpy2.is_finite(total) else None


def _moves(a: Any, b: Any) -> bool:
    return bool(a != b and not (gmpy2.is_nan(a) and gmpy2.is_nan(b)))


def _weights(of: Any, program: Program) -> list[Any]:
    """Return the cotangent's numbers; 1 for a slope along directions, which contains the cotangent already."""
    return list(exactly(program.cotangent).reshape(-1)) if isinstance(of, np.ndarray) else [gmpy2.mpfr(1)]
