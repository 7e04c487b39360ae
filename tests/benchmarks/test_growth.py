"""Growth: the fitted exponent is right, and the measured programs have the size that they should have."""

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
    """Return a time that grows with a power of the size, beside a fixed cost."""
    return Growth("steps", SIZES, [1e-4 + 1e-8 * size**power for size in SIZES])


def test_each_program_has_its_size_and_agrees_at_once() -> None:
    """The programs have as many steps, elements and operands as requested, and engine and reference agree on them."""
    steps, elements, operands = growth.in_steps(7), growth.in_elements(50), growth.in_operands(9)
    assert (len(steps.steps), elements.operands[0].data.size, len(operands.operands)) == (7, 50, 9)
    for program in (steps, elements, operands):
        assert judge(program, NdgradEngine(), TorchEngine()).result is Result.AGREES


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_exponent_is_that_of_the_upper_half(power: float) -> None:
    """The exponent of a power law is found: 1 for linear growth, 2 for a square."""
    assert Growth("steps", SIZES, [s**power for s in SIZES]).exponent == pytest.approx(power)


def test_superlinear_growth_is_reported() -> None:
    """The summary names the size and its exponent, or says that the time does not grow faster."""
    assert growth.summary([grown(1.0)]) == "The time does not grow faster than any size."
    assert growth.summary([grown(2.0)]).startswith("The time grows faster than the number of steps (exponent ")


def test_the_picture_is_an_svg_with_a_panel_for_each_axis() -> None:
    """The picture is valid XML, and has a dot for each measured time."""
    root = ET.fromstring(growth.draw([grown(1.0), grown(1.0)]))  # noqa: S314 - made a line earlier
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 2 * len(SIZES)
