"""The speed of verification, in programs per second and core: `python -m benchmarks.harness`. It takes two minutes.

Three streams of programs are timed, in CPU time, so that other processes matter little:

- *plain*: random first-order expressions on ordinary numbers, without refusals: what users differentiate;
- *mixed*: those of `python -m reference verify`, with second order, kinks, poles, infinities and refusals;
- *by Hypothesis*: mixed programs, drawn through the strategy of the tests.

All tiers of the verdict are included. It also measures how the time of a verdict grows with its program (`growth`).
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from benchmarks import growth, page, report
from reference.checks import EXPRESSIONS
from reference.engines import Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine, one_thread
from reference.ops.source import Seeded, Unsuited
from reference.programs import Program
from reference.programs.generator import draw_program
from reference.programs.strategies import programs
from reference.verdict import Verdict, judge

T = TypeVar("T")

PARTS = ("draw", "engine", "reference", "verdict")
AIMS = {"plain": 2_000, "by Hypothesis": 200}  # programs a second
MOST_WITNESSED = 0.002  # the largest share of plain programs that may need the exact witness
LEAST, LARGEST = 1 / 8, 4.0  # the magnitudes of ordinary numbers; numbers drawn for edges, except 1 and 2, are outside
WARMING_UP = 200  # programs that are not timed


@dataclass(frozen=True)
class Stream:
    """The time to verify a stream of programs.

    Args:
        name: the name of the stream.
        steps: the average number of steps of a program.
        seconds: the CPU time of each part.
        verdicts: the verdicts on the programs.
    """

    name: str
    steps: float
    seconds: Mapping[str, float]
    verdicts: Sequence[Verdict]

    @property
    def rate(self) -> float:
        """The number of verified programs per second."""
        return len(self.verdicts) / sum(self.seconds.values())

    @property
    def witnessed(self) -> float:
        """The share of programs for which the exact witness was asked."""
        return sum(v.witnessed for v in self.verdicts) / len(self.verdicts)


def is_plain(program: Program) -> bool:
    """Return whether a program is of first order, is not to be refused, and starts from ordinary numbers."""
    floats = [o.data for o in program.operands if o.data.dtype.kind == "f"]
    return program.cotangent is not None and not program.directions and all(map(_is_ordinary, floats))


def _is_ordinary(x: np.ndarray) -> bool:
    return bool(((abs(x) >= LEAST) & (abs(x) <= LARGEST)).all())


def numbers(wanted: Callable[[Program], bool]) -> Iterator[int]:
    """Yield the numbers of the programs that a predicate accepts."""
    return (number for number in count() if (program := _draw_program(number)) is not None and wanted(program))


def _draw_program(number: int) -> Program | None:
    try:
        return draw_program(Seeded(0, EXPRESSIONS, number))
    except Unsuited:
        return None


def in_bulk(name: str, chosen: Sequence[int]) -> Stream:
    """Draw and verify programs by their numbers, and time each part.

    The time of the verdict is that of judging less the three runs that every program needs. Further runs, which only
    some programs need, count as part of the verdict.
    """
    engine, reference = NdgradEngine(), TorchEngine()

    def twice(program: Program) -> Outcome:
        once = engine.run(program)
        return once if once.error is not None or program.cotangent is None else engine.again(program)

    draw, drawn_programs = _timed(lambda: [_draw_program(number) for number in chosen])
    cases = [program for program in drawn_programs if program is not None]
    ours, _ = _timed(lambda: [twice(program).error for program in cases])
    theirs, _ = _timed(lambda: [reference.run(program).error for program in cases])
    judged, verdicts = _timed(lambda: [judge(program, engine, reference) for program in cases])
    seconds = dict(zip(PARTS, (draw, ours, theirs, judged - ours - theirs), strict=True))
    return Stream(name, sum(len(p.steps) for p in cases) / len(cases), seconds, verdicts)


def by_hypothesis(examples: int) -> Stream:
    """Verify programs that Hypothesis draws."""
    engine, reference = NdgradEngine(), TorchEngine()
    steps: list[int] = []
    judged: list[tuple[float, Verdict]] = []

    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate], derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(programs())
    def verify(program: Program) -> None:
        steps.append(len(program.steps))
        judged.append(_timed(lambda: judge(program, engine, reference)))

    whole, _ = _timed(verify)
    judging = sum(seconds for seconds, _ in judged)
    verdicts = [verdict for _, verdict in judged]
    return Stream("by Hypothesis", sum(steps) / len(steps), {"draw": whole - judging, "judge": judging}, verdicts)


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


# The report.

HEAD = (
    "programs",
    "steps",
    "verified",
    "a second",
    "aim",
    *(f"{part}, µs" for part in PARTS),
    f"witness asked, ≤ {MOST_WITNESSED:.1%}",
)


def row(stream: Stream) -> list[str]:
    """Return the row of a stream in the table."""
    aim = AIMS.get(stream.name)
    number = len(stream.verdicts)
    return [
        stream.name,
        f"{stream.steps:.1f}",
        f"{number:,}",
        f"{stream.rate:,.0f}",
        "" if aim is None else f"{aim:,}{_reached(stream.rate >= aim)}",
        *(f"{1e6 * stream.seconds[part] / number:.0f}" if part in stream.seconds else "" for part in PARTS),
        f"{stream.witnessed:.2%}" + (_reached(stream.witnessed <= MOST_WITNESSED) if stream.name == "plain" else ""),
    ]


def _reached(aim: bool) -> str:  # noqa: FBT001 - the only parameter
    return " met" if aim else " not met"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and draw the picture. The exit status is 1 if the engine was wrong anywhere."""
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness", description=description)
    parser.add_argument("--programs", type=int, default=4_000, metavar="N", help="how many of each (default: 4,000)")
    parser.add_argument(
        "--write", action="store_true", help=f"renew {page.PAGE.name} and {growth.PICTURE.name} as well"
    )
    options = parser.parse_args(arguments)
    one_thread()
    gc.freeze()  # as verify does
    heading = report.heading(report.system_info())
    print(heading, flush=True)
    streams = list(_streams(options.programs))
    print(f"\n{report.aligned([HEAD, *map(row, streams)])}\n", flush=True)
    found = list(growth.measure())
    print(f"{report.aligned(list(growth.rows(found)))}\n\n{growth.summary(found)}")
    if options.write:
        page.write_harness(heading, [HEAD, *map(row, streams)])
        growth.PICTURE.write_text(growth.draw(found))
    return int(any(verdict.result.blames for stream in streams for verdict in stream.verdicts))


def _streams(each: int) -> Iterator[Stream]:
    in_bulk("warming up", range(WARMING_UP))
    yield in_bulk("plain", list(islice(numbers(is_plain), each)))
    yield in_bulk("mixed", range(each))
    yield by_hypothesis(each // 4)


if __name__ == "__main__":
    sys.exit(main())
