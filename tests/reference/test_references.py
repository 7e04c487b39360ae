"""Several references: each judges the programs that it supports, and if they disagree, the witness decides."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ndgrad.rules import RULES, Rule
from reference.campaign import PROFILES, Profile
from reference.engines import Abilities, Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import REFERENCES, References, make_engine
from reference.engines.torch import TorchEngine
from reference.programs import Program, parse
from reference.verdict import Kind, Result, judge, judge_by_all

pytest.importorskip("autograd", reason="autograd is not installed: pip install 'ndgrad[compare]'")

from reference import __main__ as command_line
from reference.engines.autograd import AutogradEngine

NDGRAD, TORCH, AUTOGRAD = NdgradEngine(), TorchEngine(), AutogradEngine()


def wrong(op: str, *pullbacks: Any) -> NdgradEngine:
    """Make ndgrad with other pullbacks for an op."""
    return NdgradEngine({**RULES, op: Rule(RULES[op].forward, *pullbacks)})


class Weak(TorchEngine):
    """PyTorch without its abilities."""

    abilities = Abilities(second_order=True)


class Off(Weak):
    """A reference whose gradients are wrong on purpose."""

    name = "Off 1"

    def run(self, program: Program, **options: Any) -> Outcome:
        outcome = super().run(program, **options)
        return replace(outcome, gradients=tuple(g * 1.5 for g in outcome.gradients))


# One reference.


def test_a_reference_has_a_name() -> None:
    """A reference can be made by its name."""
    assert isinstance(make_engine("torch"), TorchEngine)
    assert isinstance(make_engine("autograd"), AutogradEngine)
    assert list(REFERENCES)[:2] == ["torch", "autograd"]
    assert AUTOGRAD.name.startswith("autograd ")
    assert "scatter" not in AUTOGRAD.ops


@pytest.mark.parametrize("reference", [AUTOGRAD, Weak()], ids=["autograd", "weak"])
@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("x=f8([0.5,-1.0]); a=tanh(x); back(a,f8([1.0,3.0]))", Result.AGREES),
        ("x=f8([9.0,-8.5]); a=tanh(x); back(a,f8([2.0,-1.0]))", None),  # 1 - tanh² loses digits that autograd keeps
        ("x=f4([6.0,-5.5]); a=tanh(x); back(a,f4([2.0,-1.0]))", None),
        ("x=f8([3.0,40.0]); a=sigmoid(x); back(a,f8([2.0,1.0]))", None),
        (("x=f8([0.5,-1.0]); y=f8([2.0]); a=multiply(x,y); b=exp(a); "
          "back(b,f8([1.0,3.0]),along=(f8([1.0,2.0]),f8([0.5])))"), Result.AGREES),
    ],
)  # fmt: skip
def test_a_right_engine_agrees_with_one_that_cannot_be_disturbed(
    line: str, result: Result | None, reference: Any
) -> None:
    """The witness decides differences. What a usual formula loses is imprecise, on either side, and not wrong."""
    verdict = judge(parse(line), NDGRAD, reference)
    assert not verdict.result.blames
    assert verdict.result in ([result] if result else [Result.AGREES, Result.IMPRECISE, Result.REFERENCE_IMPRECISE])


@pytest.mark.parametrize("numbers", [2, 5, 8, 60])
def test_directions_that_lose_digits_in_the_backward_pass_are_not_an_error(numbers: int) -> None:
    """The second slopes of a variance of equal numbers along ones are exactly 0, and a rounded mean leaves some."""
    x, y = "1.0,1.0,1.0", ",".join(["1.0"] * numbers)
    steps = "a=var(x,axis=None,keepdims=False,ddof=0); b=concatenate(y,a,axis=None)"
    line = f"x=f4([{x}]); y=f4([{y}]); {steps}; back(b,f4([{y},5.0]),along=(f4([{x}]),f4([{y}])))"
    assert judge(parse(line), NDGRAD, AUTOGRAD).result is Result.CONDITIONED


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 + 1e-7, -1.0, 2.0])
@pytest.mark.parametrize(
    "line", ["x=f8([0.5,-1.0]); a=tanh(x); back(a,f8([1.0,3.0]))", "x=f8([2.0,8.0]); a=tanh(x); back(a,f8([1.0,3.0]))"]
)
def test_a_reference_that_cannot_be_disturbed_finds_a_wrong_engine(factor: float, line: str) -> None:
    """It finds a factor of 1 + 1e-9 if the slope is well-conditioned, with the exact number."""
    engine = wrong("tanh", lambda g, y, x: g * (1 - y * y) * factor)
    finding = judge(parse(line), engine, AUTOGRAD).findings[0]
    assert finding.result is Result.ENGINE_WRONG
    assert finding.exact is not None


def test_a_wrong_reference_is_found() -> None:
    """autograd divides the product by each factor, which is wrong for a factor 0."""
    verdict = judge(parse("x=f8([0.0,2.0,3.0]); a=prod(x,axis=0,keepdims=False); back(a,f8(1.0))"), NDGRAD, AUTOGRAD)
    assert verdict.result is Result.REFERENCE_WRONG
    assert verdict.findings[0].exact == 6.0


def test_a_wrong_shape_of_the_reference_is_not_blamed_on_the_engine() -> None:
    """autograd does not invert axes correctly that are counted from the end."""
    line = "x=f8([[1.0,2.0]]); a=transpose(x,axes=(0,-1)); back(a,f8([[0.5,1.0]]))"
    verdict = judge(
        parse(line.replace("[[1.0,2.0]]", "[[1.0],[2.0]]").replace("[[0.5,1.0]]", "[[0.5],[1.0]]")), NDGRAD, AUTOGRAD
    )
    assert verdict.result is Result.REFERENCE_WRONG
    assert verdict.findings[0].kind is Kind.SHAPE


# Refusals.

REFUSED, ACCEPTED = (
    "x=f8([1.0,2.0]); a=sum(x,axis=3,keepdims=False)",
    "x=f8([1.0,2.0]); a=sum(x,axis=0,keepdims=False); back(a,f8(1.0))",
)


class Refusing(TorchEngine):
    """An engine that refuses everything, in a step or in the backward pass."""

    def __init__(self, error: Exception, *, in_a_step: bool) -> None:
        super().__init__()
        self.error, self.in_a_step = error, in_a_step

    def run(self, program: Program, **options: Any) -> Outcome:
        outcome = super().run(program, **options)
        return Outcome(() if self.in_a_step else outcome.values, error=self.error)


class Accepting(TorchEngine):
    """An engine that accepts everything."""

    def run(self, program: Program, **options: Any) -> Outcome:
        outcome = super().run(program, **options)
        return Outcome((np.zeros(()),)) if outcome.error else outcome


@pytest.mark.parametrize(
    ("line", "engine", "reference", "result"),
    [
        (REFUSED, NDGRAD, TORCH, Result.AGREES),
        (REFUSED, Accepting(), TORCH, Result.ENGINE_WRONG),
        (REFUSED, NDGRAD, Accepting(), Result.REFERENCE_WRONG),
        (ACCEPTED, Refusing(ValueError("no"), in_a_step=True), TORCH, Result.ENGINE_WRONG),
        (ACCEPTED, Refusing(ValueError("no"), in_a_step=False), TORCH, Result.ENGINE_WRONG),
        (ACCEPTED, NDGRAD, Refusing(ValueError("no"), in_a_step=True), Result.REFERENCE_WRONG),
        (ACCEPTED, NDGRAD, Refusing(ValueError("no"), in_a_step=False), Result.REFERENCE_WRONG),
        (ACCEPTED, NDGRAD, Refusing(NotImplementedError("no"), in_a_step=False), Result.UNSUPPORTED),
    ],
)
def test_numpy_decides_if_one_side_refuses(line: str, engine: Any, reference: Any, result: Result) -> None:
    """Both sides must accept what NumPy accepts, and refuse what NumPy refuses."""
    assert judge(parse(line), engine, reference).result is result


# Several.


def test_each_reference_judges_what_it_supports() -> None:
    """A program with an op that one reference lacks is judged by the others."""
    both = References([TORCH, AUTOGRAD])
    scattered = parse("x=f8([1.0]); a=scatter(x,index=(i8([0]),),shape=(2,)); back(a,f8([1.0,2.0]))")
    assert both.ops == TORCH.ops
    assert both.supporting(scattered) == [TORCH]
    assert both.supporting(parse(ACCEPTED)) == [TORCH, AUTOGRAD]
    assert both.name == f"{TORCH.name} and {AUTOGRAD.name}"


def test_the_witness_decides_if_references_disagree() -> None:
    """A wrong reference is named as wrong, and a wrong engine is wrong by both references."""
    program = parse("x=f8([0.5,-1.0]); a=sin(x); back(a,f8([1.0,3.0]))")
    verdict, reference = judge_by_all(program, NDGRAD, [TORCH, Off()])
    assert (verdict.result, reference.name, verdict.reference) == (Result.REFERENCE_WRONG, "Off 1", "Off 1")
    assert verdict.findings[0].exact is not None
    engine = wrong("sin", lambda g, y, x: g * np.cos(x) * 1.5)
    verdict, reference = judge_by_all(program, engine, [Off(), TORCH])
    assert (verdict.result, reference.name) == (Result.ENGINE_WRONG, TORCH.name)


def test_both_are_named_if_no_exact_number_decides() -> None:
    """At a kink the slope is a convention: if one reference agrees with the engine, the engine is not blamed."""
    program = parse("x=f8([0.0,2.0]); a=abs(x); back(a,f8([1.0,3.0]))")
    at_0 = wrong("abs", lambda g, y, x: g * np.where(np.equal(x, 0), 1.0, np.sign(x)))
    assert judge(program, at_0, TORCH).result is Result.CONVENTION

    class Alike(Weak):
        """A reference with that convention."""

        name = "Alike 1"

        def run(self, program: Program, **options: Any) -> Outcome:
            return replace(super().run(program, **options), gradients=(np.array([1.0, 3.0]),))

    verdict, _ = judge_by_all(program, at_0, [TORCH, Alike()])
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.findings[0].says == f"{TORCH.name} and Alike 1 disagree, and no exact number decides"


# From the command line.


@pytest.fixture(name="_programs_of_one_op")
def _make_programs_of_one_op(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the programs of an op, without further expressions of it."""
    monkeypatch.setitem(PROFILES, "quick", Profile(60, 0))


@pytest.mark.usefixtures("_programs_of_one_op")
def test_verify_against_another(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    """The last line names the reference, and counts the programs in which it is wrong."""
    options = [
        "verify",
        "--against",
        "autograd",
        "--ops",
        "prod",
        "--profile",
        "quick",
        "--failures",
        str(tmp_path / "k"),
    ]
    assert command_line.main(options) == 0
    told = capsys.readouterr().out
    assert f"beside {AUTOGRAD.name}: profile quick" in told
    assert re.search(r"ndgrad agrees with autograd [\d.]+ \(.*; \d+ in which autograd is wrong", told.splitlines()[-1])


@pytest.mark.usefixtures("_programs_of_one_op")
def test_verify_against_several(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    """The last line names both references, and the one that is wrong."""
    options = [
        "verify",
        "--against",
        "torch,autograd",
        "--ops",
        "prod",
        "--profile",
        "quick",
        "--failures",
        str(tmp_path / "k"),
    ]
    assert command_line.main(options) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"agrees with {TORCH.name} and {AUTOGRAD.name} (" in last
    assert "in which autograd is wrong" in last


def test_a_case_is_run_again_against_another(capsys: pytest.CaptureFixture[str]) -> None:
    """`repro --against` tells which side is wrong."""
    line = "x=f8([0.0,2.0]); a=prod(x,axis=0,keepdims=False); back(a,f8(1.0))"
    assert command_line.main(["repro", "--against", "autograd", line]) == 0
    assert "(exact: 2.0). autograd is wrong." in capsys.readouterr().out


def test_the_page_needs_pytorch(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    """The page shows PyTorch's numbers, which would not be the compared ones."""
    assert command_line.main(["verify", "--against", "autograd", "--page", str(tmp_path / "p.html")]) == 2
    assert "needs --engine ndgrad --against torch" in capsys.readouterr().err


@pytest.mark.parametrize("names", ["pytorch", "torch,nowhere", ""])
def test_an_unknown_reference_is_refused(names: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the known references."""
    assert command_line.main(["verify", "--against", names]) == 2
    assert "is not a known reference: expected torch, autograd, jax" in capsys.readouterr().err
