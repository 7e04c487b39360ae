"""`verify`: runs a campaign and the training runs, and reports the results as text, JSON and a page.

The results are reported however the run ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from reference import campaign
from reference.campaign import AGAIN, Campaign, Pool, Record, Runner
from reference.checks import reference_for, training, why_skipped
from reference.checks.training import TrainingRecord
from reference.commands.status import AGREES, DISAGREES, ENVIRONMENT, NOTHING, USAGE, one_line
from reference.commands.validation import can_store_failures, has_cluster, load_sides, select_ops, writable
from reference.engines import Engine, Reference
from reference.processes.signals import Stopped, Stopping, deferred
from reference.processes.workers import Workers
from reference.report import json, text

WORTH_A_PROCESS = 1_000  # programs that take about as long as importing PyTorch in a new process


@dataclass
class _Run:
    """The state of a run."""

    campaign: Campaign
    options: argparse.Namespace
    rows: int = 0
    printed: list[Record] = field(default_factory=list)
    runs: list[TrainingRecord] = field(default_factory=list)
    maps: list[Any] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, str]:
        """The names of the engine and of the references."""
        return self.campaign.engine.name, self.campaign.references.name

    def print(self, record: Record) -> None:
        """Print a record's row."""
        self.printed.append(record)
        print(text.row(record), flush=True)


def run(options: argparse.Namespace) -> int:
    """Compare, report the results, and return the status."""
    if options.page and (options.engine, *options.against) != ("ndgrad", "torch"):
        print(
            "error: the page compares ndgrad with PyTorch: it needs --engine ndgrad --against torch",
            file=sys.stderr,
        )
        return USAGE
    sides = load_sides(options)
    if isinstance(sides, int):
        return sides
    engine, references = sides
    chosen = select_ops(options.ops, [op for op in references.ops if op in engine.ops])
    if chosen is None or not can_store_failures(options.failures):
        return USAGE
    if not all(writable(path) for path in (options.json, options.page) if path):
        return ENVIRONMENT
    if options.scheduler and not has_cluster():
        return ENVIRONMENT
    return _verify(options, chosen, options.stopping)


def _verify(options: argparse.Namespace, chosen: Sequence[str], stopping: Stopping) -> int:
    run = _Run(Campaign.by_name(options.engine, options.against, chosen, options.seed, options.failures), options)
    try:
        _compare(run)
    except (Stopped, Exception) as error:
        stopping.heard()
        _report_partial(run, error)
        if isinstance(error, Stopped):
            return error.status
        raise
    with deferred():
        document = _report(run)
    if options.page:
        _write_page(run)
    if document["agrees"]:
        return AGREES
    compared = document["counts"]["numbers"] or document["failures"] or run.runs
    return DISAGREES if compared else NOTHING


def _compare(run: _Run) -> None:
    options, known = run.options, run.campaign.ops
    size = campaign.PROFILES[options.profile]
    if options.ops is not None:
        size = replace(size, checks={})
    trains = options.ops is None and not why_skipped("training", run.campaign.engine, run.campaign.references)
    run.rows = run.campaign.rows(size) + (len(training.TASKS) if trains else 0)
    only = options.ops is not None
    print(text.heading(*run.names, options.profile, options.seed, programs_only=only), flush=True)
    with _runner(options, size.programs(len(known))) as runner, closing(run.campaign.run(size, runner)) as records:
        for record in records:
            run.print(record)
    if trains:
        reference = reference_for("training", run.campaign.references)
        train(run.runs, run.campaign.engine, reference, run.maps if options.page else None)


@contextmanager
def _runner(options: argparse.Namespace, programs: int) -> Iterator[Runner | None]:
    """Return the runner of the shards: a cluster, as many processes as are worthwhile, or None for this process."""
    workers = min(options.workers, programs // WORTH_A_PROCESS)
    if options.scheduler:
        from reference.campaign.cluster import Cluster  # noqa: PLC0415 - Dask may be missing

        with Cluster(options.scheduler) as cluster:
            yield cluster
    elif workers > 1:
        with Workers(workers) as pool:
            yield Pool(pool)
    else:
        yield None


def train(runs: list[TrainingRecord], engine: Engine, reference: Reference, maps: list[Any] | None = None) -> None:
    """Make the training runs and print a row for each. `maps` receives maps of the runs in the plane, for the page."""
    tasks = [make() for make in training.TASKS.values()]
    maps_by_name = {} if maps is None else _maps(tasks)
    if maps is not None:
        maps += maps_by_name.values()
    print(text.training_heading(), flush=True)
    for task in tasks:
        runs.append(training.train(task, engine, reference, maps_by_name.get(task.name)))
        print(text.training_row(runs[-1]), flush=True)


def _maps(tasks: Sequence[training.Task]) -> dict[str, Any]:
    """Make empty maps of the runs that can be drawn, by name."""
    from reference.report.page import Maps  # noqa: PLC0415 - few runs write a page

    return {task.name: Maps(task) for task in tasks if Maps.can_draw(task)}


def _report(run: _Run) -> dict[str, Any]:
    """Report the results of a complete run. The JSON is written even if standard output cannot be."""
    document = _document(run, json.FINISHED)
    try:
        print(text.legend())
        _print_failures(run)
        print(f"\n{text.last_line(run.campaign.records, run.runs, len(run.campaign.ops), *run.names)}", flush=True)
    finally:
        _write_json(run, document)
    return document


def _report_partial(run: _Run, error: BaseException) -> None:
    """Report the results of a run that was interrupted or failed."""
    ended = json.INTERRUPTED if isinstance(error, (Stopped, OSError)) else json.FAILED
    document = _document(run, ended, one_line(error))
    try:
        if not isinstance(error, OSError):  # writing to standard output may have raised it
            _print_partial(run, "interrupted" if ended == json.INTERRUPTED else "the harness failed")
    finally:
        _write_json(run, document)


def _print_partial(run: _Run, how: str) -> None:
    done = sum(record.op != AGAIN for record in run.printed) + len(run.runs)
    printed = set(map(id, run.printed))
    for record in run.campaign.records:
        if id(record) not in printed and record.programs:
            run.print(record)
    _print_failures(run)
    engine, reference = run.names
    rows = (done, run.rows)
    last = text.cut_short(how, rows, run.campaign.records, run.runs, engine=engine, reference=reference)
    print(f"\n{last}", flush=True)


def _print_failures(run: _Run) -> None:
    for failure in (failure for record in run.campaign.records for failure in record.failures):
        print(f"\n{text.failure(failure, *run.names, run.options.engine)}")
    for done in (done for done in run.runs if not done.agrees):
        print(f"\n{text.training_failure(done, *run.names)}")


def _document(run: _Run, ended: str, error: str | None = None) -> dict[str, Any]:
    engine, reference = run.names
    return json.document(
        run.campaign.records, run.runs, engine=engine, reference=reference,
        profile=run.options.profile, seed=run.options.seed, ended=ended, error=error,
    )  # fmt: skip


def _write_json(run: _Run, document: dict[str, Any]) -> None:
    if run.options.json:
        json.write(run.options.json, document)


def _write_page(run: _Run) -> None:
    from reference.report import page  # noqa: PLC0415 - as above

    options, known = run.options, run.campaign.ops
    try:
        new_page = page.page_of(
            run.campaign.records, run.runs, run.maps, known, profile=options.profile, seed=options.seed
        )
        page.write(new_page, options.page)
    except Stopped:
        print(f"{options.page} was not written", file=sys.stderr)
        raise
    print(f"the page: {options.page}")
