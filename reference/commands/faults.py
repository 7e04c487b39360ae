"""`faults`: mutation testing. Bugs are planted one at a time, and the checks must find each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing

from reference.commands.status import AGREES, DISAGREES, USAGE
from reference.commands.validation import check_names
from reference.mutation import FAULTS, GENERIC, every
from reference.mutation.detection import ROUNDS, Catch, detect_all
from reference.mutation.rivals import CHECKERS, available, compare, false_alarms
from reference.processes.signals import Stopped, Stopping
from reference.report import faults as words


def run(options: argparse.Namespace) -> int:
    """Plant the faults, print a row for each, and return the status."""
    chosen = [fault.name for fault in (*FAULTS, *GENERIC[options.generic]())]
    names = check_names(options.names, list(every()), "fault") if options.names else chosen
    if names is None or (options.compare and not _comparable()):
        return USAGE
    return _run_search(options, list(dict.fromkeys(names)), options.stopping)


def _run_search(options: argparse.Namespace, names: Sequence[str], stopping: Stopping) -> int:
    seeds = range(options.seed, options.seed + options.seeds)
    print(words.heading(seeds, options.profile), flush=True)
    catches: dict[str, list[Catch]] = {name: [] for name in names}
    try:
        _search(options, seeds, catches)
        if options.compare:
            _compare(names, {name: all(catch.check for catch in some) for name, some in catches.items()})
    except Stopped as stop:
        stopping.heard()
        print(f"\n{words.cut_short(catches, len(seeds))}")
        return stop.status
    print(f"\n{words.last_lines(catches)}")
    return AGREES if all(catch.check for some in catches.values() for catch in some) else DISAGREES


def _search(options: argparse.Namespace, seeds: Sequence[int], catches: Mapping[str, list[Catch]]) -> None:
    search = detect_all(list(catches), seeds, ROUNDS[options.profile], options.workers)
    with closing(search):
        for catch in search:
            catches[catch.fault].append(catch)
            if len(catches[catch.fault]) == len(seeds):
                print(words.row(every()[catch.fault], catches[catch.fault]), flush=True)


def _comparable() -> bool:
    """Whether the other checkers are installed; if not, print an error."""
    missing = sorted({checker.package for name, checker in CHECKERS.items() if not available(name)})
    if missing:
        print(f"error: {' and '.join(missing)} not found: pip install 'ndgrad[compare]'", file=sys.stderr)
    return not missing


def _compare(names: Sequence[str], caught: Mapping[str, bool]) -> None:
    """Run the other checkers on the faults, and print the comparison."""
    shown = {name: f"{name} ({checker.package} {checker.version})" for name, checker in CHECKERS.items()}
    rows = list(compare([every()[name] for name in names]))
    print(f"\n{words.comparison(rows, caught, list(false_alarms()), shown)}", flush=True)
