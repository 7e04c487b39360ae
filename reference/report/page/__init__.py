"""The page: one HTML file, without server or network, with every number that ndgrad computes beside PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ndgrad import files
from reference.campaign import Record
from reference.checks.training import TrainingRecord
from reference.report.page.agreeing import agreement
from reference.report.page.bits import measured
from reference.report.page.breaking import broken
from reference.report.page.exploring import explored
from reference.report.page.function import page_of_function, records_of
from reference.report.page.learning import Maps, learned
from reference.report.page.render import Page, render
from reference.report.page.stepping import walks
from reference.report.page.tracing import Untraceable

__all__ = ["Maps", "Page", "Untraceable", "page_of", "page_of_function", "records_of", "render", "write"]


def page_of(
    records: Sequence[Record],
    runs: Sequence[TrainingRecord],
    maps: Sequence[Maps],
    ops: Sequence[str],
    *,
    profile: str,
    seed: int,
) -> Page:
    """Put the page together from the record of a run of `verify`; what else stands on it is recorded now.

    Args:
        records: of its campaign.
        runs: its training runs.
        maps: of the one in the plane, if it was watched; else none.
        ops: that programs were made of.
        profile: of the campaign.
        seed: of the campaign.
    """
    found = agreement(records, runs, ops, profile=profile, seed=seed)
    return Page("ndgrad", found, walks(), broken(), explored(), learned(runs, maps), measured())


def write(page: Page, path: Path) -> None:
    """Write the page to a file, and make the folder that it stands in if that is missing."""
    files.write(path, render(page).encode())
