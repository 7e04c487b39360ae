"""`page`: runs a quick `verify` and writes its page, or the page of a user's function."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from reference.checks.training import TrainingRecord
from reference.commands import verify
from reference.commands.arguments import PAGE
from reference.commands.status import AGREES, DISAGREES, ENVIRONMENT, USAGE
from reference.commands.validation import writable
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.report import page, text
from reference.report.page.loading import NotLoaded, load_function


def run(options: argparse.Namespace) -> int:
    """Write the page of ndgrad or of a user's function, and return the status."""
    if options.page is None:
        options.page = PAGE.with_stem(options.function[1]) if options.function else PAGE
    if options.function is None and options.shapes is None:
        return verify.run(options)
    if options.function is None or options.shapes is None:
        print("error: a function and the shapes of its operands go together", file=sys.stderr)
        return USAGE
    if not writable(options.page):
        return ENVIRONMENT
    try:
        with load_function(*options.function) as function:
            return _page_of(function, options.function[1], options)
    except NotLoaded as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except page.Untraceable as error:
        print(f"error: no page can be made of {options.function[1]}: {error}", file=sys.stderr)
        return USAGE


def _page_of(function: Any, name: str, options: argparse.Namespace) -> int:
    engine, reference = NdgradEngine(), TorchEngine()
    print(text.heading(engine.name, reference.name, "quick", options.seed), flush=True)
    records = page.records_of(function, name, options.shapes, options.seed)
    for record in records:
        print(text.row(record), flush=True)
    runs: list[TrainingRecord] = []
    verify.train(runs, engine, reference)
    new_page = page.page_of_function(function, name, options.shapes, records, runs, seed=options.seed)
    page.write(new_page, options.page)
    print(f"\n{new_page.agreement.last_line}\nthe page: {options.page}")
    return AGREES if new_page.agreement.agrees else DISAGREES
