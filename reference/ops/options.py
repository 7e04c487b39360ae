"""Samplers of options: for each family of ops one, given the shape of the operand.

A sampler also describes its options. It lists one value of each kind, allowed or not, so that a test can try all that
NumPy refuses; and it marks arrays and indices, so that they shrink with the operand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from reference.ops.shapes import MOST_AXES, Shape, bounded
from reference.ops.source import Source, Unsuited, chance, pick, shuffled

Options: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Option:
    """The description of an option.

    Args:
        every: a value of each kind, allowed or not, the simplest first; empty if values depend on the operand.
        lacks: for an array with the operand's axes: how many of the last axes it lacks. None for other options.
        is_index: whether it is an index, as in brackets.
    """

    every: tuple[Any, ...] = ()
    lacks: int | None = None
    is_index: bool = False


@dataclass(frozen=True)
class Sampler:
    """A function that draws options for an operand's shape, with their descriptions."""

    draw: Callable[[Source, Shape], Options]
    options: Mapping[str, Option] = field(default_factory=dict)

    def __call__(self, source: Source, shape: Shape) -> Options:
        """Draw options.

        Raises:
            Unsuited: no options fit this shape.
        """
        return self.draw(source, shape)


def sampler_of(**options: Option) -> Callable[[Callable[[Source, Shape], Options]], Sampler]:
    """Describe the options that the decorated function draws."""
    return lambda draw: Sampler(draw, options)


@Sampler
def no_options(source: Source, shape: Shape) -> Options:
    """Draw nothing."""
    del source, shape
    return {}


def fixed(name: str, values: Sequence[Any]) -> Sampler:
    """Make a sampler of one option that has one of these values."""
    return Sampler(lambda source, shape: {name: pick(source, values)}, {name: Option(tuple(values))})  # noqa: ARG005


# fmt: off
AXES    = Option((None, (), 0, 1, -1, -2, 2, -3, (0,), (0, 1), (1, 0), (-1, -2), (0, 2), (0, 0), (0, -1)))
NUMBERS = Option((0, 1, -1, -2, 2, -3))
FLAG    = Option((False, True))
# fmt: on


# Axes.


def axis_of(source: Source, rank: int) -> int:
    """Draw one of `rank` axes, counted from either end."""
    if not rank:
        raise Unsuited
    axes: list[int] = [*range(rank), *range(-rank, 0)]
    return pick(source, axes)


def _axes(source: Source, rank: int) -> tuple[int, ...]:
    """Draw axes in any order, some counted from the end; of three or more often two, so that the order matters."""
    count = 2 if rank > 2 and chance(source, 60) else source.integer(0, rank)  # noqa: PLR2004
    return tuple(a - rank if chance(source, 40) else a for a in shuffled(source, range(rank))[:count])


@sampler_of(axis=NUMBERS)
def one_axis(source: Source, shape: Shape) -> Options:
    """Draw an axis, counted from either end."""
    return {"axis": axis_of(source, len(shape))}


@sampler_of(axis=Option((None, *NUMBERS.every)))
def axis_or_none(source: Source, shape: Shape) -> Options:
    """Draw an axis or None."""
    return {"axis": None} if not shape or chance(source, 40) else one_axis(source, shape)


@sampler_of(axis=AXES)
def axes(source: Source, shape: Shape) -> Options:
    """Draw None, one axis, or a tuple of axes in any order, which may be empty."""
    manner = pick(source, ["one", "several", "none", "several", "one", "several", "none"])
    if manner == "none" or not shape:
        return {"axis": pick(source, [None, ()])} if not shape else {"axis": None}
    return one_axis(source, shape) if manner == "one" else {"axis": _axes(source, len(shape))}


@sampler_of(labels=Option(lacks=1))
def labels(source: Source, shape: Shape) -> Options:
    """Draw a class for each example; the classes are on the last axis."""
    if not shape or (not shape[-1] and 0 not in shape[:-1]):
        raise Unsuited
    classes = source.integers(0, shape[-1] - 1, math.prod(shape[:-1]))
    return {"labels": np.array(classes, np.int64).reshape(shape[:-1])}


@Sampler
def labels_outside(source: Source, shape: Shape) -> Options:
    """Draw a class that does not exist, or too many labels."""
    if not shape or 0 in shape[:-1]:
        raise Unsuited
    classes, batch = shape[-1], shape[:-1]
    return {"labels": pick(source, [np.full(batch, classes), np.full(batch, -1), np.zeros((*batch, 2), np.int64)])}


@sampler_of(axis=AXES, keepdims=FLAG)
def reduced(source: Source, shape: Shape) -> Options:
    """Draw the options of a reduction."""
    return {**axes(source, shape), "keepdims": chance(source, 40)}


@sampler_of(axis=AXES, keepdims=FLAG)
def reduced_full(source: Source, shape: Shape) -> Options:
    """Draw the options of a reduction that is undefined for empty groups."""
    options = reduced(source, shape)
    axis = options["axis"]
    reduced_axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if 0 in [shape[a] for a in reduced_axes]:
        raise Unsuited
    return options


@sampler_of(axis=AXES, keepdims=FLAG, ddof=Option((0, 1, 3)))
def spread(source: Source, shape: Shape) -> Options:
    """Draw the options of a variance. `ddof` may exceed the count of numbers."""
    return {**reduced_full(source, shape), "ddof": pick(source, [0, 1, 1, 0, 2])}


@Sampler
def axis_outside(source: Source, shape: Shape) -> Options:
    """Draw an axis that is out of bounds."""
    return {"axis": pick(source, [len(shape) + 1, -len(shape) - 2])}


@Sampler
def axis_outside_reduced(source: Source, shape: Shape) -> Options:
    """Draw an axis of a reduction that is out of bounds or repeated."""
    if shape and chance(source, 40):
        axis = source.integer(0, len(shape) - 1)
        return {"axis": (axis, axis - len(shape)), "keepdims": False}
    return {**axis_outside(source, shape), "keepdims": False}


@Sampler
def axis_outside_spread(source: Source, shape: Shape) -> Options:
    """Draw an axis of a variance that is out of bounds or repeated."""
    return {**axis_outside_reduced(source, shape), "ddof": 0}


# Shapes.


@sampler_of(shape=Option(((), (1,), (3,), (6,), (-1,), (3, 2), (-1, 2), (-1, -1), (0,), (0, -1), (0, 3))))
def new_shape(source: Source, shape: Shape) -> Options:
    """Draw another shape for the same numbers; one length may be -1."""
    lengths: list[int] = []
    rest = math.prod(shape)
    if not rest:
        return {"shape": tuple(shuffled(source, shape))}
    while rest > 1 and len(lengths) < 3:  # noqa: PLR2004
        lengths.append(pick(source, [n for n in range(1, rest + 1) if rest % n == 0]))
        rest //= lengths[-1]
    lengths += [rest] * (rest > 1)
    for _ in range(pick(source, [0, 0, 1, 2])):
        lengths.insert(source.integer(0, len(lengths)), 1)
    if lengths and chance(source, 30):
        lengths[source.integer(0, len(lengths) - 1)] = -1
    return {"shape": tuple(lengths)}


@Sampler
def wrong_shape(source: Source, shape: Shape) -> Options:
    """Draw a shape of another size."""
    return {"shape": (math.prod(shape) + pick(source, [1, 2]),)}


@sampler_of(axes=Option((None, (), (0,), (0, 1), (1, 0), (0, 0), (-1, 0), (0, 2), (2, 0, 1), (-3, 1, 0))))
def permutation(source: Source, shape: Shape) -> Options:
    """Draw any order of the axes, some counted from the end; cycles of three, for these are not their own inverse."""
    if not shape or chance(source, 15):
        return {"axes": None}
    order = shuffled(source, range(len(shape)))
    if len(shape) > 2 and chance(source, 30):  # noqa: PLR2004
        order = [*range(1, len(shape)), 0]
    return {"axes": tuple(a - len(shape) if chance(source, 30) else a for a in order)}


@Sampler
def wrong_permutation(source: Source, shape: Shape) -> Options:
    """Draw a repeated axis, or one too many."""
    return {"axes": (*range(len(shape)), pick(source, [0, len(shape)]))}


@sampler_of(axis1=NUMBERS, axis2=NUMBERS)
def axis_pair(source: Source, shape: Shape) -> Options:
    """Draw two axes to be exchanged."""
    return {"axis1": axis_of(source, len(shape)), "axis2": axis_of(source, len(shape))}


@Sampler
def axis_pair_outside(source: Source, shape: Shape) -> Options:
    """Draw two axes, one of them out of bounds."""
    return {"axis1": axis_of(source, len(shape)), "axis2": len(shape) + 1}


@sampler_of(axis=Option(AXES.every[1:]))
def new_axes(source: Source, shape: Shape) -> Options:
    """Draw the places of new axes of length 1."""
    rank = len(shape) + 1
    if chance(source, 50) and rank < MOST_AXES:
        axes = shuffled(source, range(rank + 1))[:2]
        return {"axis": tuple(a - rank - 1 if chance(source, 30) else a for a in axes)}
    return {"axis": axis_of(source, rank)}


@sampler_of(axis=AXES)
def ones(source: Source, shape: Shape) -> Options:
    """Draw which axes of length 1 to remove."""
    single = [i for i, n in enumerate(shape) if n == 1]
    manner = pick(source, ["all", "one", "several", "one"])
    if manner == "all" or not single:
        return {"axis": None}
    axes = tuple(a - len(shape) if chance(source, 40) else a for a in shuffled(source, single))
    return {"axis": axes[0] if manner == "one" else axes}


@Sampler
def not_one(source: Source, shape: Shape) -> Options:
    """Draw an axis that cannot be removed, for its length is not 1."""
    long = [i for i, n in enumerate(shape) if n != 1]
    if not long:
        raise Unsuited
    return {"axis": pick(source, long)}


@sampler_of(shape=Option(((), (1,), (3,), (2, 3), (2, 2, 3), (-1, 3), (0,), (2, 0), (0, 3))))
def target_shape(source: Source, shape: Shape) -> Options:
    """Draw a shape to broadcast to, with lengths of 1 made longer and axes added in front."""
    longer = tuple(pick(source, [3, 2, 1]) if n == 1 else n for n in shape)
    front = [(), (2,), (3, 1), (1,)] if len(shape) < 4 else [()]  # noqa: PLR2004
    return {"shape": bounded((*pick(source, front), *longer))}


@Sampler
def narrow_target(source: Source, shape: Shape) -> Options:
    """Draw a shape to which the operand does not broadcast."""
    if not shape or shape[-1] == 1:
        raise Unsuited
    return {"shape": (*shape[:-1], shape[-1] + pick(source, [2, 3]))}


# Joining, cutting, padding.


@sampler_of(
    indices_or_sections=Option((1, 2, 3, 0, -1, (), (1,), (2, 1), (-1,), (5,))), axis=NUMBERS, piece=Option((0,))
)
def pieces(source: Source, shape: Shape) -> Options:
    """Draw a number of equal sections or places to cut, and which piece to take."""
    axis = axis_of(source, len(shape))
    length = shape[axis]
    if chance(source, 50):
        cuts = tuple(sorted(source.integer(0, length + 1) for _ in range(source.integer(1, 3))))
        return {"indices_or_sections": cuts, "axis": axis, "piece": source.integer(0, len(cuts))}
    sections = pick(source, [n for n in range(1, length + 1) if length % n == 0] or [1])
    return {"indices_or_sections": sections, "axis": axis, "piece": source.integer(0, sections - 1)}


@Sampler
def uneven(source: Source, shape: Shape) -> Options:
    """Draw a number of sections that does not divide the length."""
    axis = axis_of(source, len(shape))
    if not shape[axis]:
        raise Unsuited
    return {"indices_or_sections": shape[axis] + 1, "axis": axis, "piece": 0}


@sampler_of(
    pad_width=Option((0, 1, (1, 2), ((1, 2),), ((0, 1), (1, 0)), -1, (0, -1), 1.5)),
    mode=Option(("constant", "edge", "reflect", "symmetric", "wrap", "none")),
)
def padding(source: Source, shape: Shape) -> Options:
    """Draw a mode, and widths for all axes at once or for each axis."""
    manner = pick(source, ["each", "one", "pair"])
    width: Any = source.integer(0, 2)
    if manner == "pair":
        width = (width, source.integer(0, 2))
    elif manner == "each" and shape:
        width = tuple((source.integer(0, 2), source.integer(0, 2)) for _ in shape)
    modes = ["constant", "constant", "edge", "reflect", "symmetric", "wrap"]
    mode = "constant" if 0 in shape or len(shape) > 3 else pick(source, modes)  # noqa: PLR2004
    values = {"constant_values": pick(source, [0, 1.5, -2])} if mode == "constant" else {}
    return {"pad_width": width, "mode": mode, **values}


@Sampler
def negative_padding(source: Source, shape: Shape) -> Options:
    """Draw a negative width."""
    if not shape:
        raise Unsuited
    return {"pad_width": pick(source, [-1, (0, -1)]), "mode": "constant"}
