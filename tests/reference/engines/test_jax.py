"""JAX as a reference agrees with ndgrad for each op, in double precision, without subnormal numbers, on few shapes."""

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
DECIDED = 2  # programs for each op: each new shape costs a compilation
MOST = 8  # draws for these, for many verdicts beside infinities are inconclusive


def test_it_has_all_ops() -> None:
    """Each op is found by its name, or has a line in the table."""
    assert isinstance(make_engine("jax"), JaxEngine)
    assert JAX.name.startswith("JAX ")
    assert set(JAX.ops) == set(OPS)
    assert References([make_engine("torch"), JAX]).few_shapes


@pytest.mark.parametrize("op", OPS)
def test_an_op_agrees_with_jax(op: str) -> None:
    """ndgrad is never blamed, and some programs are decided. They have few steps and shapes."""
    decided = number = 0
    while decided < DECIDED:
        assert number < MOST
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
    """JAX's default is single precision, but gradients of both orders here have double precision."""
    outcome = JAX.run(parse("x=f8(0.5); a=exp(x); back(a,f8(1.0),along=(f8(2.0),))"))
    assert outcome.error is None
    assert outcome.gradients[0].dtype == np.float64
    assert outcome.gradients[0] == pytest.approx(math.exp(0.5), rel=1e-15)
    assert outcome.second[0] == pytest.approx(2 * math.exp(0.5), rel=1e-15)


def test_subnormal_numbers_are_0() -> None:
    """JAX replaces subnormal numbers by 0 and declares it, so ndgrad is not blamed."""
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
def test_an_index_out_of_bounds_is_refused(line: str) -> None:
    """JAX itself clips an index; as a reference it refuses what NumPy refuses."""
    assert JAX.run(parse(line)).error is not None


def test_jax_alone_finds_a_wrong_gradient() -> None:
    """A wrong pullback is found, with the exact number."""
    from ndgrad.rules import RULES, Rule  # noqa: PLC0415 - the table is changed in a copy

    halved = NdgradEngine({**RULES, "tanh": Rule(RULES["tanh"].forward, lambda g, y, x: g * (1 - y * y) / 2)})
    verdict = judge(parse("x=f8([0.5,1.0]); a=tanh(x); back(a,f8([1.0,2.0]))"), halved, JAX)
    assert verdict.result is Result.ENGINE_WRONG
    assert verdict.findings[0].exact == pytest.approx(1 - math.tanh(0.5) ** 2)


def test_a_case_is_run_again_against_jax(capsys: pytest.CaptureFixture[str]) -> None:
    """`repro --against jax` makes JAX the reference."""
    assert command_line.main(["repro", "--against", "jax", "x=f8([0.5,1.0]); a=tanh(x); back(a,f8([1.0,2.0]))"]) == 0
    assert "JAX" in capsys.readouterr().out
