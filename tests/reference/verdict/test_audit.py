"""Audits find what both sides share: wrong values, wrong gradients, and NaN where there is a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference.engines import Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import EVERY, NO_AUDIT, Scrutiny
from reference.engines.torch import TorchEngine
from reference.mutation import Fault, every, planting
from reference.ops.source import Seeded, Unsuited, shuffled
from reference.programs import Program, parse
from reference.programs.generator import draw_program
from reference.verdict import Result, Verdict, judge

SEED = 0
SMOOTH = ("exp", "log", "sin", "cos", "square", "sqrt", "divide", "multiply", "matmul", "logsumexp", "softmax", "var")


class Copy(TorchEngine):
    """A reference that shares ndgrad's rules, and so whatever is wrong with them."""

    def run(self, program: Program, **options: Any) -> Outcome:
        del options
        return NdgradEngine().run(program)


def shared(line: str, plant: planting.Plant, scrutiny: Scrutiny = EVERY) -> Verdict:
    """Judge ndgrad with a fault that the reference shares."""
    with plant():
        return judge(parse(line), NdgradEngine(), Copy(), scrutiny=scrutiny)


def faults() -> Sequence[Fault]:
    """Choose generic faults of smooth ops by the seed: factors, signs, and lost terms of second order."""
    kinds = ("factor", "sign", "frozen")
    some = [f for f in every().values() if f.rows and f.rows[0] in SMOOTH and f.name.endswith(kinds)]
    return list(shuffled(Seeded("shared", SEED), some))[:12]


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_a_shared_fault_is_found_within_a_few_programs(fault: Fault) -> None:
    """Of the op's first programs, some are found to be wrong, though the reference agrees with each number."""
    op, results = fault.rows[0], set()
    for number in range(40):
        try:
            program = draw_program(Seeded("shared", op, number), op)
        except Unsuited:
            continue
        if program.cotangent is None:
            continue
        with fault.plant():
            results.add(judge(program, NdgradEngine(), Copy()).result)
        if Result.BOTH_WRONG in results:
            return
    pytest.fail(f"seed {SEED}: {fault.name} was not found, but only {results}")


def test_the_wrong_number_is_found_among_many() -> None:
    """Halves of the direction lead to the one number that is off."""

    def one_off(right: Any) -> Any:
        def pullback(*args: Any, **options: Any) -> Any:
            gradient = np.array(right(*args, **options))
            gradient.reshape(-1)[37] *= 1 + 1e-9
            return gradient

        return pullback

    numbers = ",".join(f"{n / 16 + 0.3}" for n in range(60))
    line = f"x=f8([{numbers}]); a=sin(x); back(a,f8([{numbers}]))"
    verdict = shared(line, planting.around("sin", 0, one_off))
    (finding,) = verdict.findings
    assert (verdict.result, finding.part, finding.place) == (Result.BOTH_WRONG, "grad[x]", (37,))
    assert finding.exact == pytest.approx(finding.got, rel=1e-8)
    assert verdict.audited == 120
    assert verdict.by_audit


def test_a_wrong_value_is_found_in_its_step() -> None:
    """A step's value is compared with the exact one at its own operands, so that the first wrong step is named."""
    line = "x=f8([0.5,2.0]); a=exp(x); b=sin(a); back(b,f8([1.0,3.0]))"
    plant = planting.forward("exp", lambda x: np.exp(x) * (1 + 1e-6))
    verdict = shared(line, plant)
    assert (verdict.result, verdict.findings[0].part) == (Result.BOTH_WRONG, "value of a")
    assert shared(line, plant, NO_AUDIT).result is Result.AGREES


def test_a_second_derivative_is_audited() -> None:
    """A pullback that cannot be differentiated gives second derivatives that both sides get wrong."""
    line = "x=f8([0.5,2.0]); a=sin(x); back(a,f8([1.0,3.0]),along=(f8([2.0,1.0]),))"
    verdict = shared(line, planting.unrecorded("sin", 0))
    assert (verdict.result, verdict.findings[0].part) == (Result.BOTH_WRONG, "second-order grad[x]")


NAN = "x=f8([0.5,2.0]); a=sin(x); back(a,f8([1.0,3.0]))"


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0])
def test_nan_infinity_and_zero_are_asked_for(wrong: float) -> None:
    """Where both sides have no number on finite operands, or 0, the witness has one."""
    verdict = shared(NAN, planting.pullback("sin", 0, lambda g, y, x: np.full_like(x, wrong)))
    assert verdict.result is Result.BOTH_WRONG
    assert verdict.findings[0].exact == pytest.approx(math.cos(0.5))


@pytest.mark.parametrize(
    ("line", "exact"),
    [
        ("x=f8([-40.0]); a=expm1(x); back(a,f8([1.0]))", 4.248354255291589e-18),
        ("x=f8([-240.0]); a=expm1(x); back(a,f8([1.0]))", 5.879282698245269e-105),
        ("x=f8([20.0]); a=tanh(x); back(a,f8([1.0]))", 1.6993417021166355e-17),
        (
            (
                "x=f8([[2.0,35.31040838550333,0.0,0.04419417382415922,2.0]]); a=log_softmax(x,axis=1); "
                "back(a,f8([[1.0,1.0,1.0,1.0,1.0]]))"
            ),
            -7.776704714853845e-15,
        ),
        ("x=f8([1e-20]); a=sigmoid(x); back(a,f8([1.0]),along=(f8([1.0]),))", -1.25e-21),
    ],
)
def test_both_sides_may_be_imprecise(line: str, exact: float) -> None:
    """Where the usual formula cancels, both sides lose all digits, and it is said, with the exact number."""
    verdict = judge(parse(line), NdgradEngine(), TorchEngine())
    assert verdict.result is Result.IMPRECISE
    assert float(verdict.findings[0].exact) == pytest.approx(exact, rel=1e-9, abs=0)
    assert not verdict.result.blames


def test_a_second_derivative_that_exists_is_not_nan() -> None:
    """Both sides give NaN for the second derivative of x**0 at 0, and the witness gives 0."""
    verdict = judge(
        parse("x=f8(0.0); n=0.0; a=power(x,n); back(a,f8(1.0),along=(f8(1.0),))"), NdgradEngine(), TorchEngine()
    )
    assert (verdict.result, float(verdict.findings[0].exact)) == (Result.BOTH_WRONG, 0.0)


@pytest.mark.parametrize("wrong", [-1e-16, 1.0])
def test_a_number_that_no_formula_gives_is_wrong(wrong: float) -> None:
    """A wrong sign is not what `y + 1` loses at -40."""
    plant = planting.pullback("expm1", 0, lambda g, y, x: np.full_like(x, wrong))
    verdict = shared("x=f8([-40.0]); a=expm1(x); back(a,f8([1.0]))", plant)
    assert verdict.result is Result.BOTH_WRONG


def test_an_audit_leaves_kinks_and_poles_alone() -> None:
    """At a kink conventions decide, and at a pole infinity times 0 is NaN for every engine."""
    for line in (
        "x=f8([0.0,2.0]); a=relu(x); back(a,f8([1.0,3.0]))",
        "x=f8([[-1.0]]); a=label_cross_entropy(x,labels=i8([0])); b=sqrt(a); back(b,f8([3.0]))",
    ):
        assert judge(parse(line), NdgradEngine(), TorchEngine()).result is Result.AGREES


def test_a_share_of_programs_is_audited() -> None:
    """The share depends on the programs alone."""
    programs = [parse(f"x=f8([{n / 8}]); a=sin(x); back(a,f8([1.0]))") for n in range(1, 161)]
    audited = [judge(p, NdgradEngine(), TorchEngine(), scrutiny=Scrutiny(audited=8)).audited > 0 for p in programs]
    assert 8 <= sum(audited) <= 40
    assert audited == [
        judge(p, NdgradEngine(), TorchEngine(), scrutiny=Scrutiny(audited=8)).audited > 0 for p in programs
    ]


def test_a_shape_that_both_sides_get_wrong_breaks_nothing() -> None:
    """What comes after it cannot be computed exactly, and is left alone."""
    wrong = planting.forward("exp", lambda x: np.exp(x)[:1])
    for line in (
        "x=f8([0.5,2.0]); a=exp(x); b=sin(a); back(b,f8([1.0]))",
        "x=f8([0.5,2.0]); y=f8([1.0,3.0]); a=exp(x); b=matmul(a,y); back(b,f8(1.0))",
    ):
        assert not shared(line, wrong).result.condemns


@pytest.mark.parametrize("change", [lambda v: v.tolist(), lambda v: v.astype(object), lambda v: v[..., None]])
def test_values_of_another_kind_are_not_audited(change: Any) -> None:
    """An engine may give lists, arrays of objects or other shapes for inner values. That is no reason to break down."""

    class Odd(NdgradEngine):
        def run(self, program: Program) -> Outcome:
            outcome = super().run(program)
            return replace(outcome, values=(change(outcome.values[0]), *outcome.values[1:]))

    line = "x=f8([0.5,2.0]); a=sin(x); b=exp(a); back(b,f8([1.0,3.0]))"
    verdict = judge(parse(line), Odd(), TorchEngine())
    assert (verdict.result, verdict.audited) == (Result.AGREES, 0)
    with planting.scaled("exp", 0, 1.5)():
        assert judge(parse(line), Odd(), TorchEngine()).result is Result.ENGINE_WRONG
