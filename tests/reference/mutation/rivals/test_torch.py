"""gradcheck and gradgradcheck: which faults of ndgrad they see, and which ones their tolerances hide."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reference.mutation.planting import unrecorded
from reference.mutation.rivals import Case
from reference.mutation.rivals.composed import composed
from reference.mutation.rivals.torch import check

X = np.random.default_rng(0).standard_normal((3, 4))


def off_by(factor: float) -> Case:
    """Return the square with a gradient that is scaled by a factor."""
    return Case(f"off by {factor}", lambda x: x * (x * factor + x.detach() * (1 - factor)), (X,))


@pytest.mark.parametrize("case", composed(), ids=lambda case: case.name)
def test_gradcheck_passes_the_right_engine(case: Case) -> None:
    """Each composed function passes on the right engine, slow and fast."""
    check(case, fast=False)
    check(case, fast=True)


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_sees_one_part_in_a_hundred(fast: bool) -> None:  # noqa: FBT001 - a parameter
    """A gradient that is off by 2 % is rejected."""
    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to input 0"):
        check(off_by(1.02), fast=fast)


def test_gradcheck_lets_a_thousandth_through() -> None:
    """The relative tolerance is a thousandth, so an error of half of that passes."""
    check(off_by(1.0005), fast=False)


@pytest.mark.parametrize("fast", [False, True])
def test_a_wrong_second_derivative_is_seen(fast: bool) -> None:  # noqa: FBT001 - a parameter
    """A right pullback that is not recorded has a wrong derivative, which gradgradcheck notices."""
    with unrecorded("multiply", 1)(), pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check(Case("x * y", lambda x, y: x * y, (X, X[0])), fast=fast)


def test_pytorchs_generator_is_left_as_it_was() -> None:
    """The cotangents come from PyTorch's global generator, whose state is restored."""
    torch.manual_seed(7)
    wanted = torch.rand(())
    torch.manual_seed(7)
    check(Case("square", lambda x: x * x, (X,)), fast=True)
    assert torch.rand(()) == wanted


def test_the_engines_own_errors_come_through() -> None:
    """An error of the engine in the backward pass reaches the caller of the check."""
    with pytest.raises(RuntimeError, match="a constant"):
        check(Case("detached", lambda x: x.detach(), (X,)), fast=False)
