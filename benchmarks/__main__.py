"""The command line: `python -m benchmarks`, measured on this machine, now. Takes about ten minutes.

Exit status: 0 measured, 1 a peer gave other numbers than ndgrad, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.cells import Result
from benchmarks.peers import TITLES
from benchmarks.runner import ROUNDS, run
from benchmarks.workloads import WORKLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give the exit status."""
    options = _parser().parse_args(arguments)
    about = report.machine()
    print(report.heading(about), flush=True)
    results = list(_measured(options))
    print(f"\n{report.aligned([report.head(options.peers), *map(report.row, results)])}\n\n{report.reasons(results)}")
    if options.json:
        options.json.write_text(json.dumps(report.document(about, results), indent=1) + "\n")
    return int(any(cell.reason.startswith("WRONG") for result in results for cell in result.cells))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=_among(WORKLOADS), default=list(WORKLOADS), metavar="A,B", help="only these")
    parser.add_argument("--peers", type=_among(TITLES), default=list(TITLES), metavar="A,B", help=_PEERS)
    parser.add_argument("--threads", type=int, choices=(1, 2), help="by default one, and two where that matters")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each has its turn (default: {ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file, too")
    return parser


_PEERS = f"only these of {', '.join(TITLES)}; the others are compared with the first"


def _among(known: Iterable[str]) -> Callable[[str], list[str]]:
    """A list of names, of which each must be known."""

    def names(given: str) -> list[str]:
        wanted = given.split(",")
        for name in wanted:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(known)}")
        return wanted

    return names


def _measured(options: argparse.Namespace) -> Iterator[Result]:
    for threads in (1, 2) if options.threads is None else (options.threads,):
        for name in options.lines:
            line = WORKLOADS[name]
            if threads == 1 or options.threads or line.again:
                print(f"{name}, {threads} thread{'s' * (threads > 1)}", file=sys.stderr, flush=True)
                yield run(line, options.peers, threads, options.rounds)


if __name__ == "__main__":
    sys.exit(main())
