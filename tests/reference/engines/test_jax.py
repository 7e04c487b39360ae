"""JAX as a reference: double precision, small numbers flushed to 0, few shapes; it bears ndgrad out, op by op."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("jax", reason="jax is not installed: pip install 'ndgrad[compare]'")

from reference import __main__ as command_line
from reference.engines.jax import JaxEngine
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References, make_engine
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from reference.programs import parse
from reference.programs.generator import draw_program
from reference.verdict import Result, judge

JAX, NDGRAD = JaxEngine(), NdgradEngine()
DECIDED = 2  # programs for each op: each shape that JAX has not met yet costs a compilation
DRAWN = 8  # at most, for beside infinities much is left open


def test_it_knows_all_ops() -> None:
    """By their names, or by a line of its table."""
    assert isinstance(make_engine("jax"), JaxEngine)
    assert JAX.name.startswith("JAX ")
    assert set(JAX.ops) == set(OPS)
    assert References([make_engine("torch"), JAX]).few_shapes


@pytest.mark.parametrize("op", OPS)
def test_an_op_agrees_with_jax(op: str) -> None:
    """It is never wrong, and of some programs that is certain. They are of few steps and shapes."""
    decided = number = 0
    while decided < DECIDED:
        assert number < DRAWN
        try:
            program = draw_program(Seeded("jax", op, number), op, few_shapes=True)
        except Unsuited:
            continue
        finally:
            number += 1
        verdict = judge(program, NDGRAD, JAX)
        assert not verdict.result.blames, (verdict, str(program))
        decided += verdict.result is not Result.INCONCLUSIVE


def test_double_precision_to_second_order() -> None:
    """JAX computes in singles by default. The gradient and its own gradient are good to the last digits of doubles."""
    outcome = JAX.run(parse("x=f8(0.5); a=exp(x); back(a,f8(1.0),along=(f8(2.0),))"))
    assert outcome.error is None
    assert outcome.gradients[0].dtype == np.float64
    assert outcome.gradients[0] == pytest.approx(math.exp(0.5), rel=1e-15)
    assert outcome.second[0] == pytest.approx(2 * math.exp(0.5), rel=1e-15)


def test_what_is_tiny_it_takes_for_0() -> None:
    """Below the smallest normal number it knows none, and says so; ndgrad's gradient there is right."""
    assert not JAX.abilities.subnormal
    program = parse("x=f8(2e-308); y=f8(0.1); a=multiply(x,y); back(a,f8(1.0))")
    assert JAX.run(program).values[-1] == 0
    assert judge(program, NDGRAD, JAX).result in (Result.AGREES, Result.CONDITIONED, Result.REFERENCE_WRONG)


@pytest.mark.parametrize(
    "line",
    [
        "x=f8([1.0,2.0]); a=getitem(x,index=(2,))",
        "x=f8([1.0,2.0]); a=getitem(x,index=(i8([0,-3]),))",
        "x=f8([1.0]); a=scatter(x,index=(i8([2]),),shape=(2,))",
        "x=f8([[1.0,2.0]]); a=label_cross_entropy(x,labels=i8([2]))",
    ],
)
def test_what_lies_outside_is_refused(line: str) -> None:
    """JAX itself clips an index; as a reference it refuses what NumPy does."""
    assert JAX.run(parse(line)).error is not None


def test_a_wrong_gradient_is_seen_by_jax_alone() -> None:
    """A pullback that is off is blamed, with the exact number."""
    from ndgrad.rules import RULES, Rule  # noqa: PLC0415 - the table is changed in a copy

    halved = NdgradEngine({**RULES, "tanh": Rule(RULES["tanh"].forward, lambda g, y, x: g * (1 - y * y) / 2)})
    verdict = judge(parse("x=f8([0.5,1.0]); a=tanh(x); back(a,f8([1.0,2.0]))"), halved, JAX)
    assert verdict.result is Result.ENGINE_WRONG
    assert verdict.findings[0].exact == pytest.approx(1 - math.tanh(0.5) ** 2)


def test_a_case_is_run_again_against_jax(capsys: pytest.CaptureFixture[str]) -> None:
    """`repro --against jax` makes it."""
    assert command_line.main(["repro", "--against", "jax", "x=f8([0.5,1.0]); a=tanh(x); back(a,f8([1.0,2.0]))"]) == 0
    assert "JAX" in capsys.readouterr().out
