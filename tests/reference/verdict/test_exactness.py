"""The third tier: which side is wrong, shown on faults of both sides, and at kinks."""

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
    """The verdict on ndgrad, with a fault if one is given."""
    if plant is None:
        return judge(parse(line), NdgradEngine(), TorchEngine())
    with plant():
        return judge(parse(line), NdgradEngine(), TorchEngine())


def first(line: str, plant: planting.Plant) -> Finding:
    """The gravest finding."""
    return verdict(line, plant).findings[0]


# fmt: off
POOR = [
    # where PyTorch leaves out log1p(exp(-x))
    ("x=f8([20.5]); a=softplus(x); back(a,f8([1.0]))", {"value", "grad[x]"}),
    # a second derivative that is a number, and that it calls NaN
    ("x=f8([2.0]); y=f8(3.0); a=std(x,axis=0); b=add(a,y); c=exp(b); back(c,f8(1.0),along=(f8([1.0]),f8(1.0)))",
     {"second-order grad[y]"}),
]
# fmt: on


@pytest.mark.parametrize(("line", "poor"), POOR)
def test_the_reference_may_be_wrong(line: str, poor: set[str]) -> None:
    """Where PyTorch is off and ndgrad is not, the witness says so, and no blame falls on the engine."""
    seen = verdict(line)
    assert seen.result is Result.REFERENCE_WRONG
    assert not seen.result.blames
    assert {f.part for f in seen.findings} == poor
    assert all(f.got == f.exact for f in seen.findings)


def test_an_engine_as_poor_as_the_reference_is_not_excused() -> None:
    """Where PyTorch is off by 1e-9, an engine that is off by far more is still wrong."""
    finding = first(POOR[0][0], planting.scaled("softplus", 0, 1.001))
    assert (finding.result, finding.part) == (Result.ENGINE_WRONG, "grad[x]")


# fmt: off
RELU = "x=f8([0.0,1.0]); a=relu(x); back(a,f8([2.0,3.0]))"
AT_0 = "x=f8([0.0]); a=abs(x); back(a,f8([2.0]))"
TIE  = "x=f8([1.0]); y=f8([1.0]); a=maximum(x,y); back(a,f8([2.0]))"
CLIP = "x=f8([1.0]); y=1.0; z=3.0; a=clip(x,y,z); back(a,f8([2.0]))"


def at_0(slope: float) -> Callable[..., Any]:
    """A pullback of relu with this slope at 0."""
    return lambda g, y, x: np.where(y < 0, 0.0, np.where(np.equal(y, 0), slope * g, g))


AT_KINKS: list[tuple[str, str, Callable[..., Any], Result]] = [
    # the other side's slope, and what lies between, are subgradients; half as much again, or the other way, is none
    ("relu",    RELU, at_0(1.0),                                                 Result.CONVENTION),
    ("relu",    RELU, at_0(0.5),                                                 Result.CONVENTION),
    ("relu",    RELU, at_0(1.5),                                                 Result.ENGINE_WRONG),
    ("relu",    RELU, at_0(-1.0),                                                Result.ENGINE_WRONG),
    ("abs",     AT_0, lambda g, y, x: g * np.where(x < 0, -1.0, 1.0),            Result.CONVENTION),
    # each of two that tie may get half; both may not get all, though each alone could
    ("maximum", TIE,  lambda g, y, a, b: np.where(a < b, 0.0, g),                Result.ENGINE_WRONG),
    # PyTorch's releases differ at clip's bounds: any subgradient will do, and no other
    ("clip",    CLIP, lambda g, y, x, low, high: np.where(x > low, g, 0.0),      Result.CONDITIONED),
    ("clip",    CLIP, lambda g, y, x, low, high: np.where(x > low, g, 2.0 * g),  Result.ENGINE_WRONG),
]
# fmt: on


@pytest.mark.parametrize(("op", "line", "pullback", "result"), AT_KINKS)
def test_a_kink_is_a_matter_of_convention_within_bounds(
    op: str, line: str, pullback: Callable[..., Any], result: Result
) -> None:
    """A gradient that lies among the slopes around a kink is another convention; one that does not is wrong."""
    seen = verdict(line, planting.pullback(op, 0, pullback))
    assert seen.result is result
    if seen.findings:
        assert (seen.findings[0].kind is Kind.CONVENTION) == (result is Result.CONVENTION)


def test_a_wrong_number_beside_a_kink_is_found() -> None:
    """A convention excuses the number at the kink, and not its neighbour."""
    finding = first(
        RELU, planting.pullback("relu", 0, lambda g, y, x: np.where(y < 0, 0.0, np.where(np.equal(y, 0), g, 1.001 * g)))
    )
    assert (finding.result, finding.place) == (Result.ENGINE_WRONG, (1,))


def test_small_errors_are_found_where_rounding_is_magnified() -> None:
    """Far out, 1 - tanh² has five digits left: an error of 1e-3 in the factor is the engine's, told by the witness."""
    finding = first("x=f8([14.0]); a=tanh(x); back(a,f8([1.0]))", planting.scaled("tanh", 0, 1.01))
    assert finding.result is Result.ENGINE_WRONG
    assert finding.exact is not None


def test_second_order_alone_may_be_wrong() -> None:
    """A pullback that detaches is right once and wrong twice: the second derivative is found, with its exact value."""

    def detached(g: Any, y: Any, x: Any) -> Any:
        return g * (x.data + x) if hasattr(x, "requires_grad") else g * 2 * x

    line = "x=f8([3.0]); a=square(x); back(a,f8([1.0]),along=(f8([1.0]),))"
    finding = first(line, planting.pullback("square", 0, detached))
    assert (finding.part, finding.got, finding.exact) == ("second-order grad[x]", 1.0, 2.0)


def test_a_slope_where_there_is_no_value_is_the_references() -> None:
    """The logarithm of -1 is no number, its slope -1 by convention: another is wrong, though nothing exact says so."""
    finding = first("x=f8([-1.0]); a=log(x); back(a,f8([1.0]))", planting.scaled("log", 0, 2.0))
    assert (finding.result, finding.got, finding.wanted) == (Result.ENGINE_WRONG, -2.0, -1.0)


def test_a_tie_that_rounding_breaks_is_no_matter_of_convention() -> None:
    """PyTorch's softplus of one number is two, by its place in the array, and so its least one is alone."""
    line = (
        "x=f8([[[1.0,1.0,1.0],[1.0,1.0,1.0],[1.0,-0.9733509026636445,1.0]],"
        "[[1.0,1.0,1.0],[28.22428378123494,1.0,1.0],[1.0,-0.9733509026636445,1.0]]]); "
        "a=softplus(x); b=min(a,axis=(0,-2),keepdims=False); back(b,f8([1.0,1.0,1.0]))"
    )
    assert verdict(line).result is Result.CONDITIONED


def test_who_is_right_by_luck_shows_nothing() -> None:
    """The terms of a second derivative cancel exactly in PyTorch with these directions, not with their neighbours."""
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


def test_what_is_no_number_elsewhere_hides_nothing() -> None:
    """NaN has no share in the gradients of the other numbers: the witness judges them as it does without."""
    line = (
        "x=f8([[[-1e-12,-1e-12],[0.0,-1e-12],[-1e-12,0.0]],[[-1e-12,0.0],[-1e-12,-1e-12],[0.0,0.0]]]); y=f8([nan]); "
        "a=label_cross_entropy(x,labels=i8([[0,1,0],[1,1,0]])); b=std(a,axis=None,keepdims=True,ddof=2); "
        "c=concatenate(y,b,axis=None); back(c,f8([1.0,11.5]))"
    )
    assert verdict(line).result is Result.CONDITIONED  # one digit in ten thousand is left, by PyTorch fewer
    finding = first(line, planting.scaled("std", 0, 1.5))
    assert finding.result is Result.ENGINE_WRONG
    assert finding.exact is not None


def test_beyond_the_range_of_single_precision_inf_and_nan_are_one() -> None:
    """1 / 1e-45 overflows: PyTorch's inf is multiplied by a product that has vanished, the engine's by what is left."""
    line = (
        "x=f4([[1000.0,1.0,-1e-12,1e-12,1e-12,1e-12],[1.0,-0.0,1.0,1.0,1.0,1.0]]); "
        "a=prod(x,axis=1,keepdims=False); b=log(a); back(b,f4([1.0,1.0]))"
    )
    assert verdict(line).result is Result.CONDITIONED
    five = planting.pullback("prod", 0, lambda g, y, x, axis, keepdims: np.full_like(x, 5.0))
    assert first(line, five).result is Result.ENGINE_WRONG
