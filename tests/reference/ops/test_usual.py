"""The usual formulas are gradients, and their derivatives are second-order gradients, where nothing cancels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.engines.exact import Chain, UsualChain
from reference.engines.exact.differences import Unknown
from reference.engines.ndgrad import NdgradEngine
from reference.ops import OPS
from reference.ops.dual import Dual
from reference.ops.source import Seeded, Unsuited
from reference.programs import Program
from reference.programs.generator import draw_program
from reference.verdict.steps import steps_alone

USUAL = [name for name, op in OPS.items() if op.usual]


def programs(op: str, number: int) -> list[Program]:
    """Draw an op's steps of second-order programs in double precision, each as a program of its own."""
    found: list[Program] = []
    for i in range(1_000):
        try:
            program = draw_program(Seeded("usual", op, i), op)
        except Unsuited:
            continue
        if program.directions:
            found += [alone for _, alone in steps_alone(program, NdgradEngine().run(program)) if is_double(alone, op)]
        if len(found) >= number:
            break
    return found


def is_double(program: Program, op: str) -> bool:
    """Whether a step is of an op, and on ordinary numbers in double precision."""
    arrays = [o.data for o in program.operands]
    ordinary = all(x.dtype == np.float64 and (abs(x) < 20).all() for x in arrays)
    return program.steps[0].op == op and ordinary and any(x.size for x in arrays)


@pytest.mark.parametrize("op", USUAL)
def test_a_usual_formula_is_the_gradient(op: str) -> None:
    """Along a random direction, and along the program's directions after that, it is the exact derivative."""
    seen = 0
    for program in programs(op, 12):
        values = NdgradEngine().run(program).values
        direction = [np.random.default_rng(0).uniform(-1, 1, o.data.shape) for o in program.leaves]
        exact, usual = Chain(program, values), UsualChain(program, values, 1)
        try:
            pairs = [
                (exact.sides(direction).right, usual.sides(direction).right),
                (exact.mixed(direction, program.directions), usual.mixed(direction, program.directions)),
            ]
        except Unknown:
            continue
        for wanted, got in pairs:
            assert float(got) == pytest.approx(float(wanted), rel=1e-6, abs=1e-9), str(program)
            seen += float(wanted) != 0
    assert seen >= 4


def test_dual_numbers_know_what_the_formulas_need() -> None:
    """Arithmetic, exponentials and linear functions are supported, and others are refused."""
    x = Dual(np.array([1.0, 2.0]), np.array([1.0, 0.5]))
    y = np.exp(-x) * x / (x + 1) - np.exp2(x)
    at = np.array([1.0, 2.0])
    slope = -np.exp(-at) * at / (at + 1) + np.exp(-at) / (at + 1) ** 2 - np.exp2(at) * np.log(2)
    assert np.allclose(y.tangent, slope * [1.0, 0.5])
    assert np.sum(y).tangent == pytest.approx(np.sum(y.tangent))
    assert (np.shape(y), np.ndim(y), y.shape, y.ndim) == ((2,), 1, (2,), 1)
    unsupported: tuple[Any, ...] = (np.sin, np.cumsum)
    for function in unsupported:
        with pytest.raises(TypeError):
            function(x)
