"""The page: results are written between the markers, and all other text stays."""

from __future__ import annotations

import pytest

from benchmarks.page import HARNESS, PAGE, SPEED, renewed


def test_only_what_stands_between_the_markers_changes() -> None:
    """New text replaces the old text between the markers, and a second update changes nothing."""
    begin, end = SPEED
    page = f"before\n{begin}\nold\n{end}\nafter\n"
    once = renewed(page, "new", SPEED)
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert renewed(once, "new", SPEED) == once


def test_a_page_without_markers_is_refused() -> None:
    """A page without a marker is an error."""
    with pytest.raises(ValueError, match="must have the markers"):
        renewed(f"before {SPEED[1]} after", "new", SPEED)


@pytest.mark.parametrize("markers", [SPEED, HARNESS])
def test_the_page_has_its_markers(markers: tuple[str, str]) -> None:
    """benchmarks/README.md can be updated, and has a table between its markers."""
    page = PAGE.read_text()
    assert "measured here" in renewed(page, "measured here", markers)
    assert "| --: |" in page.partition(markers[0])[2].partition(markers[1])[0]
