"""JAX's check_grads sees wrong first and second derivatives, in reverse mode and single precision."""

from __future__ import annotations

import logging

import numpy as np
import pytest

pytest.importorskip("jax", reason="jax is not installed")

from reference.mutation.planting import around, unrecorded
from reference.mutation.rivals import Case
from reference.mutation.rivals.jax import check

# Few, short numbers: in single precision, rounding makes it reject one right case in fifty.
X, Y = np.array([[0.5, -1.5, 1.0], [0.25, 2.0, -0.5]]), np.array([1.5, -0.5, 0.25])
PRODUCT = Case("x * y + y", lambda x, y: x * y + y, (X, Y))


def test_the_right_engine_passes() -> None:
    """Right cases pass: with several operands, of shape (), and after another function of equal shapes."""
    check(PRODUCT)
    check(Case("x / y", lambda x, y: x / (y * y + 1), (X, Y)))
    check(Case("numbers", lambda x, y: x * y, (np.array(0.5), np.array(0.25))))


def test_a_wrong_gradient_is_seen() -> None:
    """A halved pullback is seen, and the right one passes again afterwards."""
    halved = around("multiply", 1, lambda right: lambda *args: right(*args) / 2)
    with halved(), pytest.raises(AssertionError, match="VJP cotangent projection"):
        check(PRODUCT)
    check(PRODUCT)


def test_a_wrong_second_derivative_is_seen() -> None:
    """A right pullback that is not recorded has a wrong derivative, which order 2 notices."""
    with unrecorded("multiply", 1)(), pytest.raises(AssertionError, match="VJP of VJP"):
        check(PRODUCT)


def test_an_error_of_the_engine_is_raised_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An error in a callback is raised without being logged, and logging is restored."""

    def refusing(*args: object) -> object:
        raise ValueError("not today")

    with around("multiply", 0, lambda right: refusing)(), pytest.raises(Exception, match="not today"):
        check(PRODUCT)
    logging.getLogger("after").error("heard")
    assert [record.message for record in caplog.records] == ["heard"]
