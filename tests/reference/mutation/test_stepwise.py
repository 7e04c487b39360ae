"""The backward pass in small steps computes what the engine's does: a fault is what it overrides, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ndgrad import Value, lean
from reference.checks.sessions import run_session
from reference.engines.ndgrad import NdgradEngine
from reference.mutation.stepwise import Pass, backward_pass
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from reference.programs import Program
from reference.programs.generator import draw_program
from tests.reference.both import BOTH


def programs(op: str) -> Iterator[Program]:
    """Some programs of an op."""
    for number in range(8):
        try:
            yield draw_program(Seeded("stepwise", op, number), op)
        except Unsuited:
            continue


def outcome(program: Program) -> list[Any]:
    """All that the engine makes of a program, to the bit."""
    made = NdgradEngine().run(program)
    arrays = [*made.values, *made.gradients, *made.second, *made.twice, *made.inner]
    return [repr(made.error), *(x if x is None else (x.dtype, x.shape, x.tobytes()) for x in map(array, arrays))]


def array(x: Any) -> Any:
    """An array, if there is one."""
    return None if x is None else np.asarray(x)


@pytest.mark.parametrize("op", OPS)
def test_programs_have_the_same_gradients(op: str) -> None:
    """Of first and second order, of leaves and of what is between, and those of a second pass."""
    for program in programs(op):
        right = outcome(program)
        with backward_pass(Pass)():
            assert outcome(program) == right


def test_sessions_find_nothing() -> None:
    """No law is broken by it."""
    with backward_pass(Pass)():
        records = [run_session(Seeded("stepwise", number), *BOTH) for number in range(60)]
    assert [record.text for record in records if record.findings] == []


def test_a_lean_graph_has_no_inner_gradients() -> None:
    """As the engine's own pass, it gives the leaves theirs alone."""
    x = Value([1.0, 2.0])
    with lean():
        y = x * x
        z = y.sum()
    with backward_pass(Pass)():
        z.backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert not y.has_grad
