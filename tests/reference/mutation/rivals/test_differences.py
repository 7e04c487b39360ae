"""Central differences: right for smooth functions, and blind where a cotangent of ones is."""

from __future__ import annotations

import numpy as np
import pytest

import ndgrad
from reference.mutation.planting import around
from reference.mutation.rivals import Case
from reference.mutation.rivals.composed import composed
from reference.mutation.rivals.differences import check

X = np.random.default_rng(0).standard_normal((3, 4))
SOFTMAX = Case("softmax", ndgrad.softmax, (X,))


@pytest.mark.parametrize("case", composed(), ids=lambda case: case.name)
def test_differences_agree_with_the_right_engine(case: Case) -> None:
    """Each composed function passes on the right engine."""
    check(case)


def test_a_wrong_gradient_is_seen() -> None:
    """A gradient that lacks a factor is rejected."""
    with pytest.raises(AssertionError, match="the gradient of operand 0 is"):
        check(Case("half a square", lambda x: x * x.detach(), (X,)))


def test_a_loss_of_the_sum_hides_a_wrong_softmax() -> None:
    """The probabilities of a row add up to 1, so their sum has slope 0, and a doubled gradient of softmax passes."""
    with around("softmax", 0, lambda right: lambda *args, **options: 2 * right(*args, **options))():
        check(SOFTMAX)
