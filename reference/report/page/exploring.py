"""The fourth panel: functions of one number, their slopes from three sides, and finite differences.

Everything is recorded on grids of x and h, along which the page's sliders move. JavaScript computes no slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reference.engines.exact.numbers import exactly, precisely
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.programs import LEAF, Program, parse
from reference.report.page.numbers import exact_text, full, pack, ulp_text
from reference.report.page.sides import slope
from reference.verdict import ulps

POINTS, FINE = 41, 4  # values of x, and points of the curve between two of them
STEPS = 10.0 ** (np.arange(25) * 2 / 3 - 16)  # values of h, from 1e-16 to 1


@dataclass(frozen=True)
class Curve:
    """A function to explore.

    Args:
        name: its name in links.
        title: its formula.
        words: what to look at.
        program: the program that computes it; the cotangent reduces the result to one number.
        low: the smallest x.
        high: the largest x.
        leaf: the index of the operand that holds x.
        place: the place of x in it.
    """

    name: str
    title: str
    words: str
    program: Program
    low: float
    high: float
    leaf: int = 0
    place: tuple[int, ...] = ()


# fmt: off
CURVES = (
    Curve("parabola", "3x² − 4x + 5", "A parabola. Its slope is 6x − 4; the forward difference is larger by 3h.",
          parse("x=f8(0.0); k=3.0; l=4.0; m=5.0; a=square(x); b=multiply(a,k); c=multiply(x,l); d=subtract(b,c); e=add(d,m); back(e,f8(1.0))"),
          -2.0, 3.0),
    Curve("sin", "sin x", "If the curve bends, the secant deviates from it.",
          parse("x=f8(0.0); a=sin(x); back(a,f8(1.0))"), -5.0, 5.0),
    Curve("tanh", "tanh x", "Far from 0 it is nearly flat: the difference of two numbers near 1 has few digits left.",
          parse("x=f8(0.0); a=tanh(x); back(a,f8(1.0))"), -5.0, 5.0),
    Curve("exp", "eˣ", "Its slope is its value.",
          parse("x=f8(0.0); a=exp(x); back(a,f8(1.0))"), -2.5, 2.5),
    Curve("reciprocal", "1 / x", "Near 0, an h of 1 reaches another part of the curve.",
          parse("x=f8(1.0); k=1.0; a=divide(k,x); back(a,f8(1.0))"), 0.125, 5.125),
    Curve("relu", "relu x = max(0, x)", "At 0 it has a kink: any slope from 0 to 1 is a subgradient, and both engines choose 0.",
          parse("x=f8(0.0); a=relu(x); back(a,f8(1.0))"), -2.5, 2.5),
)
# fmt: on


@dataclass(frozen=True)
class Point:
    """The slope at one x, from three sides, and the distance between ndgrad's and PyTorch's."""

    x: str
    mine: str
    theirs: str
    exact: str
    ulp: str


@dataclass(frozen=True)
class CurveData:
    """A function with its records for JavaScript, and some points for readers without JavaScript."""

    curve: Curve
    data: dict[str, Any]
    points: Sequence[Point]


def record_curves(curves: Sequence[Curve] = CURVES) -> list[CurveData]:
    """Record each function."""
    return [_explored(curve) for curve in curves]


def _explored(curve: Curve) -> CurveData:
    fine = np.linspace(curve.low, curve.high, (POINTS - 1) * FINE + 1)
    xs = fine[::FINE]
    points = [_point(curve, x) for x in xs]
    values = np.array([_value(curve, x) for x in fine])
    differences = np.array(
        [[_difference(curve, x, h, y) for h in STEPS] for x, y in zip(xs, values[::FINE], strict=True)]
    )
    exact = np.array([np.nan if p.exact == "–" else float(p.exact) for p in points])
    slopes = np.array([float(p.mine) for p in points])
    with np.errstate(invalid="ignore"):  # a function may be undefined
        errors = np.abs(differences - exact[:, None])
    data = {
        "name": curve.name, "title": curve.title, "words": curve.words,
        "fine": pack(fine), "values": pack(values), "h": pack(STEPS), "slopes": pack(slopes),
        "differences": pack(differences), "errors": pack(errors),
        "points": [[p.x, p.mine, p.theirs, p.exact, p.ulp] for p in points],
    }  # fmt: skip
    return CurveData(curve, data, points[:: (POINTS - 1) // 8])


def _at(curve: Curve, x: float) -> Program:
    operands = list(curve.program.operands)
    data = np.array(operands[curve.leaf].data)
    data[curve.place] = x
    operands[curve.leaf] = replace(operands[curve.leaf], data=data)
    return replace(curve.program, operands=tuple(operands))


def _value(curve: Curve, x: float) -> float:
    program = _at(curve, x)
    values = NdgradEngine().run(replace(program, cotangent=None)).values
    return float(np.sum(values[-1] * program.cotangent))


def _difference(curve: Curve, x: float, h: float, y: float) -> float:
    """Compute the slope of the secant from x to x + h."""
    return (_value(curve, x + h) - y) / h


def _gradient(gradient: Any, curve: Curve) -> float:
    """Return a gradient's number at the curve's place; 0 if the result does not depend on the leaf."""
    return 0.0 if gradient is None else float(np.asarray(gradient)[curve.place])


def _point(curve: Curve, x: float) -> Point:
    program = _at(curve, x)
    leaf = sum(o.kind == LEAF for o in program.operands[: curve.leaf])
    mine, theirs = (_gradient(engine.run(program).gradients[leaf], curve) for engine in (NdgradEngine(), TorchEngine()))
    with precisely():
        exact = slope(program, curve.leaf, exactly(program.operands[curve.leaf].data), curve.place)
    distance = float(ulps(np.asarray(mine), np.asarray(theirs)))
    return Point(full(x), full(mine), full(theirs), exact_text(exact), ulp_text(distance))
