"""Audits of agreement: an engine's numbers beside the exact ones, though the reference agrees with them.

Two sides may share a fault. An audit takes each step's value beside the exact value at the engine's operands, and the
gradients beside exact derivatives along directions, step by step at the engine's values: a few forward computations
for all numbers of a program. Where a derivative is off, halves of the direction lead to the number. The judges of
numbers decide on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import gmpy2
import numpy as np

from reference.engines.exact import Unknown
from reference.engines.exact.numbers import precisely
from reference.ops import OPS
from reference.verdict.findings import SECOND_ORDER
from reference.verdict.rounding import AT_ONCE, MARGIN

if TYPE_CHECKING:
    from reference.engines import Outcome
    from reference.programs import Program
    from reference.verdict.truth import Place, Truth

# Directions are longer for smaller numbers, so that all count alike; but a number below this part of the largest one
# may be nothing but rounding, and must hide no other.
SMALL = 2.0**-26
SUSPECTS = 1  # numbers of a gradient to which a derivative that is off leads
NONFINITE = 4  # numbers of a gradient that are not finite, though all operands and values are

Number = tuple[int, "Place"]  # the index of the leaf, and the place in its gradient


class Suspect(NamedTuple):
    """A number of a gradient that an exact one contradicts.

    Args:
        part: the gradient's name.
        place: the number's index.
    """

    part: str
    place: Place


class Audit:
    """The audit of a program in an engine.

    Args:
        program: the case.
        outcome: the engine's outcome.
        truth: the exact numbers at the engine's values.

    Attributes:
        numbers: how many numbers were audited.
    """

    def __init__(self, program: Program, outcome: Outcome, truth: Truth) -> None:
        self._program = program
        self._outcome = outcome
        self._truth = truth
        self.numbers = sum(value.size for value in outcome.values)
        self._every = [(i, place) for i, leaf in enumerate(program.leaves) for place in np.ndindex(leaf.data.shape)]

    def suspects(self) -> Iterator[Suspect]:
        """Give numbers of gradients that are off. The judges of numbers must decide on them."""
        if not all(bool(np.isfinite(array).all()) for array in self._arrays()):
            return
        yield from self._of_gradients("", self._outcome.gradients, second=False)
        if self._program.directions and self._outcome.second:
            yield from self._of_gradients(f"{SECOND_ORDER} ", self._outcome.second, second=True)

    def _arrays(self) -> Iterator[Any]:
        program = self._program
        yield from (o.data for o in program.operands)
        yield from self._outcome.values
        yield from (program.cotangent, *program.directions)

    def _of_gradients(self, prefix: str, gradients: Sequence[Any], *, second: bool) -> Iterator[Suspect]:
        arrays = [_array(g, leaf.data) for g, leaf in zip(gradients, self._program.leaves, strict=False)]
        if len(arrays) < len(self._program.leaves):
            return
        names = [f"{prefix}grad[{leaf.name}]" for leaf in self._program.leaves]
        infinite = [n for n in self._every if not np.isfinite(arrays[n[0]][n[1]])]
        for leaf, place in [] if self._truth.has_pole else infinite[:NONFINITE]:
            self.numbers += 1
            if self._truth.slopes(names[leaf], place).exact is not None:
                yield Suspect(names[leaf], place)
        if self._is_at_kink:
            return
        finite = [n for n in self._every if np.isfinite(arrays[n[0]][n[1]])]
        largest = max((abs(float(arrays[i][place])) for i, place in finite), default=0.0)
        zeros = [n for n in finite if not arrays[n[0]][n[1]]]
        others = [n for n in finite if arrays[n[0]][n[1]]]
        for numbers, weight in ((others, lambda g: 1 / max(abs(g), SMALL * largest)), (zeros, lambda _: 1.0)):
            try:
                off = list(self._off(numbers, arrays, weight, second=second))
            except (Unknown, OverflowError):
                continue
            self.numbers += len(numbers)
            yield from (Suspect(names[leaf], place) for leaf, place in off)

    @property
    def _is_at_kink(self) -> bool:
        """Whether a step is at a kink, where conventions and not derivatives decide."""
        values = [*(np.asarray(o.array) for o in self._program.operands), *self._outcome.values]
        for step in self._program.steps:
            kink = OPS[step.op].kink
            with np.errstate(all="ignore"):
                if kink and np.any(kink.at(*(values[i] for i in step.inputs), **step.options)):
                    return True
        return False

    def _off(
        self,
        numbers: Sequence[Number],
        arrays: Sequence[np.ndarray],
        weight: Callable[[float], float],
        *,
        second: bool,
    ) -> Iterator[Number]:
        """Search the numbers that are off, by halves."""
        signs = np.random.default_rng(len(numbers)).choice([-1.0, 1.0], len(numbers))
        steps = {n: s * weight(float(arrays[n[0]][n[1]])) for n, s in zip(numbers, signs, strict=True)}
        halves, found = [list(numbers)], 0
        while halves and found < SUSPECTS:
            some = halves.pop()
            if not some or self._agree({n: steps[n] for n in some}, arrays, second=second):
                continue
            if len(some) == 1:
                found += 1
                yield some[0]
            else:
                halves += [some[len(some) // 2 :], some[: len(some) // 2]]

    def _agree(self, steps: dict[Number, float], arrays: Sequence[np.ndarray], *, second: bool) -> bool:
        """Whether gradients along a direction are the exact derivative, up to rounding."""
        direction = [np.zeros(leaf.data.shape) for leaf in self._program.leaves]
        for (leaf, place), step in steps.items():
            direction[leaf][place] = step
        if not all(np.isfinite(d).all() for d in direction):
            raise OverflowError
        low, high = bounds = self._truth.bounds(direction, second=second)
        with precisely():
            terms = [gmpy2.mpfr(float(arrays[i][place])) * gmpy2.mpfr(step) for (i, place), step in steps.items()]
            got, size = sum(terms, gmpy2.mpfr(0)), sum(map(abs, terms), gmpy2.mpfr(0))
            off = max(low - got, got - high)
            little = AT_ONCE * (self._truth.unit * size + self._truth.least * max(map(abs, steps.values())))
            if off <= little:
                return True
            finer = self._truth.bounds(direction, second=second, finer=True)
            little += 2 * max(abs(a - b) for a, b in zip(bounds, finer, strict=True))  # the error of the difference
            off = max(finer[0] - got, got - finer[1])
            moved = 0.0 if off <= little else self._truth.moved_bounds(direction, bounds, second=second)
            return bool(off <= little + MARGIN * moved)


def _array(gradient: Any, like: np.ndarray) -> np.ndarray:
    """Return a gradient; zeros if there is none. A misshapen one is not audited."""
    if gradient is None:
        return np.zeros(like.shape)
    return (
        gradient if isinstance(gradient, np.ndarray) and gradient.shape == like.shape else np.full(like.shape, np.nan)
    )
