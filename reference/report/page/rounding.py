"""The sixth panel: why two right engines differ in the last bit, measured on this machine."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndgrad.rules import RULES
from reference.engines.exact.numbers import computed, exactly, precisely
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.ops import OPS
from reference.programs import LEAF, Operand, Program, Step, parse
from reference.report.page.lessons import LESSONS
from reference.report.page.numbers import full, ulp_text
from reference.report.page.sides import Number, exact_gradient, gradients, numbers, three_sides
from reference.verdict import ulps

SAMPLES, WITNESSED = 20_000, 1_000  # numbers for each op, and how many of these the witness computes
SHOWN = ("add", "multiply", "divide", "sqrt", "exp", "log", "sin", "tanh", "sigmoid")
FAR = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
SUMMED = 1_000


@dataclass(frozen=True)
class Equal:
    """How often an op's results have equal bits, their largest distance, and how often each is best.

    Args:
        op: the op.
        alike: the share of equal results.
        worst: the largest distance, in ULP.
        mine: how often ndgrad's result is the double nearest to the exact number.
        theirs: how often PyTorch's result is.
    """

    op: str
    alike: float
    worst: str
    mine: float
    theirs: float


@dataclass(frozen=True)
class Slope:
    """tanh and its slope at one x.

    Args:
        x: the argument.
        value: tanh, from three sides.
        slope: its slope, from three sides.
        once: 1 - tanh² of PyTorch's tanh, computed exactly and rounded once.
        magnified: the effect of one ULP of tanh on 1 - tanh², in ULP: 2 tanh times that ULP.
    """

    x: str
    value: Number
    slope: Number
    once: str
    magnified: str


@dataclass(frozen=True)
class Total:
    """One way to add up the same numbers: its description, the sum, and the sum's distance to the exact sum in ULP."""

    how: str
    total: str
    off: str


@dataclass(frozen=True)
class Twins:
    """Two doubles that differ in the last bits, both in binary, split where they begin to differ.

    Args:
        what: the neuron's node with this gradient, the first one in the backward pass in which both sides differ.
        after: the node after it.
        mine: ndgrad's number.
        theirs: PyTorch's number.
        exact: the exact number.
        same: the common leading bits.
        mine_bits: ndgrad's remaining bits.
        their_bits: PyTorch's remaining bits.
        value: the value of `after`, if it is equal on both sides.
        squared: its rounded square, if 1 minus this square is ndgrad's number.
        once: whether PyTorch's number is 1 minus the square, rounded once.
    """

    what: str
    after: str
    mine: str
    theirs: str
    exact: str
    same: str
    mine_bits: str
    their_bits: str
    value: str
    squared: str
    once: bool


@dataclass(frozen=True)
class Rounding:
    """The contents of the panel."""

    equal: Sequence[Equal]
    slopes: Sequence[Slope]
    totals: Sequence[Total]
    grouped: Sequence[Total]
    twins: Twins

    @property
    def fused(self) -> bool:
        """Whether each of PyTorch's slopes of tanh is 1 - tanh² rounded once."""
        return all(row.slope.theirs == row.once for row in self.slopes)


def measure_rounding() -> Rounding:
    """Make the panel."""
    return Rounding([_equal(op) for op in SHOWN], [_slope(x) for x in FAR], _totals(), _grouped(), _twins())


def _equal(op: str) -> Equal:
    rng = np.random.default_rng(0)
    positive = op in ("sqrt", "log", "divide")
    operands = [rng.uniform(0.0 if positive else -4.0, 4.0, SAMPLES) for _ in RULES[op].pullbacks]
    program = _elementwise(op, operands)
    mine, theirs = (engine.run(program).values[-1] for engine in (NdgradEngine(), TorchEngine()))
    with precisely():
        exact = computed(OPS[op].definition, [exactly(x[:WITNESSED]) for x in operands], {})
    best = np.array([float(x) for x in exact])
    shares = [float(np.mean(side[:WITNESSED] == best)) for side in (mine, theirs)]
    return Equal(op, float(np.mean(mine == theirs)), ulp_text(float(ulps(mine, theirs).max())), *shares)


def _elementwise(op: str, operands: Sequence[np.ndarray]) -> Program:
    leaves = tuple(Operand(name, x, LEAF) for name, x in zip("xy", operands, strict=False))
    return Program(leaves, (Step(op, tuple(range(len(leaves)))),), np.ones_like(operands[0]))


def _slope(x: float) -> Slope:
    sides = three_sides(parse(f"x=f8({x}); a=tanh(x); back(a,f8(1.0))"))
    y = sides.mine.values[0]
    with precisely():
        once = float(1 - exactly(sides.theirs.values[0])[()] ** 2)
    magnified = float(2 * y * np.spacing(y) / np.spacing(once))
    return Slope(full(x), sides.value(1)[0], sides.gradient(0)[0], full(once), f"{magnified:.2g}")


def _totals() -> list[Total]:
    """Add up a thousand numbers in several orders."""
    x = np.random.default_rng(1).normal(size=SUMMED)
    program = Program(
        (Operand("x", x, LEAF),), (Step("sum", (0,), {"axis": None, "keepdims": False}),), np.asarray(1.0)
    )
    engines = [(engine.name, engine.run(program).values[0]) for engine in (NdgradEngine(), TorchEngine())]
    exact = math.fsum(x)
    ways = [
        *((f"{name}: sum", total) for name, total in engines),
        ("one after the other", _one_by_one(x)),
        ("from the last to the first", _one_by_one(x[::-1])),
        ("from the smallest to the largest", _one_by_one(np.sort(x))),
        ("the exact sum, rounded once", exact),
    ]
    return [_total(how, total, exact) for how, total in ways]


def _one_by_one(x: np.ndarray) -> float:
    total = 0.0
    for number in x.tolist():
        total += number
    return total


def _grouped() -> list[Total]:
    """Add up 0.1, 0.2 and 0.3 in either grouping, a well-known example."""
    exact = math.fsum((0.1, 0.2, 0.3))
    left = parse("x=f8(0.1); y=f8(0.2); z=f8(0.3); a=add(x,y); b=add(a,z); back(b,f8(1.0))")
    right = parse("x=f8(0.1); y=f8(0.2); z=f8(0.3); a=add(y,z); b=add(x,a); back(b,f8(1.0))")
    ways = (("(0.1 + 0.2) + 0.3", left), ("0.1 + (0.2 + 0.3)", right))
    return [_total(how, NdgradEngine().run(program).values[-1], exact) for how, program in ways]


def _total(how: str, total: Any, exact: float) -> Total:
    return Total(how, full(total), ulp_text(float(ulps(np.asarray(total, float), np.asarray(exact)))))


def _twins() -> Twins:
    """Compare the neuron's gradient before its tanh: the first one in the backward pass, equal to 1 - tanh²."""
    sides = three_sides(LESSONS[0].program)
    program = sides.program
    before = program.steps[-1].inputs[0]
    mine, theirs = (float(gradients(program, side)[before]) for side in (sides.mine, sides.theirs))
    number = numbers(mine, theirs, exact_gradient(program, before, sides.exact[before]))[0]
    first, second = _binary(mine), _binary(theirs)
    cut = next((k for k, (a, b) in enumerate(zip(first, second, strict=True)) if a != b), len(first))
    f, other = float(sides.mine.values[-1]), float(sides.theirs.values[-1])
    with precisely():
        once = float(1 - exactly(np.asarray(other))[()] ** 2)
    return Twins(
        what=program.names[before],
        after=program.names[program.result],
        mine=number.mine,
        theirs=number.theirs,
        exact=number.exact,
        same=first[:cut],
        mine_bits=first[cut:],
        their_bits=second[cut:],
        value=full(f) if f == other else "",
        squared=full(f * f) if 1 - f * f == mine else "",
        once=theirs == once,
    )


def _binary(x: float) -> str:
    """Format a double in binary: sign, exponent and fraction."""
    bits = f"{struct.unpack('<Q', struct.pack('<d', x))[0]:064b}"
    return f"{bits[0]} {bits[1:12]} {bits[12:]}"
