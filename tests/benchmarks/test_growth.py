"""How time grows is fitted as it is, and the programs that are measured have the size that is said."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from benchmarks import growth
from benchmarks.growth import Growth
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.verdict import Result, judge

SIZES = [10, 100, 1_000, 10_000]


def grown(power: float) -> Growth:
    """A time that grows with a power of the size, beside what is fixed."""
    return Growth("steps", SIZES, [1e-4 + 1e-8 * size**power for size in SIZES])


def test_each_program_has_its_size_and_agrees_at_once() -> None:
    """Steps, elements and operands are as many as was asked for."""
    steps, elements, operands = growth.in_steps(7), growth.in_elements(50), growth.in_operands(9)
    assert (len(steps.steps), elements.operands[0].data.size, len(operands.operands)) == (7, 50, 9)
    for program in (steps, elements, operands):
        assert judge(program, NdgradEngine(), TorchEngine()).result is Result.AGREES


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_exponent_is_that_of_the_upper_half(power: float) -> None:
    """A square is told from what is linear, whatever is fixed."""
    assert Growth("steps", SIZES, [s**power for s in SIZES]).exponent == pytest.approx(power)


def test_what_grows_faster_than_the_work_is_named() -> None:
    """It is, with its exponent; where nothing does, that is said."""
    assert growth.told([grown(1.0)]) == "Nothing grows faster than the work."
    assert growth.told([grown(2.0)]).startswith("Faster than the work grows the time in steps (exponent ")


def test_the_picture_is_an_svg_with_a_panel_for_each_axis() -> None:
    """It can be read as XML, and each measured time is a dot in it."""
    root = ET.fromstring(growth.draw([grown(1.0), grown(1.0)]))  # noqa: S314 - made a line earlier
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 2 * len(SIZES)
