"""The command line: `python -m benchmarks` measures speed and memory on this computer. It takes about ten minutes.

Exit status: 0 measured, 1 a peer gave other numbers than ndgrad, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import page, picture, report
from benchmarks.cells import MemoryResult, Result
from benchmarks.peers import TITLES
from benchmarks.runner import ROUNDS, measure_memory, run
from benchmarks.workloads import WORKLOADS

SPEED, MEMORY = "speed", "memory"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit status."""
    options = _parser().parse_args(arguments)
    about = report.system_info()
    print(report.heading(about), flush=True)
    results = list(_measure_speed(options)) if options.what != MEMORY else []
    memory = list(_measure_memory(options)) if options.what != SPEED else []
    tables = report.tables(options.peers, results, memory)
    print(*(f"\n{report.aligned(table)}" for table in tables), f"\n{report.reasons(results)}", sep="\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report.document(about, results, memory), indent=1) + "\n")
    if options.write:
        page.write(report.heading(about), tables, report.reasons(results), picture.draw(results))
    return int(any(cell.reason.startswith("WRONG") for result in results for cell in result.cells))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=(SPEED, MEMORY), help="only this; by default both")
    parser.add_argument("--lines", type=_among(WORKLOADS), default=list(WORKLOADS), metavar="A,B", help="only these")
    parser.add_argument("--peers", type=_among(TITLES), default=list(TITLES), metavar="A,B", help=_PEERS)
    parser.add_argument("--threads", type=int, choices=(1, 2), help="by default one, and two where that matters")
    parser.add_argument("--rounds", type=_count, default=ROUNDS, metavar="N", help=f"turns of each (default: {ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file, too")
    parser.add_argument("--write", action="store_true", help=f"renew {page.PAGE.name} and {page.PICTURE.name} as well")
    return parser


_PEERS = f"only these of {', '.join(TITLES)}; the others are compared with the first"


def _among(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Make the parser of a list of names, each of which must be known."""

    def names(given: str) -> list[str]:
        requested = list(dict.fromkeys(given.split(",")))
        for name in requested:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(known)}")
        return requested

    return names


def _count(given: str) -> int:
    if not given.isdecimal() or not int(given):
        raise argparse.ArgumentTypeError(f"{given!r} is not a number from 1 on")
    return int(given)


def _measure_speed(options: argparse.Namespace) -> Iterator[Result]:
    for threads in (1, 2) if options.threads is None else (options.threads,):
        for line in (WORKLOADS[name] for name in options.lines):
            if threads == 1 or options.threads or line.again:
                _tell(f"{line.name}, {threads} thread{'s' * (threads > 1)}")
                yield run(line, options.peers, threads, options.rounds)


def _measure_memory(options: argparse.Namespace) -> Iterator[MemoryResult]:
    for line in (WORKLOADS[name] for name in options.lines):
        if line.memory_aim is not None:
            _tell(f"{line.name}, memory")
            yield measure_memory(line, options.peers)


def _tell(words: str) -> None:
    """Print progress, since a run takes ten minutes."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
