"""Each side is measured by itself: that a reference is wrong never excuses an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import planting
from reference.programs import parse
from reference.verdict import Result, Verdict, judge
from reference.verdict.subgradient import KINKED


def with_gradient(line: str, op: str, gradient: Any) -> Verdict:
    """Judge an engine whose op has this gradient."""
    with planting.pullback(op, 0, lambda g, y, x, **options: gradient(x))():
        return judge(parse(line), NdgradEngine(), TorchEngine())


@pytest.mark.parametrize(
    ("line", "op", "wrong"),
    [
        ("x=f8([1e200,1e200]); a=prod(x); back(a,f8(1.0))", "prod", 7.0),
        ("x=f4([3e38,1e38]); a=std(x); back(a,f4(1.0))", "std", -3.0),
        ("x=f8([1e300,1e300,2.0]); a=prod(x); back(a,f8(1.0))", "prod", 1e299),
    ],
)
def test_an_infinite_error_of_the_reference_excuses_nothing(line: str, op: str, wrong: float) -> None:
    """PyTorch's gradient is infinite or NaN there. ndgrad is right; any other finite number is wrong."""
    assert judge(parse(line), NdgradEngine(), TorchEngine()).result in (Result.REFERENCE_WRONG, Result.CONDITIONED)
    assert with_gradient(line, op, lambda x: np.full_like(x, wrong)).result.condemns


@pytest.mark.parametrize(
    ("x", "wrong"), [("1e16,1e16", 1000.0), ("1e15,1e15", -1.0), ("1e16,1e16,1e16", -1000.0), ("1e14,1e14", 2.0)]
)
def test_an_allowance_is_that_of_the_function(x: str, wrong: float) -> None:
    """Far out, rounding of x moves the slopes of logsumexp. PyTorch's formula loses more, and excuses nobody."""
    line = f"x=f8([{x}]); a=logsumexp(x); back(a,f8(1.0))"
    assert not judge(parse(line), NdgradEngine(), TorchEngine()).result.blames
    verdict = with_gradient(line, "logsumexp", lambda x: np.full_like(x, wrong))
    assert verdict.result.condemns


def test_a_value_that_rounding_has_lost_is_judged_in_its_step() -> None:
    """A difference of nearly equal numbers may be off in all digits: the step before is right to the last one."""
    line = "x=f8([2.0]); y=f8([1.4142135623730951]); a=sqrt(x); b=subtract(a,y); c=exp(b); back(c,f8([1.0]))"
    assert judge(parse(line), NdgradEngine(), TorchEngine()).result in (Result.AGREES, Result.CONDITIONED)


# Ties.


@pytest.mark.parametrize(
    ("x", "share", "legal"),
    [
        ("2.0,2.0", 0.5, True),
        ("2.0,2.0,2.0", 0.5, False),
        ("2.0,2.0,2.0,2.0,2.0", 0.5, False),
        ("2.0,2.0,2.0,1.0", 1 / 3, True),
        ("2.0,2.0,2.0,2.0", 0.0, False),
    ],
)
def test_what_ties_share_must_add_up(x: str, share: float, legal: bool) -> None:  # noqa: FBT001
    """A share for each of several tied numbers lies between the slopes, but their sum must be 1."""
    line = f"x=f8([{x}]); a=max(x,axis=0,keepdims=False); back(a,f8(1.0))"
    verdict = with_gradient(line, "max", lambda x: np.where(x == x.max(), share, 0.0))
    assert verdict.result.condemns is not legal


def test_another_subgradient_is_a_convention() -> None:
    """The first of three takes all."""
    line = "x=f8([2.0,2.0,2.0]); a=max(x,axis=0,keepdims=False); back(a,f8(1.0))"
    verdict = with_gradient(line, "max", lambda x: np.eye(1, x.size)[0])
    assert verdict.result is Result.CONVENTION


def test_two_kinks_are_judged_each_by_itself() -> None:
    """One bends upwards and the other one downwards: the slopes along both numbers tell nothing about either."""
    line = "x=f8([2.0,3.0]); y=f8([2.0,3.0]); a=maximum(x,y); back(a,f8([1.0,-1.0]))"
    first = planting.together(
        *(planting.pullback("maximum", i, lambda g, y, a, b, i=i: g * ([1, 0], [0, 1])[i]) for i in (0, 1))
    )
    with first():
        assert judge(parse(line), NdgradEngine(), TorchEngine()).result is Result.CONVENTION


def test_nothing_for_both_is_no_subgradient() -> None:
    """Zeros for both operands of maximum lie between the slopes of each, and not along both."""
    many = ",".join(["1.0"] * 100)
    line = f"x=f8([{many}]); y=f8([{many}]); a=maximum(x,y); back(a,f8([{many}]))"
    zeros = planting.together(
        *(planting.pullback("maximum", i, lambda g, y, *xs: np.where(xs[0] == xs[1], 0.0, g)) for i in (0, 1))
    )
    with zeros():
        verdict = judge(parse(line), NdgradEngine(), TorchEngine())
    assert verdict.result is Result.ENGINE_WRONG
    assert KINKED < 100
