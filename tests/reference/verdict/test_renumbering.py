"""A failing program is run with other numbers, to tell a cause from a coincidence."""

from __future__ import annotations

import numpy as np
import pytest

from ndgrad.rules import RULES
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation.planting import around, forward, pullback
from reference.programs import parse
from reference.verdict import Finding, Kind
from reference.verdict.cause import COTANGENT
from reference.verdict.renumbering import mismatch_of, with_other_numbers

SIDES = NdgradEngine(), TorchEngine()
GRADIENT = Finding(Kind.GRADIENT, "grad[x]", arrays=(np.array([1.0]), np.array([2.0])))
LINE = "x=f8([1.0,1.0]); a=square(x); back(a,f8([1.0,1.0]))"


def test_a_mismatch_knows_the_operands_and_the_cotangent() -> None:
    """They are known by name; a program that must be refused has no cotangent."""
    known = mismatch_of(parse(LINE), GRADIENT).known
    assert {name: array.tolist() for name, array in known.items()} == {"x": [1.0, 1.0], COTANGENT: [1.0, 1.0]}
    assert list(mismatch_of(parse("x=f8([1.0]); a=square(x)"), GRADIENT).known) == ["x"]


def test_other_numbers_are_different_ones() -> None:
    """The other numbers are all different, and the engine is wrong on them, too."""
    with pullback("square", 0, lambda g, y, x: g * x)():
        (other,) = with_other_numbers(parse(LINE), GRADIENT, *SIDES)
    assert np.unique([*other.known["x"], *other.known[COTANGENT]]).size == 4
    np.testing.assert_allclose(other.wanted, 2 * other.got)


@pytest.mark.parametrize("threshold", [1.0, 0.0])
def test_an_op_is_tried_in_several_ranges(threshold: float) -> None:
    """If the engine is right between 0 and 1, or the function undefined there, numbers above 1 are tried."""

    def wrong(g: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.asarray(g * np.where(x > threshold, 3.0, 2.0) * x)

    with pullback("square", 0, wrong)():
        (other,) = with_other_numbers(parse(LINE), GRADIENT, *SIDES)
    assert (other.known["x"] > threshold).all()


def test_a_failure_at_certain_numbers_has_no_others() -> None:
    """If the engine is right on other numbers, there are none."""
    with around("square", 0, lambda right: lambda g, y, x: right(g, y, x) * np.where(x == 1.0, 0.5, 1.0))():
        assert not with_other_numbers(parse(LINE), GRADIENT, *SIDES)


def test_another_part_may_be_right() -> None:
    """Only the part of the finding counts, such as the value."""
    value = Finding(Kind.FORWARD, "value", arrays=(np.array([1.0]), np.array([2.0])))
    with pullback("square", 0, lambda g, y, x: g * x)():
        assert not with_other_numbers(parse(LINE), value, *SIDES)
    right = RULES["square"].forward
    with forward("square", lambda x: right(x) + 1)():
        (other,) = with_other_numbers(parse(LINE), value, *SIDES)
    np.testing.assert_allclose(other.got, other.wanted + 1)
