"""The backward pass in small steps gives the same results as the engine's, so only an override is a fault."""

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
    """Draw some programs of an op."""
    for number in range(8):
        try:
            yield draw_program(Seeded("stepwise", op, number), op)
        except Unsuited:
            continue


def outcome(program: Program) -> list[Any]:
    """Return the bits of the engine's results for a program."""
    result = NdgradEngine().run(program)
    arrays = [*result.values, *result.gradients, *result.second, *result.twice, *result.inner]
    return [repr(result.error), *(x if x is None else (x.dtype, x.shape, x.tobytes()) for x in map(array, arrays))]


def array(x: Any) -> Any:
    """Convert to an array; None stays None."""
    return None if x is None else np.asarray(x)


@pytest.mark.parametrize("op", OPS)
def test_programs_have_the_same_gradients(op: str) -> None:
    """Gradients of first and second order, of leaves and inner nodes, and of a second pass are the same."""
    for program in programs(op):
        right = outcome(program)
        with backward_pass(Pass)():
            assert outcome(program) == right


def test_sessions_find_nothing() -> None:
    """Sessions with this pass find nothing wrong."""
    with backward_pass(Pass)():
        records = [run_session(Seeded("stepwise", number), *BOTH) for number in range(60)]
    assert [record.text for record in records if record.findings] == []


def test_a_lean_graph_has_no_inner_gradients() -> None:
    """In a lean graph the pass stores gradients only in leaves, as the engine's own pass does."""
    x = Value([1.0, 2.0])
    with lean():
        y = x * x
        z = y.sum()
    with backward_pass(Pass)():
        z.backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert not y.has_grad
