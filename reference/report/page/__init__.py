"""The page: a standalone HTML file with every number that ndgrad computes beside PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ndgrad import files
from reference.campaign import Record
from reference.checks.training import TrainingRecord
from reference.report.page.agreeing import agreement
from reference.report.page.breaking import record_breaks
from reference.report.page.exploring import record_curves
from reference.report.page.function import page_of_function, records_of
from reference.report.page.learning import Maps, training_panel
from reference.report.page.render import Page, render
from reference.report.page.rounding import measure_rounding
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
    """Make the page of a run of `verify`. Its other panels are recorded now.

    Args:
        records: the campaign's records.
        runs: the training runs.
        maps: the maps of the run in the plane, if they were recorded.
        ops: the ops that programs may contain.
        profile: the campaign's profile.
        seed: the campaign's seed.
    """
    verdict = agreement(records, runs, ops, profile=profile, seed=seed)
    return Page(
        "ndgrad", verdict, walks(), record_breaks(), record_curves(), training_panel(runs, maps), measure_rounding()
    )


def write(page: Page, path: Path) -> None:
    """Write the page to a file; make its folder if that is missing."""
    files.write(path, render(page).encode())
