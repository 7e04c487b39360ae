"""HIPS autograd's check_grads sees wrong first and second derivatives, in reverse mode and double precision."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("autograd", reason="autograd is not installed")

from reference.mutation.planting import around, unrecorded
from reference.mutation.rivals import Case
from reference.mutation.rivals.autograd import check
from reference.mutation.rivals.composed import composed

X, Y = np.random.default_rng(0).standard_normal((3, 4)), np.random.default_rng(1).standard_normal(4)
PRODUCT = Case("x * y + y", lambda x, y: x * y + y, (X, Y))


@pytest.mark.parametrize("case", composed(), ids=lambda case: case.name)
def test_the_right_engine_passes(case: Case) -> None:
    """Each composed function passes on the right engine."""
    check(case)


@pytest.mark.parametrize("position", [0, 1])
def test_a_wrong_gradient_is_seen(position: int) -> None:
    """A wrong gradient of either operand is seen, since all operands are checked."""
    halved = around("multiply", position, lambda right: lambda *args: right(*args) / 2)
    with halved(), pytest.raises(AssertionError, match="check of value failed"):
        check(PRODUCT)


def test_a_wrong_second_derivative_is_seen() -> None:
    """A right pullback that is not recorded has a wrong derivative, which order 2 notices."""
    with unrecorded("multiply", 1)(), pytest.raises(AssertionError, match="check of vjp_"):
        check(PRODUCT)


def test_a_right_function_of_large_numbers_is_rejected() -> None:
    """Step and tolerance are absolute, so sin(x) * x at a million is rejected though it is right."""
    with pytest.raises(AssertionError):
        check(Case("sin(x) * x", lambda x: np.sin(x) * x, (1e6 * X,)))


def test_numpys_generator_is_left_as_it_was() -> None:
    """The directions come from NumPy's global generator, whose state is restored."""
    np.random.seed(7)  # noqa: NPY002
    wanted = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    check(PRODUCT)
    assert np.random.random() == wanted  # noqa: NPY002
