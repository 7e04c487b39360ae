"""Every op of ndgrad agrees with PyTorch to second order, in programs that Hypothesis draws.

There are programs around each op, and expressions of all ops.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings

from reference.campaign import Campaign
from reference.checks import ProgramCase
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine
from reference.ops import OPS, REAL
from reference.ops.source import Seeded
from reference.programs import Program, Step, parse
from reference.programs.strategies import programs
from reference.report import text
from reference.verdict import Result
from tests.reference.drawing import EXPRESSIONS, numbers, sample

NDGRAD, TORCH = NdgradEngine(), TorchEngine()

# Fewer examples than for other properties, for there are so many ops.
FOR_EACH_OP = settings(max_examples=settings.default.max_examples // 4)  # type: ignore[union-attr]
# The ops before and after an op: few, so that a wrong op fails its own test and not all others; and of different kinds:
# they broadcast, are nonlinear, reduce, and give views. Expressions of all ops have a test of their own.
COMPANY = ["add", "multiply", "tanh", "sum", "transpose"]

# Some cases have no degrees of freedom on purpose.
pytestmark = pytest.mark.filterwarnings(r"ignore:(var|std)\(\). degrees of freedom")


def check(op: str, program: Program) -> Result:
    """Judge ndgrad by a program; print a failure as the report does."""
    trial = ProgramCase(program).run(NDGRAD, References([TORCH]))
    if trial.verdict.result.blames:
        failure = Campaign(NDGRAD, TORCH).explained(trial)
        pytest.fail(f"{op}: {text.failure(failure, NDGRAD.name, TORCH.name)}", pytrace=False)
    return trial.verdict.result


@pytest.mark.parametrize("op", OPS)
def test_an_op_agrees_with_pytorch(op: str) -> None:
    """With other steps, any shapes, options, values and layouts, value and gradients differ only by rounding."""

    @FOR_EACH_OP
    @given(programs(op, COMPANY))
    def property_of_the_op(program: Program) -> None:
        event(check(op, program))

    property_of_the_op()


@given(programs())
def test_expressions_of_all_ops_agree_with_pytorch(program: Program) -> None:
    """Any ops agree together: up to nine of them, with a leaf used up to twelve times."""
    event(check(EXPRESSIONS, program))


# Each was found by a campaign as large as a release's. ndgrad is right in all of them, or as right as PyTorch is.
# fmt: off
NOT_WRONG = {
    "the sign of a sum that is 0": "x=f8([-0.0,1.0]); a=cumsum(x,axis=0); b=log(a); back(b,f8([1.0,1.0]))",
    "the sign of the larger 0": "x=f8(0.0); y=f8(-0.0); z=f8(1.0); a=clip(x,y,z); b=log(a); back(b,f8(1.0))",
    "the slope of a spread of 0, to second order":
        "x=f8([2.0]); y=f8(3.0); a=std(x,axis=None,keepdims=False,ddof=0); b=multiply(a,y); "
        "back(b,f8(1.0),along=(f8([1.0]),f8(1.0)))",
    "a spread of one unit in the last place, which PyTorch's mean rounds away":
        "x=f8([1.9,1.9,1.9000000000000004]); a=std(x,axis=0,keepdims=False,ddof=1); back(a,f8(3.0))",
    "probabilities that add up to 1, but for what is lost in single precision":
        "x=f8([3.375,1.5]); y=f8([-0.375,-1.0,3.875]); a=expm1(x); b=concatenate(a,y,y,axis=0); "
        "c=log_softmax(b,axis=0); d=logsumexp(c,axis=0,keepdims=False); back(d,f8(2.625))",
    "a product with a factor 0, which overflows in the one order and not in the other":
        "x=f8([[1e200,0.0],[1e200,1.0]]); a=prod(x,axis=(1,0),keepdims=False); back(a,f8(2.0))",
}
# fmt: on


@pytest.mark.parametrize("line", NOT_WRONG.values(), ids=list(NOT_WRONG))
def test_ndgrad_is_not_blamed_without_reason(line: str) -> None:
    """If rounding, the sign of a zero or PyTorch's own choice makes the difference, ndgrad is not blamed."""
    check("regression", parse(line))


def to_second_order(program: Program, number: int) -> Program:
    """Square a program's result, so that even a linear op has a Hessian, and add directions."""
    assert program.cotangent is not None
    source = Seeded("directions", str(program), number)
    directions = tuple(numbers(source, REAL.numbers, o.data.shape, str(o.data.dtype)) for o in program.leaves)
    return replace(program, steps=(*program.steps, Step("square", (program.result,))), directions=directions)


@pytest.mark.parametrize("op", OPS)
def test_an_op_agrees_with_pytorch_to_second_order(op: str) -> None:
    """Hessian-vector products agree in at least seven programs per op, in both dtypes, none of them all zeros."""
    compared = {"float64": 0, "float32": 0}
    for number, first_order in enumerate(sample(op, 24)):
        if first_order.cotangent is None:
            continue
        program = to_second_order(first_order, number)
        second = [g for g in TORCH.run(program).second if g is not None]
        if any(np.isfinite(g).all() and g.any() for g in second):
            check(op, program)
            compared[str(second[0].dtype)] += 1
    assert compared["float64"] >= 6
    assert compared["float32"] >= 1
