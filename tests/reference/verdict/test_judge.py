"""Right engines agree with the reference, and errors are found down to the claimed size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reference.engines import Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import planting
from reference.programs import Program, parse
from reference.verdict import AT_ONCE, Finding, Kind, Result, judge, ulps
from tests.reference.verdict.sides import SPOILT, Spoilt, gradients

PRODUCT = parse("x=f8([1.5,-2.0]); y=f8([3.0,0.5]); a=multiply(x,y); b=sin(a); back(b,f8([2.0,-1.0]))")
# tanh is flat here: 1 - tanh² loses most of its digits in any engine.
SATURATED = parse("x=f8([9.0,-8.5]); a=tanh(x); back(a,f8([2.0,-1.0]))")


def found(program: Program, spoil: Callable[[Outcome], Outcome]) -> list[Finding]:
    """Return the findings about a spoilt engine."""
    verdict = judge(program, Spoilt(spoil), TorchEngine())
    assert verdict.result is Result.ENGINE_WRONG
    return list(verdict.findings)


def test_a_right_engine_agrees() -> None:
    """ndgrad and PyTorch agree on a product and a sine, and the verdict counts the compared numbers."""
    verdict = judge(PRODUCT, NdgradEngine(), TorchEngine())
    assert verdict.result is Result.AGREES
    assert verdict.numbers == 2 + 2 + 2


@pytest.mark.parametrize("off", [1e-13, 1e-10, 1e-7, 1e-3, 1.0])
def test_a_relative_error_is_found_however_small(off: float) -> None:
    """A relative error of 1e-13 in double precision, 450 ULP, is the engine's error."""
    (finding,) = found(PRODUCT, gradients(lambda g: g * (1 + off)))
    assert (finding.kind, finding.part) == (Kind.GRADIENT, "grad[x]")
    assert finding.ulp > finding.allowed >= AT_ONCE
    assert ulps(finding.exact, finding.wanted) <= AT_ONCE


def test_the_loss_of_a_usual_formula_is_not_wrong() -> None:
    """Where tanh saturates, a gradient that loses the digits of 1 - tanh² is imprecise, and no more may be lost."""
    lost = gradients(lambda g: g * (1 + 1e-9))
    verdict = judge(SATURATED, Spoilt(lost), TorchEngine())
    assert verdict.result is Result.IMPRECISE
    (finding,) = found(SATURATED, gradients(lambda g: g * (1 + 1e-5)))
    assert finding.kind is Kind.GRADIENT


def test_the_tolerance_of_a_tiny_gradient_is_tiny() -> None:
    """No absolute tolerance hides a relative error in a gradient of 1e-20."""
    program = parse("x=f8([1.5]); a=sin(x); back(a,f8([1e-20]))")
    (finding,) = found(program, gradients(lambda g: g * 1.001))
    assert finding.kind is Kind.GRADIENT


@pytest.mark.parametrize("code", ["f8", "f4"])
@pytest.mark.parametrize("off", [1e-3, -1.0])
def test_errors_of_a_zero_are_counted_in_representable_numbers(code: str, off: float) -> None:
    """If 0 is wanted, the distance and the allowed distance are both counted in representable numbers."""
    program = parse(
        f"x={code}([0.3]); y={code}([0.1]); a=subtract(x,y); b=multiply(a,y); c=subtract(b,b); back(c,{code}([1.0]))"
    )
    (finding,) = found(program, gradients(lambda g: g + g.dtype.type(off)))
    assert finding.wanted == 0
    assert AT_ONCE <= finding.allowed < finding.ulp < 2.0 ** (62 if code == "f8" else 30)


def test_one_wrong_entry_among_many_is_found_and_placed() -> None:
    """One wrong entry of 240 is found at its place, for no tolerance grows with the size of an array."""
    numbers = ",".join(str(float(i)) for i in range(1, 241))
    program = parse(f"x=f8([{numbers}]); a=square(x); back(a,f8([{numbers}]))")

    def one(g: np.ndarray) -> np.ndarray:
        g[137] *= 1 + 1e-9
        return g

    (finding,) = found(program, gradients(one))
    assert finding.place == (137,)


def test_single_precision_is_judged_by_its_own_rounding() -> None:
    """In single precision a relative error of 1e-5 is an error, and 1e-7 is rounding."""
    program = parse("x=f4([0.5,-0.25]); a=sin(x); back(a,f4([2.0,-1.0]))")
    assert judge(program, NdgradEngine(), TorchEngine()).result is Result.AGREES
    rounding = gradients(lambda g: g * np.float32(1 + 1.2e-7))
    assert judge(program, Spoilt(rounding), TorchEngine()).result is Result.AGREES
    (finding,) = found(program, gradients(lambda g: g * np.float32(1 + 1e-5)))
    assert finding.kind is Kind.GRADIENT


# fmt: off
WRONG = {
    "a shape":                Kind.SHAPE,
    "a dtype":                Kind.DTYPE,
    "a NumPy scalar":         Kind.SHAPE,
    "NaN":                    Kind.GRADIENT,
    "infinity":               Kind.GRADIENT,
    "missing":                Kind.MISSING,
    "the value":              Kind.FORWARD,
    "a raised error":         Kind.RAISED,
    "tripled":                Kind.ACCUMULATION,
    "not summed":             Kind.ACCUMULATION,
    "shared":                 Kind.ALIASED,
    "the cotangent returned": Kind.ALIASED,
    "written into":           Kind.INPUT_MUTATED,
}
# fmt: on


@pytest.mark.parametrize("name", WRONG)
def test_each_error_has_its_kind(name: str) -> None:
    """Each way to spoil an outcome is found, with its kind."""
    assert WRONG[name] in {finding.kind for finding in found(PRODUCT, SPOILT[name])}


def test_an_engine_whose_runs_differ_is_found() -> None:
    """Two runs of one program must be equal to the bit."""
    calls: list[int] = []

    def spoil(outcome: Outcome) -> Outcome:
        calls.append(1)
        return gradients(lambda g: np.nextafter(g, np.inf))(outcome) if len(calls) > 1 else outcome

    verdict = judge(PRODUCT, Spoilt(spoil), TorchEngine())
    assert {finding.kind for finding in verdict.findings} == {Kind.NON_DETERMINISTIC}


def test_what_numpy_refuses_must_be_refused() -> None:
    """An engine that accepts shapes which do not broadcast is wrong; one that refuses them agrees."""
    program = parse("x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y)")
    assert judge(program, NdgradEngine(), TorchEngine()).refused
    (finding,) = found(program, lambda outcome: replace(outcome, error=None))
    assert finding.kind is Kind.RAISED
    assert "must be refused" in finding.says


def test_an_unintended_refusal_is_inconclusive() -> None:
    """If both sides refuse a program that should run, nothing is compared."""
    program = parse("x=f8([1.0,2.0]); y=f8([1.0,2.0,3.0]); a=add(x,y); back(a,f8([1.0,1.0,1.0]))")
    verdict = judge(program, NdgradEngine(), TorchEngine())
    assert (verdict.result, verdict.numbers) == (Result.INCONCLUSIVE, 0)


def test_a_zero_gradient_is_a_gradient() -> None:
    """If PyTorch's gradient is zeros, the engine's must not be missing."""
    program = parse("x=f8([1.0]); y=f8([2.0]); a=where(x,y,condition=b1([False])); back(a,f8([3.0]))")
    (finding,) = found(program, lambda o: replace(o, gradients=(None, o.gradients[1]), twice=(None, *o.twice[1:])))
    assert (finding.kind, finding.part) == (Kind.MISSING, "grad[x]")


def test_a_kink_that_rounding_decides_is_not_an_error() -> None:
    """If operands at a kink differ by rounding, each side's slope is right for its own operands."""
    program = parse(
        "x=f8([0.3,0.7,1.1]); y=2.1; a=sum(x,axis=0,keepdims=False); b=subtract(a,y); c=abs(b); back(c,f8(1.0))"
    )
    reference = TorchEngine()
    _, second, _ = reference.run(program).values

    def spoil(outcome: Outcome) -> Outcome:
        """Change the sum to the neighbour of 2.1 on the other side, as another order of summation might."""
        total = np.nextafter(2.1, 0.0 if second >= 0 else 9.0)
        slopes = np.full(3, np.sign(total - 2.1))
        values = (np.asarray(total), np.asarray(total - 2.1), np.asarray(abs(total - 2.1)))
        return replace(outcome, values=values, gradients=(slopes,), twice=(slopes + slopes,))

    verdict = judge(program, Spoilt(spoil), reference)
    assert (verdict.result, verdict.witnessed) == (Result.CONDITIONED, False)


def test_a_pole_that_the_sign_of_a_zero_decides_is_not_an_error() -> None:
    """NumPy's cumulative sum of -0 is -0, and PyTorch's is 0: a division by it gives infinities of different signs."""
    program = parse("x=f8([1.0]); y=f8([-0.0]); a=cumsum(y,axis=0); b=divide(x,a); back(b,f8([1.0]))")
    assert judge(program, NdgradEngine(), TorchEngine()).result is Result.CONDITIONED


def test_a_pole_of_the_wrong_sign_is_an_error() -> None:
    """If no zero differs before, an infinity of the wrong sign is the engine's error."""
    program = parse("x=f8([1.0]); y=f8([0.0]); a=divide(x,y); back(a,f8([1.0]))")
    (finding,) = found(program, lambda o: replace(o, values=(-o.values[0],)))
    assert (finding.kind, finding.got, finding.wanted) == (Kind.FORWARD, -np.inf, np.inf)


def test_a_missing_second_derivative_excuses_nothing_else() -> None:
    """If PyTorch lacks a second derivative it is wrong, but a wrong first-order gradient is still found."""
    line = "x=f8([2.0]); y=f8(3.0); a=std(x,axis=None,keepdims=False,ddof=0); b=multiply(a,y); c=exp(y); d=add(b,c); "
    program = parse(line + "back(d,f8(1.0),along=(f8([1.0]),f8(1.0)))")
    assert judge(program, NdgradEngine(), TorchEngine()).result is Result.REFERENCE_WRONG

    def spoil(outcome: Outcome) -> Outcome:
        first, last = outcome.gradients
        return replace(outcome, gradients=(first, last * 2), twice=(first * 2, last * 4))

    assert "grad[y]" in {finding.part for finding in found(program, spoil)}


def test_a_jump_beside_a_kink_is_not_an_error() -> None:
    """From 20 on PyTorch's softplus is linear, with a second derivative of 0; beside a tie the witness cannot tell."""
    ones = "f8([[[1.0]],[[1.0]],[[1.0]],[[1.0]],[[1.0]],[[1.0]],[[1.0]]])"
    line = (
        "x=f8([[[1.0]],[[1.0]],[[3.375]],[[3.375]],[[1.0]],[[1.0]],[[3.0]]]); "
        "y=f8([[[2.125]],[[3.0]],[[1.0]],[[1.0]],[[3.0]],[[2.125]],[[3.0]]]); "
        f"a=maximum(x,y); b=cumsum(a,axis=-3); c=softplus(b); back(c,{ones},along=({ones},{ones}))"
    )
    assert judge(parse(line), NdgradEngine(), TorchEngine()).result is Result.CONDITIONED
    tie = "x=f8([3.0]); y=f8([3.0]); a=maximum(x,y); b=multiply(a,a); back(b,f8([1.0]),along=(f8([1.0]),f8([1.0])))"
    with planting.pullback("multiply", 1, lambda g, y, a, b: g * planting.plain(a))():
        assert judge(parse(tie), NdgradEngine(), TorchEngine()).result is Result.ENGINE_WRONG


def test_a_wrong_reference_decides_nothing() -> None:
    """Beyond 20 PyTorch's softplus is wrong, and so is its second derivative beside a tie, without a witness."""
    line = (
        "x=f8([3.625,3.625,1.0,3.875,1.0,1.0]); y=f8(3.0); a=maximum(x,y); b=cumsum(a,axis=0); c=softplus(b); "
        "back(c,f8([1.0,1.0,1.0,1.0,1.0,1.0]),along=(f8([1.0,1.0,1.0,1.0,1.0,1.0]),f8(1.0)))"
    )
    at_a_tie = line.replace("3.625,1.0,3.875", "3.625,3.0,3.875")
    for program in (line, at_a_tie):
        assert judge(parse(program), NdgradEngine(), TorchEngine()).result is Result.REFERENCE_WRONG


def test_a_reference_that_is_wrong_in_a_step_decides_nothing_after_it() -> None:
    """Beside singles PyTorch's softplus seems right, but run by itself the step is wrong, and so no side is blamed."""
    line = (
        "x=f8([20.5]); y=f4([1.0]); z=f8([20.5,2.0]); a=concatenate(x,y,axis=0); b=maximum(a,z); c=softplus(b); "
        "back(c,f8([1.0,1.0]),along=(f8([1.0]),f4([1.0]),f8([1.0,1.0])))"
    )
    assert judge(parse(line), NdgradEngine(), TorchEngine()).result is Result.INCONCLUSIVE
