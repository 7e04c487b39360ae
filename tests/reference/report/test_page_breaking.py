"""Bugs on the page: each is a planted fault, shows in its picture, and is found by the harness."""

from __future__ import annotations

import re

import pytest

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import FAULTS
from reference.report.page.breaking import BREAKS, DEPTHS, Broken, _chain
from reference.report.page.comparing import LARGEST, compared
from tests.reference.report.conftest import Written


@pytest.fixture(scope="module")
def shown(written: Written) -> dict[str, Broken]:
    """The bugs of the page, by their names."""
    return {broken.shown.name: broken for broken in written.page.broken}


def test_the_bugs_that_a_learner_should_see(shown: dict[str, Broken]) -> None:
    """Broadcasting not undone, = for +=, recursion, a shared buffer, a lost factor; each a fault of the collection."""
    assert list(shown) == ["unbroadcast", "assign", "recursion", "buffer", "factor"]
    assert {broken.fault.name for broken in shown.values()} <= {fault.name for fault in FAULTS}


@pytest.mark.parametrize("name", [shown.name for shown in BREAKS])
def test_the_harness_finds_it(name: str, shown: dict[str, Broken]) -> None:
    """After some cases the check fails, and what it prints can be run again."""
    broken = shown[name]
    assert 1 <= broken.cases < 650
    assert "ndgrad is wrong." in broken.case
    assert "again: python -m reference repro" in broken.case


@pytest.mark.parametrize("name", [shown.name for shown in BREAKS if shown.program])
def test_the_picture_marks_what_is_wrong(name: str, shown: dict[str, Broken]) -> None:
    """A box with ≠ is set off by its border; PyTorch's number stands in it as well."""
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
def test_where_it_first_goes_wrong(name: str, shown: dict[str, Broken]) -> None:
    """The step is named, if one alone is wrong, and else the value at which contributions meet."""
    assert shown[name].first.startswith(FIRST[name])


def test_the_recursion_ends_in_an_error_where_the_others_go_on(shown: dict[str, Broken]) -> None:
    """A short chain is right on all sides; a long one is an error with the bug alone."""
    rows = shown["recursion"].depths
    assert [row.ops for row in rows] == list(DEPTHS)
    assert rows[0].broken == rows[0].mine == rows[0].theirs == "10"
    assert (rows[-1].broken, rows[-1].mine, rows[-1].theirs) == ("RecursionError", "10,000", "10,000")


def test_what_is_too_large_is_not_drawn() -> None:
    """Of a chain of many steps there is a sentence in place of a picture."""
    chain = _chain(LARGEST)
    picture = compared("chain", chain, NdgradEngine().run(chain), TorchEngine().run(chain, inner=True))
    assert picture == f"<p>{LARGEST + 2} values are too many to draw.</p>"
