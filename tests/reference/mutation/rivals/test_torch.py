"""gradcheck and gradgradcheck: what they see of ndgrad, and what their tolerances let through."""

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
    """The square, with a gradient that is too large by a factor."""
    return Case(f"off by {factor}", lambda x: x * (x * factor + x.detach() * (1 - factor)), (X,))


@pytest.mark.parametrize("case", composed(), ids=lambda case: case.name)
def test_gradcheck_is_content_with_the_right_engine(case: Case) -> None:
    """Slow and fast, it passes each function that a careful user would try."""
    check(case, fast=False)
    check(case, fast=True)


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_sees_one_part_in_a_hundred(fast: bool) -> None:  # noqa: FBT001 - a parameter
    """A gradient that is off by 2 % is one that it complains about, in its own words."""
    with pytest.raises(RuntimeError, match="Jacobian mismatch for output 0 with respect to input 0"):
        check(off_by(1.02), fast=fast)


def test_gradcheck_lets_a_thousandth_through() -> None:
    """Its relative tolerance is a thousandth: half of that goes unnoticed."""
    check(off_by(1.0005), fast=False)


@pytest.mark.parametrize("fast", [False, True])
def test_a_wrong_second_derivative_is_seen(fast: bool) -> None:  # noqa: FBT001 - a parameter
    """A pullback that is right and leaves the graph has no derivative of its own: gradgradcheck notices."""
    with unrecorded("multiply", 1)(), pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check(Case("x * y", lambda x, y: x * y, (X, X[0])), fast=fast)


def test_pytorchs_generator_is_left_as_it_was() -> None:
    """The cotangents come from PyTorch's global generator, which nobody else should notice."""
    torch.manual_seed(7)
    wanted = torch.rand(())
    torch.manual_seed(7)
    check(Case("square", lambda x: x * x, (X,)), fast=True)
    assert torch.rand(()) == wanted


def test_the_engines_own_errors_come_through() -> None:
    """What the engine raises on the way back reaches whoever asked for the check."""
    with pytest.raises(RuntimeError, match="a constant"):
        check(Case("detached", lambda x: x.detach(), (X,)), fast=False)
