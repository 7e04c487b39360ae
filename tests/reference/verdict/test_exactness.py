"""The third tier decides which side is wrong, for errors of both sides and at kinks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import planting
from reference.programs import parse
from reference.verdict import Finding, Kind, Result, Verdict, judge


def verdict(line: str, plant: planting.Plant | None = None) -> Verdict:
    """Judge ndgrad, with a fault if one is given."""
    if plant is None:
        return judge(parse(line), NdgradEngine(), TorchEngine())
    with plant():
        return judge(parse(line), NdgradEngine(), TorchEngine())


def first(line: str, plant: planting.Plant) -> Finding:
    """Return the gravest finding."""
    return verdict(line, plant).findings[0]


# fmt: off
POOR = [
    # PyTorch leaves out log1p(exp(-x))
    ("x=f8([20.5]); a=softplus(x); back(a,f8([1.0]))", {"value", "grad[x]"}),
    # a finite second derivative for which PyTorch gives NaN
    ("x=f8([2.0]); y=f8(3.0); a=std(x,axis=0); b=add(a,y); c=exp(b); back(c,f8(1.0),along=(f8([1.0]),f8(1.0)))",
     {"second-order grad[y]"}),
]
# fmt: on


@pytest.mark.parametrize(("line", "poor"), POOR)
def test_the_reference_may_be_wrong(line: str, poor: set[str]) -> None:
    """If PyTorch is wrong and ndgrad is right, the witness says so, and the engine is not blamed."""
    seen = verdict(line)
    assert seen.result is Result.REFERENCE_WRONG
    assert not seen.result.blames
    assert {f.part for f in seen.findings} == poor
    assert all(f.got == f.exact for f in seen.findings)


def test_an_error_of_the_reference_does_not_excuse_the_engine() -> None:
    """If PyTorch has an error of 1e-9, an engine with a far larger error is still wrong; so are both."""
    finding = first(POOR[0][0], planting.scaled("softplus", 0, 1.001))
    assert (finding.result, finding.part) == (Result.BOTH_WRONG, "grad[x]")


# fmt: off
RELU = "x=f8([0.0,1.0]); a=relu(x); back(a,f8([2.0,3.0]))"
AT_0 = "x=f8([0.0]); a=abs(x); back(a,f8([2.0]))"
TIE  = "x=f8([1.0]); y=f8([1.0]); a=maximum(x,y); back(a,f8([2.0]))"
CLIP = "x=f8([1.0]); y=1.0; z=3.0; a=clip(x,y,z); back(a,f8([2.0]))"


def at_0(slope: float) -> Callable[..., Any]:
    """Make a pullback of relu with this slope at 0."""
    return lambda g, y, x: np.where(y < 0, 0.0, np.where(np.equal(y, 0), slope * g, g))


AT_KINKS: list[tuple[str, str, Callable[..., Any], Result]] = [
    # slopes from 0 to 1 are subgradients; 1.5 and -1 are not
    ("relu",    RELU, at_0(1.0),                                                 Result.CONVENTION),
    ("relu",    RELU, at_0(0.5),                                                 Result.CONVENTION),
    ("relu",    RELU, at_0(1.5),                                                 Result.ENGINE_WRONG),
    ("relu",    RELU, at_0(-1.0),                                                Result.ENGINE_WRONG),
    ("abs",     AT_0, lambda g, y, x: g * np.where(x < 0, -1.0, 1.0),            Result.CONVENTION),
    # one of two tied operands may get the whole gradient, but not both
    ("maximum", TIE,  lambda g, y, a, b: np.where(a < b, 0.0, g),                Result.ENGINE_WRONG),
    # PyTorch's releases differ at clip's bounds: any subgradient is accepted, and nothing else
    ("clip",    CLIP, lambda g, y, x, low, high: np.where(x > low, g, 0.0),      Result.CONDITIONED),
    ("clip",    CLIP, lambda g, y, x, low, high: np.where(x > low, g, 2.0 * g),  Result.ENGINE_WRONG),
]
# fmt: on


@pytest.mark.parametrize(("op", "line", "pullback", "result"), AT_KINKS)
def test_a_kink_is_a_matter_of_convention_within_bounds(
    op: str, line: str, pullback: Callable[..., Any], result: Result
) -> None:
    """A gradient among the slopes around a kink is another convention; any other gradient is wrong."""
    seen = verdict(line, planting.pullback(op, 0, pullback))
    assert seen.result is result
    if seen.findings:
        assert (seen.findings[0].kind is Kind.CONVENTION) == (result is Result.CONVENTION)


def test_a_wrong_number_beside_a_kink_is_found() -> None:
    """A convention excuses only the number at the kink."""
    finding = first(
        RELU, planting.pullback("relu", 0, lambda g, y, x: np.where(y < 0, 0.0, np.where(np.equal(y, 0), g, 1.001 * g)))
    )
    assert (finding.result, finding.place) == (Result.ENGINE_WRONG, (1,))


def test_errors_are_found_in_ill_conditioned_programs() -> None:
    """At 14, 1 - tanh² has five digits left; the witness still finds that a factor of 1.01 is the engine's error."""
    finding = first("x=f8([14.0]); a=tanh(x); back(a,f8([1.0]))", planting.scaled("tanh", 0, 1.01))
    assert finding.result is Result.ENGINE_WRONG
    assert finding.exact is not None


def test_the_second_derivative_alone_may_be_wrong() -> None:
    """A pullback that detaches an operand is found by the second derivative, with its exact value."""

    def detached(g: Any, y: Any, x: Any) -> Any:
        return g * (x.data + x) if hasattr(x, "requires_grad") else g * 2 * x

    line = "x=f8([3.0]); a=square(x); back(a,f8([1.0]),along=(f8([1.0]),))"
    finding = first(line, planting.pullback("square", 0, detached))
    assert (finding.part, finding.got, finding.exact) == ("second-order grad[x]", 1.0, 2.0)


def test_the_slope_of_nan_is_the_references() -> None:
    """The logarithm of -1 is NaN and its slope -1 by convention: another slope is wrong without an exact number."""
    finding = first("x=f8([-1.0]); a=log(x); back(a,f8([1.0]))", planting.scaled("log", 0, 2.0))
    assert (finding.result, finding.got, finding.wanted) == (Result.ENGINE_WRONG, -2.0, -1.0)


def test_a_tie_that_rounding_breaks_is_not_a_convention() -> None:
    """PyTorch's softplus of one number depends on its place in the array by rounding, which breaks a tie for `min`."""
    line = (
        "x=f8([[[1.0,1.0,1.0],[1.0,1.0,1.0],[1.0,-0.9733509026636445,1.0]],"
        "[[1.0,1.0,1.0],[28.22428378123494,1.0,1.0],[1.0,-0.9733509026636445,1.0]]]); "
        "a=softplus(x); b=min(a,axis=(0,-2),keepdims=False); back(b,f8([1.0,1.0,1.0]))"
    )
    assert verdict(line).result is Result.CONDITIONED


def test_being_right_by_luck_proves_nothing() -> None:
    """In PyTorch the terms of a second derivative cancel exactly with these directions, but not with nearby ones."""
    constant = (
        "x=f4([[1.0,1.0,1.0]]); a=broadcast_to(x,shape=(3,1,3,3)); b=var(a,axis=(0,2),keepdims=False,ddof=2); "
        "back(b,f4([[1.0,1.0,1.0]]),along=(f4([[-3.875,-1.375,1.625]]),))"
    )
    assert verdict(constant).result is Result.CONDITIONED
    line = (
        "x=f4([-3.375,-2.875,-3.375]); a=broadcast_to(x,shape=(3,3,3)); b=softmax(a,axis=0); c=log_softmax(b,axis=0); "
        "back(c,f4([[[-2.25,2.75,1.25],[1.0,3.75,-0.125],[-3.625,-2.625,-1.875]],[[1.25,-1.125,-1.5],"
        "[-3.125,1.625,-3.75],[-0.375,1.875,0.0]],[[1.375,2.125,-2.25],[-3.25,-3.5,0.5],[-1.875,-2.375,1.75]]]),"
        "along=(f4([2.375,3.5,-0.125]),))"
    )
    assert verdict(line).result is Result.CONDITIONED
    off = planting.around("softmax", 0, lambda right: lambda g, y, x, axis: right(g, y, x, axis=axis) + 1e-5 * x * x)
    assert first(line, off).result is Result.ENGINE_WRONG


def test_nan_elsewhere_hides_nothing() -> None:
    """A NaN in the result does not contribute to other gradients, and the witness judges these as usual."""
    line = (
        "x=f8([[[-1e-12,-1e-12],[0.0,-1e-12],[-1e-12,0.0]],[[-1e-12,0.0],[-1e-12,-1e-12],[0.0,0.0]]]); y=f8([nan]); "
        "a=label_cross_entropy(x,labels=i8([[0,1,0],[1,1,0]])); b=std(a,axis=None,keepdims=True,ddof=2); "
        "c=concatenate(y,b,axis=None); back(c,f8([1.0,11.5]))"
    )
    assert verdict(line).result is Result.CONDITIONED  # four digits are left, and fewer in PyTorch
    finding = first(line, planting.scaled("std", 0, 1.5))
    assert finding.result is Result.ENGINE_WRONG
    assert finding.exact is not None


def test_beyond_the_range_of_single_precision_inf_and_nan_are_equivalent() -> None:
    """1 / 1e-45 overflows to inf; PyTorch multiplies it by an underflowed product, and the engine by a nonzero one."""
    line = (
        "x=f4([[1000.0,1.0,-1e-12,1e-12,1e-12,1e-12],[1.0,-0.0,1.0,1.0,1.0,1.0]]); "
        "a=prod(x,axis=1,keepdims=False); b=log(a); back(b,f4([1.0,1.0]))"
    )
    assert verdict(line).result is Result.CONDITIONED
    five = planting.pullback("prod", 0, lambda g, y, x, axis, keepdims: np.full_like(x, 5.0))
    assert first(line, five).result is Result.ENGINE_WRONG
