"""Bugs on the page: each is a planted fault that shows in its picture and is found by the harness."""

from __future__ import annotations

import re

import pytest

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import FAULTS
from reference.report.page.breaking import BREAKS, DEPTHS, BreakResult, _chain
from reference.report.page.comparing import LARGEST, draw_comparison
from tests.reference.report.conftest import Written


@pytest.fixture(scope="module")
def shown(written: Written) -> dict[str, BreakResult]:
    """Return the bugs of the page by name."""
    return {record_breaks.shown.name: record_breaks for record_breaks in written.page.breaks}


def test_the_bugs_that_a_learner_should_see(shown: dict[str, BreakResult]) -> None:
    """The bugs are missing sums, = for +=, recursion, a shared buffer and a lost factor, all from the tables."""
    assert list(shown) == ["unbroadcast", "assign", "recursion", "buffer", "factor"]
    assert {record_breaks.fault.name for record_breaks in shown.values()} <= {fault.name for fault in FAULTS}


@pytest.mark.parametrize("name", [shown.name for shown in BREAKS])
def test_the_harness_finds_it(name: str, shown: dict[str, BreakResult]) -> None:
    """After some cases the check fails, and the printed case can be replayed."""
    record_breaks = shown[name]
    assert 1 <= record_breaks.cases < 650
    assert "ndgrad is wrong." in record_breaks.case
    assert "again: python -m reference repro" in record_breaks.case


@pytest.mark.parametrize("name", [shown.name for shown in BREAKS if shown.program])
def test_the_picture_marks_what_is_wrong(name: str, shown: dict[str, BreakResult]) -> None:
    """A box with ≠ has a marked border and shows PyTorch's number, too."""
    picture = str(shown[name].picture)
    assert picture.count("≠") == picture.count("grad, PyTorch") >= 1
    assert len(re.findall(r'class="box \w+ wrong', picture)) == picture.count("≠")


# fmt: off
FIRST = {
    "unbroadcast": "in a: what it passes back to x and y",
    "assign":      "each step alone is right; contributions to a do not meet as they should",
    "buffer":      "each step alone is right; the gradient of the result, c, is not what was sent any more",
    "factor":      "in f: what it passes back to e",
}
# fmt: on


@pytest.mark.parametrize("name", FIRST)
def test_where_it_first_goes_wrong(name: str, shown: dict[str, BreakResult]) -> None:
    """The text names the step if a single one is wrong, otherwise the value at which contributions are added."""
    assert shown[name].first.startswith(FIRST[name])


def test_the_recursion_fails_on_a_long_chain(shown: dict[str, BreakResult]) -> None:
    """A short chain is right on all sides; a long one raises only with the bug."""
    rows = shown["recursion"].depths
    assert [row.ops for row in rows] == list(DEPTHS)
    assert rows[0].broken == rows[0].mine == rows[0].theirs == "10"
    assert (rows[-1].broken, rows[-1].mine, rows[-1].theirs) == ("RecursionError", "10,000", "10,000")


def test_a_large_program_is_not_drawn() -> None:
    """A program of many steps gets a sentence instead of a picture."""
    chain = _chain(LARGEST)
    picture = draw_comparison("chain", chain, NdgradEngine().run(chain), TorchEngine().run(chain, inner=True))
    assert picture == f"<p>{LARGEST + 2} values are too many to draw.</p>"
