"""Writes the results between two markers of `benchmarks/README.md`, and the picture into `docs/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Table, markdown

PAGE = Path(__file__).with_name("README.md")
PICTURE = Path(__file__).parent.parent / "docs" / "benchmark.svg"
SPEED = ("<!-- measured -->", "<!-- end of what was measured -->")
HARNESS = ("<!-- the harness, measured -->", "<!-- end of the harness, measured -->")


def write(heading: str, tables: Sequence[Table], reasons: str, picture: str) -> None:
    """Update the page and the picture."""
    measured = "\n\n".join([heading, *map(markdown, tables), _paragraphs(reasons)])
    PAGE.write_text(renewed(PAGE.read_text(), measured, SPEED))
    PICTURE.write_text(picture)


def write_harness(heading: str, table: Table) -> None:
    """Update the results of the harness on the page."""
    PAGE.write_text(renewed(PAGE.read_text(), f"{heading}\n\n{markdown(table)}", HARNESS))


def renewed(page: str, measured: str, markers: tuple[str, str]) -> str:
    """Replace the text between two markers of a page."""
    before, begin, rest = page.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not begin or not end:
        raise ValueError(f"{PAGE.name} must have the markers {markers[0]} and {markers[1]}, in this order")
    return f"{before}{begin}\n\n{measured}\n\n{end}{after}"


def _paragraphs(reasons: str) -> str:
    """Format the reasons for empty cells as a list."""
    return "\n".join(f"- {reason}" for reason in reasons.splitlines())
