"""Puts what was measured where it is read: between two markers of `benchmarks/README.md`, and into `docs/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Table, markdown

PAGE = Path(__file__).with_name("README.md")
PICTURE = Path(__file__).parent.parent / "docs" / "benchmark.svg"
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def write(heading: str, tables: Sequence[Table], reasons: str, picture: str) -> None:
    """Renew the page and the picture."""
    measured = "\n\n".join([heading, *map(markdown, tables), _paragraphs(reasons)])
    PAGE.write_text(renewed(PAGE.read_text(), measured))
    PICTURE.write_text(picture)


def renewed(page: str, measured: str) -> str:
    """The page with other words between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} must have the markers {BEGIN} and {END}, in this order")
    return f"{before}{begin}\n\n{measured}\n\n{end}{after}"


def _paragraphs(reasons: str) -> str:
    """Why cells are empty, as a list."""
    return "\n".join(f"- {reason}" for reason in reasons.splitlines())
