"""The derivatives that an engine with the usual formulas computes: in floats, at the same operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gmpy2
import numpy as np

from reference.engines.exact.chain import Chain
from reference.engines.exact.differences import Moves, Sides
from reference.engines.exact.engine import is_finite
from reference.engines.exact.numbers import Exact, exactly
from reference.ops import OPS
from reference.ops.dual import Dual
from reference.programs import Program, Step


class UsualChain(Chain):
    """A chain in which each step with a usual formula is differentiated by this formula, and the others exactly.

    Args:
        program: the program, with its cotangent.
        values: the values of its steps in an engine, in order.
        seed: of the cotangents for which each formula is evaluated. Another one is rounded otherwise; with 0 it is 1.
    """

    def __init__(self, program: Program, values: Sequence[np.ndarray], seed: int = 0) -> None:
        super().__init__(program, values)
        self._rng = np.random.default_rng(seed) if seed else None

    def _step_sides(self, number: int, step: Step, moves: Sequence[Sides | None]) -> Sides:
        if not self._has_formula(step):
            return super()._step_sides(number, step, moves)
        right = self._derivative(number, step, [None if m is None else m.right for m in moves])
        return Sides(right, right) if is_finite(right).all() else super()._step_sides(number, step, moves)

    def _step_moves(self, number: int, step: Step, moves: Sequence[Moves], parameters: int) -> dict[int, Exact]:
        if not self._has_formula(step) or parameters > 2:  # noqa: PLR2004 - the formulas are differentiated once
            return super()._step_moves(number, step, moves, parameters)
        keys = set().union(*moves)
        found = {k: self._derivative(number, step, [m.get(k) for m in moves]) for k in keys}
        first, second = ([m.get(k) for m in moves] for k in (1, 2))
        if any(m is not None for m in first) and any(m is not None for m in second):
            curved = self._derivative(number, step, first, along=second)
            found[3] = found[3] + curved if 3 in found else curved  # noqa: PLR2004 - both parameters
        if not all(is_finite(np.asarray(m)).all() for m in found.values()):  # the formula does not hold here
            return super()._step_moves(number, step, moves, parameters)
        return {k: np.asarray(m) for k, m in found.items() if np.any(m)}

    def _has_formula(self, step: Step) -> bool:
        return OPS[step.op].usual is not None

    def _derivative(
        self, number: int, step: Step, moves: Sequence[Exact | None], along: Sequence[Exact | None] | None = None
    ) -> Exact:
        """Return the derivative of a step's value along moves of its operands; or how that changes along others."""
        op = OPS[step.op]
        value = self._values[len(self._operands) + number]
        operands = [x.astype(value.dtype) for x in self._step_inputs(number, step)]
        y: Any = value
        if along is not None:
            moving = self._derivative(number, step, along)
            operands = [
                Dual(x, np.zeros(x.shape) if m is None else m.astype(x.dtype))
                for x, m in zip(operands, along, strict=True)
            ]
            y = Dual(y, moving.astype(value.dtype))

        def gradients(g: np.ndarray) -> list[Any]:
            with np.errstate(all="ignore"):
                found = op.usual(g, y, *operands, **step.options)  # type: ignore[misc] # it has one
            found = found if isinstance(found, tuple) else (found,)
            return [f if along is None else f.tangent for f in found]

        shape, factors = value.shape, self._factors(value)
        if op.inputs.elementwise:
            parts = gradients(factors)
            terms = [exactly(p) * m for p, m in zip(parts, moves, strict=True) if m is not None]
            return np.asarray(_sum(terms, shape) / exactly(factors))
        out = np.empty(shape, object)
        for place in np.ndindex(shape):
            g = np.zeros(shape, value.dtype)
            g[place] = factors[place]
            parts = gradients(g)
            total = sum(np.sum(exactly(p) * m) for p, m in zip(parts, moves, strict=True) if m is not None)
            out[place] = total / gmpy2.mpfr(float(factors[place]))
        return out

    def _factors(self, value: np.ndarray) -> np.ndarray:
        """Return a cotangent without zeros."""
        factors = np.ones(value.shape) if self._rng is None else self._rng.uniform(1, 2, value.shape)
        return np.asarray(factors, value.dtype)


def _sum(terms: Sequence[Exact], shape: tuple[int, ...]) -> Exact:
    total: Any = exactly(np.zeros(shape))
    for term in terms:
        total = total + term
    return np.asarray(total)
