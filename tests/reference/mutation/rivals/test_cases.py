"""The checkers' cases: there are enough, they lie in each domain, and they are reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from reference.mutation.rivals import cases
from reference.ops import OPS
from reference.programs import parse
from reference.programs.generator import _MANNERS, ORDINARY


@pytest.mark.parametrize("op", OPS)
def test_every_row_has_cases(op: str) -> None:
    """Each op has a dozen cases or more, with all its options and on operands of all shapes."""
    given = cases.of_row(op)
    assert 12 <= len(given) <= 6 * cases.CASES_PER_SHAPE
    assert len({case.name for case in given}) >= 6
    assert len({case.arrays[0].shape for case in given}) >= 5


@pytest.mark.parametrize("op", OPS)
def test_operands_lie_in_their_domain(op: str) -> None:
    """No case lies outside an operand's domain, or so near its end that a step would leave it."""
    for case in cases.of_row(op):
        for position, x in enumerate(case.arrays):
            domain = OPS[op].domain(position)
            assert domain.holds(x)
            assert domain.holds(x - 1e-3)


def test_options_are_varied() -> None:
    """A reduction has cases over all axes, over one from either end and over several, with and without keepdims."""
    names = {case.name for case in cases.of_row("sum")}
    for option in ("axis=None", "axis=0", "axis=-1", "axis=(", "keepdims=True", "keepdims=False"):
        assert any(option in name for name in names)


def test_operands_broadcast_and_are_the_same() -> None:
    """Two operands have equal shapes in some cases and different ones in others, and sometimes are the same array."""
    given = cases.of_row("multiply")
    assert any(len({a.shape for a in case.arrays}) > 1 for case in given)
    assert any(case.name.endswith("with itself") and len(case.arrays) == 1 for case in given)


def test_cases_are_the_same_every_time() -> None:
    """Cases that are drawn again have the same bits."""
    for one, other in zip(cases.of_row("matmul"), cases.of_row.__wrapped__("matmul"), strict=True):
        assert one.name == other.name
        assert all(np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_programs_are_ordinary_and_regular() -> None:
    """Programs are drawn in the ordinary manner and give finite numbers in both precisions."""
    assert _MANNERS[cases._Ordinary("any").integer(0, len(_MANNERS) - 1)] == ORDINARY
    for case in cases.random_programs(20):
        assert cases._is_regular(case)
        assert cases._is_regular(case.in_single())


def test_numbers_of_programs_do_not_tie() -> None:
    """Drawn numbers are eighths and often equal, but the numbers of the cases have no ties."""
    for case in cases.random_programs(20):
        numbers = np.concatenate([a.ravel() for a in case.arrays])
        assert len(set(numbers)) == numbers.size


def test_programs_that_compare_a_value_with_itself_are_left_out() -> None:
    """Programs whose two bounds are one value are left out, since they always tie."""
    assert cases._ties(parse("x=f8(1.0); y=f8(2.0); a=clip(x,y,y)"))
    assert not cases._ties(parse("x=f8(1.0); y=f8(2.0); z=f8(2.0); a=clip(x,y,z)"))
    assert not cases._ties(parse("x=f8(1.0); a=multiply(x,x)"))
