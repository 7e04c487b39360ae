"""The page: what the tool writes stands between its markers, and what a person wrote stays."""

from __future__ import annotations

import pytest

from benchmarks.page import BEGIN, END, PAGE, renewed


def test_only_what_stands_between_the_markers_changes() -> None:
    """New words replace the old ones between the markers, and twice gives the same as once."""
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = renewed(page, "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert renewed(once, "new") == once


def test_a_page_without_markers_is_refused() -> None:
    """A page that has lost a marker is left as it is, with an error."""
    with pytest.raises(ValueError, match="must have the markers"):
        renewed(f"before {END} after", "new")


def test_the_page_has_its_markers() -> None:
    """benchmarks/README.md can be renewed."""
    assert "measured here" in renewed(PAGE.read_text(), "measured here")
