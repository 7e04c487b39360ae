"""Growth of the time of a verdict with the steps, the elements and the operands of a program.

In each series of programs one size varies. Both sides agree on them to the bit, so the time is what every program
costs: two runs of the engine, one of the reference, the laws, and the comparison.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import report
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.programs import NUMBER, Operand, Program, Step, operand_names
from reference.verdict import Result, judge

PICTURE = Path(__file__).parent.parent / "docs" / "growth.svg"
ROUNDS = 7  # the fastest round counts
LINEAR = 1.2  # a larger exponent is superlinear: cache misses turn 1 into 1.1, and a square would show as 2


def in_steps(size: int) -> Program:
    """Return a chain of `size` steps on four numbers: add an operand, multiply by a number, and so on."""
    operands = (Operand("x", np.array([1.0, 2.0, -1.0, 0.5])), Operand("y", np.array(0.75), NUMBER))
    pairs = [("add", 0), ("multiply", 1)]
    steps = [Step(pairs[i % 2][0], (i + 1 if i else 0, pairs[i % 2][1])) for i in range(size)]
    return Program(operands, tuple(steps), np.array([1.0, -2.0, 0.5, 3.0]))


def in_elements(size: int) -> Program:
    """Return eight steps on `size` numbers."""
    numbers = np.arange(1, size + 1) / size
    return Program((Operand("x", numbers), *in_steps(8).operands[1:]), in_steps(8).steps, numbers)


def in_operands(size: int) -> Program:
    """Return a single step with `size` operands."""
    operands = [Operand(name, np.array([1.0, 2.0])) for name, _ in zip(operand_names(), range(size), strict=False)]
    return Program(tuple(operands), (Step("stack", tuple(range(size))),), np.ones((size, 2)) / 2)


# fmt: off
AXES: Mapping[str, tuple[Callable[[int], Program], Sequence[int]]] = {
    #            program      sizes
    "steps":    (in_steps,    [8 * 4**k for k in range(5)]),
    "elements": (in_elements, [64 * 8**k for k in range(5)]),
    "operands": (in_operands, [2 * 4**k for k in range(5)]),
}
# fmt: on


@dataclass(frozen=True)
class Growth:
    """The time of a verdict as a function of one size of its program.

    Args:
        axis: the name of the size.
        sizes: the measured sizes.
        seconds: the CPU time for each size.
    """

    axis: str
    sizes: Sequence[int]
    seconds: Sequence[float]

    @property
    def exponent(self) -> float:
        """The exponent of the power law, fitted to the larger half of the sizes: fixed costs dominate the others."""
        upper = slice(len(self.sizes) // 2, None)
        return float(np.polyfit(np.log(self.sizes[upper]), np.log(self.seconds[upper]), 1)[0])


def measure() -> Iterator[Growth]:
    """Measure each axis."""
    for axis, (program_of, sizes) in AXES.items():
        yield Growth(axis, sizes, [_seconds(program_of(size)) for size in sizes])


def _seconds(program: Program) -> float:
    engine, reference = NdgradEngine(), TorchEngine()
    assert judge(program, engine, reference).result is Result.AGREES  # noqa: S101 - a disagreement would cost more
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        judge(program, engine, reference)
        times.append(time.process_time() - start)
    return min(times)


def rows(found: Sequence[Growth]) -> Iterator[Sequence[str]]:
    """Yield a row of the table for each axis: the exponent, and the time for each size."""
    for growth in found:
        times = [f"{size:,}: {report.duration(s)}" for size, s in zip(growth.sizes, growth.seconds, strict=True)]
        yield [growth.axis, f"{growth.exponent:.2f}", *times]


def summary(found: Sequence[Growth]) -> str:
    """Say in a sentence whether the time grows faster than any size."""
    faster = [f"{g.axis} (exponent {g.exponent:.2f})" for g in found if g.exponent > LINEAR]
    if not faster:
        return "The time does not grow faster than any size."
    return f"The time grows faster than the number of {', '.join(faster)}."


# The picture.

SIDE, GAP, EDGE = 220, 70, 60  # in pixels
LEAST, MOST = 1e-4, 1.0  # seconds
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.rule { stroke: #d0d7de } .time { stroke: #3a86c8; fill: none; stroke-width: 2 } circle { fill: #3a86c8 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .rule { stroke: #30363d } }"""


def draw(found: Sequence[Growth]) -> str:
    """Draw an SVG with a panel for each axis, on logarithmic scales."""
    width, height = EDGE + len(found) * (SIDE + GAP), SIDE + 2 * EDGE
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    panels = [part for i, growth in enumerate(found) for part in _panel(EDGE + i * (SIDE + GAP), growth)]
    title = "<title>Time of a verdict against the size of its program</title>"
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', title, f"<style>\n{STYLE}\n</style>", *panels, "</svg>\n"]
    )


def _panel(left: float, growth: Growth) -> Iterator[str]:
    for power in range(round(math.log10(LEAST)), round(math.log10(MOST)) + 1):
        y = _height(10.0**power)
        yield f'<line class="rule" x1="{left}" x2="{left + SIDE}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{_unit(power)}</text>'
    whole = math.log(growth.sizes[-1] / growth.sizes[0])
    places = [left + SIDE * math.log(size / growth.sizes[0]) / whole for size in growth.sizes]
    points = [(x, _height(seconds)) for x, seconds in zip(places, growth.seconds, strict=True)]
    yield f'<polyline class="time" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points)
    for size, x in list(zip(growth.sizes, places, strict=True))[:: len(places) - 1]:
        yield f'<text x="{x:.1f}" y="{EDGE + SIDE + 18}" text-anchor="middle">{size:,}</text>'
    name = f"{growth.axis}: exponent {growth.exponent:.2f}"
    yield f'<text x="{left + SIDE / 2}" y="{EDGE - 16}" text-anchor="middle">{name}</text>'


def _height(seconds: float) -> float:
    return EDGE + SIDE * math.log(MOST / seconds) / math.log(MOST / LEAST)


def _unit(power: int) -> str:
    return {0: "1 s", -1: "100 ms", -2: "10 ms", -3: "1 ms", -4: "0.1 ms"}[power]
