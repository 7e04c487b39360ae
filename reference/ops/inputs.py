"""What operands an op is met with: how many, of what shapes, with what options.

`draw(source, shape, slot) -> (shapes, options)`: given the shape of the operand in one slot, the shapes of all operands
and the options. The rows of ops name what they are met with, and what NumPy refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from reference.ops.options import NUMBERS, Drawing, Option, Options, axis_of, no_options, one_axis
from reference.ops.shapes import MOST_AXES, MOST_NUMBERS, Shape, any_small, bounded, mate
from reference.ops.source import Source, Unsuited, chance, pick

Drawn: TypeAlias = tuple[list[Shape], Options]


@dataclass(frozen=True)
class Inputs:
    """How shapes and options are drawn, and in how many slots a value that is already there may stand.

    Args:
        slots: the number of places for an operand that is there already.
        draw: draws the shapes of all operands and the options, given the shape of one.
        start: draws the shape of a fresh first operand, where not any shape is as interesting as another.
        ways: how many times as often it is met as an op without options: there are more ways to meet it.
        options: what the options are, by name.
        elementwise: whether each number of the result is one of a number of each operand, and of nothing else.
    """

    slots: int
    draw: Callable[[Source, Shape, int], Drawn]
    start: Callable[[Source], Shape] | None = None
    ways: int = 1
    options: Mapping[str, Option] = field(default_factory=dict)
    elementwise: bool = False


def alone(draw: Drawing = no_options, start: Callable[[Source], Shape] | None = None, ways: int = 1) -> Inputs:
    """One operand, any shape that the options can be drawn for."""

    def drawn(source: Source, shape: Shape, slot: int) -> Drawn:
        del slot
        return [shape], draw(source, shape)

    return Inputs(1, drawn, start, ways, draw.options, elementwise=draw is no_options)


def broadcast(operands: int, draw: Drawing = no_options, ways: int = 1) -> Inputs:
    """Several operands that broadcast together. The options are drawn for the shape of the result."""

    def drawn(source: Source, shape: Shape, slot: int) -> Drawn:
        shapes = [shape]
        for _ in range(operands - 1):
            shapes.append(mate(source, bounded(np.broadcast_shapes(*shapes))))
        whole = bounded(np.broadcast_shapes(*shapes))
        shapes.insert(slot, shapes.pop(0))
        return shapes, draw(source, whole)

    return Inputs(operands, drawn, ways=ways, options=draw.options, elementwise=draw is no_options)


def unmated(operands: int, draw: Drawing = no_options) -> Inputs:
    """Operands that do not broadcast together."""

    def drawn(source: Source, shape: Shape, slot: int) -> Drawn:
        wide = [i for i, n in enumerate(shape) if n > 1]
        if not wide:
            raise Unsuited
        axis = pick(source, wide)
        other = tuple(n + (2 if i == axis else 0) for i, n in enumerate(shape))
        shapes = [shape] + [other] * (operands - 1)
        shapes.insert(slot, shapes.pop(0))
        return shapes, draw(source, shape)

    return Inputs(operands, drawn)


# Joining.


def _joined(source: Source, shape: Shape, slot: int) -> Drawn:
    """Arrays that differ along the axis they are joined on, one to three of them."""
    several = range(max(source.integer(1, 3), slot + 1))
    if not shape or chance(source, 15):
        drawn: Options = {"axis": None}
        shapes = [any_small(source) for _ in several]
    else:
        drawn = one_axis(source, shape)
        axis = drawn["axis"] % len(shape)
        shapes = [(*shape[:axis], source.integer(0, 4), *shape[axis + 1 :]) for _ in several]
    shapes[slot] = shape
    if sum(math.prod(s) for s in shapes) > MOST_NUMBERS:
        raise Unsuited
    return shapes, drawn


def _misjoined(source: Source, shape: Shape, slot: int) -> Drawn:
    """Arrays that differ along another axis than that they are joined on."""
    del slot
    if len(shape) < 2:  # noqa: PLR2004
        return [shape, (*shape, 2)], {"axis": 0}
    axis = source.integer(0, len(shape) - 1)
    other = tuple(n if i == axis else n + 1 for i, n in enumerate(shape))
    return [shape, other], {"axis": axis}


def _stacked(source: Source, shape: Shape, slot: int) -> Drawn:
    """Arrays of one shape, one to three of them."""
    several = max(source.integer(1, 3), slot + 1)
    if several * math.prod(shape) > MOST_NUMBERS:
        raise Unsuited
    return [shape] * several, {"axis": axis_of(source, len(shape) + 1)}


def _misstacked(source: Source, shape: Shape, slot: int) -> Drawn:
    """Arrays of different shapes."""
    del source, slot
    return [shape, (*shape, 2)], {"axis": 0}


# Products.


def _matrices(source: Source, shape: Shape, slot: int) -> Drawn:
    """Vectors, matrices, batches, and batches that broadcast; sizes that differ unless they must agree."""
    if not shape:
        raise Unsuited
    free = pick(source, [2, 3, 4, 1])
    inner = shape[-1] if slot == 0 else shape[-2] if len(shape) > 1 else shape[-1]
    other: Shape = pick(source, [(inner, free), (inner,), (inner, free), (inner, inner)]) if slot == 0 else pick(
        source, [(free, inner), (inner,), (free, inner), (inner, inner)])  # fmt: skip
    if len(other) > 1:
        other = (*mate(source, shape[:-2]), *other)
    shapes = [shape, other] if slot == 0 else [other, shape]
    sizes = np.broadcast_shapes(shape[:-2], other[:-2])
    if math.prod(sizes) * inner * free > MOST_NUMBERS or len(sizes) + 2 > MOST_AXES:
        raise Unsuited
    return shapes, {}


def _mismatched(source: Source, shape: Shape, slot: int) -> Drawn:
    """Matrices whose inner lengths differ."""
    if not shape:
        raise Unsuited
    other = (shape[-1] + source.integer(1, 2), 2)
    return ([shape, other] if slot == 0 else [(2, shape[0 if len(shape) == 1 else -2] + 1), shape]), {}


def _dotted(source: Source, shape: Shape, slot: int) -> Drawn:
    """As `dot` takes them: a number, vectors, and the last axis against the last but one."""
    if not shape or chance(source, 10):
        other: Shape = () if shape else any_small(source)
    else:
        free = pick(source, [2, 3, 1])
        inner = shape[-1] if slot == 0 or len(shape) == 1 else shape[-2]
        if slot == 0:
            other = pick(source, [(inner, free), (inner,), (2, inner, free), (inner, inner)])
        else:
            other = pick(source, [(free, inner), (inner,), (2, free, inner), (inner, inner)])
    shapes = [shape, other] if slot == 0 else [other, shape]
    a, b = shapes
    if math.prod(a) * math.prod(b) > MOST_NUMBERS * 4 or len(a) + len(b) > MOST_AXES + 1:
        raise Unsuited
    return shapes, {}


def _outers(source: Source, shape: Shape, slot: int) -> Drawn:
    """Any two shapes."""
    other = shape if chance(source, 30) else any_small(source)
    if math.prod(shape) * math.prod(other) > MOST_NUMBERS:
        raise Unsuited
    return ([shape, other] if slot == 0 else [other, shape]), {}


joined = Inputs(3, _joined, ways=2, options={"axis": Option((None, *NUMBERS.every))})
misjoined = Inputs(1, _misjoined)
stacked, misstacked = Inputs(3, _stacked, options={"axis": NUMBERS}), Inputs(1, _misstacked)
matrices, mismatched = Inputs(2, _matrices, ways=3), Inputs(2, _mismatched)
dotted, outers = Inputs(2, _dotted, ways=2), Inputs(2, _outers)
