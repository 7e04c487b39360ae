"""Random calls of an op: the number of operands, their shapes and the options.

`draw(source, shape, slot) -> (shapes, options)` is given the shape of the operand in one slot, and draws the shapes of
all operands and the options. Each op row has one such function for valid calls, and one for calls that NumPy refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from reference.ops.options import NUMBERS, Option, Options, Sampler, axis_of, no_options, one_axis
from reference.ops.shapes import MOST_AXES, MOST_NUMBERS, Shape, any_small, bounded, broadcastable
from reference.ops.source import Source, Unsuited, chance, pick

Call: TypeAlias = tuple[list[Shape], Options]


@dataclass(frozen=True)
class Inputs:
    """How to draw the shapes and options of a call.

    Args:
        slots: the number of places where an existing value may stand as operand.
        draw: draws the shapes of all operands and the options, given one operand's shape and its slot.
        start: draws the shape of a fresh first operand, if some shapes are more interesting than others.
        ways: how often the op is drawn, relative to an op without options: more options, more ways to call it.
        options: a description of each option, by name.
        elementwise: whether each number of the result depends on one number of each operand only.
    """

    slots: int
    draw: Callable[[Source, Shape, int], Call]
    start: Callable[[Source], Shape] | None = None
    ways: int = 1
    options: Mapping[str, Option] = field(default_factory=dict)
    elementwise: bool = False


def unary(sample: Sampler = no_options, start: Callable[[Source], Shape] | None = None, ways: int = 1) -> Inputs:
    """Describe calls with one operand, of any shape for which options can be drawn."""

    def draw_call(source: Source, shape: Shape, slot: int) -> Call:
        del slot
        return [shape], sample(source, shape)

    return Inputs(1, draw_call, start, ways, sample.options, elementwise=sample is no_options)


def broadcast(operands: int, sample: Sampler = no_options, ways: int = 1) -> Inputs:
    """Describe calls with several operands that broadcast together. The options are drawn for the result's shape."""

    def draw_call(source: Source, shape: Shape, slot: int) -> Call:
        shapes = [shape]
        for _ in range(operands - 1):
            shapes.append(broadcastable(source, bounded(np.broadcast_shapes(*shapes))))
        whole = bounded(np.broadcast_shapes(*shapes))
        shapes.insert(slot, shapes.pop(0))
        return shapes, sample(source, whole)

    return Inputs(operands, draw_call, ways=ways, options=sample.options, elementwise=sample is no_options)


def unbroadcastable(operands: int, sample: Sampler = no_options) -> Inputs:
    """Describe calls with operands that do not broadcast together."""

    def draw_call(source: Source, shape: Shape, slot: int) -> Call:
        wide = [i for i, n in enumerate(shape) if n > 1]
        if not wide:
            raise Unsuited
        axis = pick(source, wide)
        other = tuple(n + (2 if i == axis else 0) for i, n in enumerate(shape))
        shapes = [shape] + [other] * (operands - 1)
        shapes.insert(slot, shapes.pop(0))
        return shapes, sample(source, shape)

    return Inputs(operands, draw_call)


# Joining.


def _joined(source: Source, shape: Shape, slot: int) -> Call:
    """One to three arrays, of different lengths along the axis on which they are joined."""
    several = range(max(source.integer(1, 3), slot + 1))
    if not shape or chance(source, 15):
        options: Options = {"axis": None}
        shapes = [any_small(source) for _ in several]
    else:
        options = one_axis(source, shape)
        axis = options["axis"] % len(shape)
        shapes = [(*shape[:axis], source.integer(0, 4), *shape[axis + 1 :]) for _ in several]
    shapes[slot] = shape
    if sum(math.prod(s) for s in shapes) > MOST_NUMBERS:
        raise Unsuited
    return shapes, options


def _misjoined(source: Source, shape: Shape, slot: int) -> Call:
    """Two arrays that differ along another axis than the one on which they are joined."""
    del slot
    if len(shape) < 2:  # noqa: PLR2004
        return [shape, (*shape, 2)], {"axis": 0}
    axis = source.integer(0, len(shape) - 1)
    other = tuple(n if i == axis else n + 1 for i, n in enumerate(shape))
    return [shape, other], {"axis": axis}


def _stacked(source: Source, shape: Shape, slot: int) -> Call:
    """One to three arrays of one shape."""
    several = max(source.integer(1, 3), slot + 1)
    if several * math.prod(shape) > MOST_NUMBERS:
        raise Unsuited
    return [shape] * several, {"axis": axis_of(source, len(shape) + 1)}


def _misstacked(source: Source, shape: Shape, slot: int) -> Call:
    """Two arrays of different shapes."""
    del source, slot
    return [shape, (*shape, 2)], {"axis": 0}


# Products.


def _matrices(source: Source, shape: Shape, slot: int) -> Call:
    """Vectors, matrices, batches, and batches that broadcast; lengths differ unless they must agree."""
    if not shape:
        raise Unsuited
    free = pick(source, [2, 3, 4, 1])
    inner = shape[-1] if slot == 0 else shape[-2] if len(shape) > 1 else shape[-1]
    other: Shape = pick(source, [(inner, free), (inner,), (inner, free), (inner, inner)]) if slot == 0 else pick(
        source, [(free, inner), (inner,), (free, inner), (inner, inner)])  # fmt: skip
    if len(other) > 1:
        other = (*broadcastable(source, shape[:-2]), *other)
    shapes = [shape, other] if slot == 0 else [other, shape]
    sizes = np.broadcast_shapes(shape[:-2], other[:-2])
    if math.prod(sizes) * inner * free > MOST_NUMBERS or len(sizes) + 2 > MOST_AXES:
        raise Unsuited
    return shapes, {}


def _mismatched(source: Source, shape: Shape, slot: int) -> Call:
    """Matrices whose inner lengths differ."""
    if not shape:
        raise Unsuited
    other = (shape[-1] + source.integer(1, 2), 2)
    return ([shape, other] if slot == 0 else [(2, shape[0 if len(shape) == 1 else -2] + 1), shape]), {}


def _dotted(source: Source, shape: Shape, slot: int) -> Call:
    """Operands of `dot`: a number, vectors, or arrays whose last axis meets the other's second-to-last axis."""
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


def _outers(source: Source, shape: Shape, slot: int) -> Call:
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
