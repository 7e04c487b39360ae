"""HIPS autograd's check_grads: reverse mode in double precision, to second order."""

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
    """Each function that a careful user would try passes."""
    check(case)


@pytest.mark.parametrize("position", [0, 1])
def test_a_wrong_gradient_is_seen(position: int) -> None:
    """Whichever operand it is of: all are looked at."""
    halved = around("multiply", position, lambda right: lambda *args: right(*args) / 2)
    with halved(), pytest.raises(AssertionError, match="check of value failed"):
        check(PRODUCT)


def test_a_wrong_second_derivative_is_seen() -> None:
    """A pullback that is right and leaves the graph has no derivative of its own: order 2 notices."""
    with unrecorded("multiply", 1)(), pytest.raises(AssertionError, match="check of vjp_"):
        check(PRODUCT)


def test_a_right_function_of_large_numbers_is_complained_about() -> None:
    """Its step and tolerance are absolute: sin(x) * x at a million does not pass, though nothing is wrong."""
    with pytest.raises(AssertionError):
        check(Case("sin(x) * x", lambda x: np.sin(x) * x, (1e6 * X,)))


def test_numpys_generator_is_left_as_it_was() -> None:
    """The directions come from NumPy's global generator, which nobody else should notice."""
    np.random.seed(7)  # noqa: NPY002
    wanted = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    check(PRODUCT)
    assert np.random.random() == wanted  # noqa: NPY002
