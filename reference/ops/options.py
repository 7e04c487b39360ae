"""The options that an op is met with: for each family a way to draw them, given the shape of the operand.

A way of drawing also says what its options are: one value of each kind, allowed or not, so that what NumPy refuses can
be gone through; and which are arrays, or an index, so that they shrink with the operand.
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
    """What an option is, beside its name.

    Args:
        every: a value of each kind, allowed or not, the simplest first; none if it depends on the operand's numbers.
        lacks: for an array with the operand's axes: how many of the last it lacks. None for anything else.
        is_index: whether it is an index, as between brackets.
    """

    every: tuple[Any, ...] = ()
    lacks: int | None = None
    is_index: bool = False


@dataclass(frozen=True)
class Drawing:
    """A way to draw options for an operand's shape, and what they are."""

    draw: Callable[[Source, Shape], Options]
    options: Mapping[str, Option] = field(default_factory=dict)

    def __call__(self, source: Source, shape: Shape) -> Options:
        """Draw them.

        Raises:
            Unsuited: there are none for this shape.
        """
        return self.draw(source, shape)


def of(**options: Option) -> Callable[[Callable[[Source, Shape], Options]], Drawing]:
    """Say what the options are that a function draws."""
    return lambda draw: Drawing(draw, options)


@Drawing
def no_options(source: Source, shape: Shape) -> Options:
    """Nothing is drawn."""
    del source, shape
    return {}


def fixed(name: str, values: Sequence[Any]) -> Drawing:
    """An option with one of these values."""
    return Drawing(lambda source, shape: {name: pick(source, values)}, {name: Option(tuple(values))})  # noqa: ARG005


# fmt: off
AXES    = Option((None, (), 0, 1, -1, -2, 2, -3, (0,), (0, 1), (1, 0), (-1, -2), (0, 2), (0, 0), (0, -1)))
NUMBERS = Option((0, 1, -1, -2, 2, -3))
FLAG    = Option((False, True))
# fmt: on


# Axes.


def axis_of(source: Source, rank: int) -> int:
    """Draw one of so many axes, from either end."""
    if not rank:
        raise Unsuited
    axes: list[int] = [*range(rank), *range(-rank, 0)]
    return pick(source, axes)


def _axes(source: Source, rank: int) -> tuple[int, ...]:
    """Several axes in any order, some counted from the end; of three and more oftener two, so that order tells."""
    count = 2 if rank > 2 and chance(source, 60) else source.integer(0, rank)  # noqa: PLR2004
    return tuple(a - rank if chance(source, 40) else a for a in shuffled(source, range(rank))[:count])


@of(axis=NUMBERS)
def one_axis(source: Source, shape: Shape) -> Options:
    """An axis from either end."""
    return {"axis": axis_of(source, len(shape))}


@of(axis=Option((None, *NUMBERS.every)))
def axis_or_none(source: Source, shape: Shape) -> Options:
    """An axis or none named."""
    return {"axis": None} if not shape or chance(source, 40) else one_axis(source, shape)


@of(axis=AXES)
def axes(source: Source, shape: Shape) -> Options:
    """None, one axis, or several in any order, `()` among them."""
    manner = pick(source, ["one", "several", "none", "several", "one", "several", "none"])
    if manner == "none" or not shape:
        return {"axis": pick(source, [None, ()])} if not shape else {"axis": None}
    return one_axis(source, shape) if manner == "one" else {"axis": _axes(source, len(shape))}


@of(labels=Option(lacks=1))
def labels(source: Source, shape: Shape) -> Options:
    """A class for each example; the classes are on the last axis."""
    if not shape or (not shape[-1] and 0 not in shape[:-1]):
        raise Unsuited
    given = source.integers(0, shape[-1] - 1, math.prod(shape[:-1]))
    return {"labels": np.array(given, np.int64).reshape(shape[:-1])}


@Drawing
def labels_outside(source: Source, shape: Shape) -> Options:
    """A class that is not there, or labels too many."""
    if not shape or 0 in shape[:-1]:
        raise Unsuited
    classes, batch = shape[-1], shape[:-1]
    return {"labels": pick(source, [np.full(batch, classes), np.full(batch, -1), np.zeros((*batch, 2), np.int64)])}


@of(axis=AXES, keepdims=FLAG)
def reduced(source: Source, shape: Shape) -> Options:
    """The options of a reduction."""
    return {**axes(source, shape), "keepdims": chance(source, 40)}


@of(axis=AXES, keepdims=FLAG)
def reduced_full(source: Source, shape: Shape) -> Options:
    """The options of a reduction that needs a number to start from."""
    options = reduced(source, shape)
    axis = options["axis"]
    lost = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if 0 in [shape[a] for a in lost]:
        raise Unsuited
    return options


@of(axis=AXES, keepdims=FLAG, ddof=Option((0, 1, 3)))
def spread(source: Source, shape: Shape) -> Options:
    """The options of a variance: ddof up to, and sometimes above, what the data have."""
    return {**reduced_full(source, shape), "ddof": pick(source, [0, 1, 1, 0, 2])}


@Drawing
def axis_outside(source: Source, shape: Shape) -> Options:
    """An axis that is not there."""
    return {"axis": pick(source, [len(shape) + 1, -len(shape) - 2])}


@Drawing
def axis_outside_reduced(source: Source, shape: Shape) -> Options:
    """An axis that is not there, or one that is named twice, of a reduction."""
    if shape and chance(source, 40):
        axis = source.integer(0, len(shape) - 1)
        return {"axis": (axis, axis - len(shape)), "keepdims": False}
    return {**axis_outside(source, shape), "keepdims": False}


@Drawing
def axis_outside_spread(source: Source, shape: Shape) -> Options:
    """The same of a variance."""
    return {**axis_outside_reduced(source, shape), "ddof": 0}


# Shapes.


@of(shape=Option(((), (1,), (3,), (6,), (-1,), (3, 2), (-1, 2), (-1, -1), (0,), (0, -1), (0, 3))))
def new_shape(source: Source, shape: Shape) -> Options:
    """The same numbers in another shape, one length possibly left to be worked out."""
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


@Drawing
def wrong_shape(source: Source, shape: Shape) -> Options:
    """A shape of another number of numbers."""
    return {"shape": (math.prod(shape) + pick(source, [1, 2]),)}


@of(axes=Option((None, (), (0,), (0, 1), (1, 0), (0, 0), (-1, 0), (0, 2), (2, 0, 1), (-3, 1, 0))))
def permutation(source: Source, shape: Shape) -> Options:
    """Any order of the axes, some counted from the end; cycles of three are no inverses of themselves."""
    if not shape or chance(source, 15):
        return {"axes": None}
    order = shuffled(source, range(len(shape)))
    if len(shape) > 2 and chance(source, 30):  # noqa: PLR2004
        order = [*range(1, len(shape)), 0]
    return {"axes": tuple(a - len(shape) if chance(source, 30) else a for a in order)}


@Drawing
def wrong_permutation(source: Source, shape: Shape) -> Options:
    """One axis twice, or one too many."""
    return {"axes": (*range(len(shape)), pick(source, [0, len(shape)]))}


@of(axis1=NUMBERS, axis2=NUMBERS)
def axis_pair(source: Source, shape: Shape) -> Options:
    """Two axes to be exchanged."""
    return {"axis1": axis_of(source, len(shape)), "axis2": axis_of(source, len(shape))}


@Drawing
def axis_pair_outside(source: Source, shape: Shape) -> Options:
    """Two axes, one of which is not there."""
    return {"axis1": axis_of(source, len(shape)), "axis2": len(shape) + 1}


@of(axis=Option(AXES.every[1:]))
def new_axes(source: Source, shape: Shape) -> Options:
    """Where axes of length 1 come in."""
    rank = len(shape) + 1
    if chance(source, 50) and rank < MOST_AXES:
        axes = shuffled(source, range(rank + 1))[:2]
        return {"axis": tuple(a - rank - 1 if chance(source, 30) else a for a in axes)}
    return {"axis": axis_of(source, rank)}


@of(axis=AXES)
def ones(source: Source, shape: Shape) -> Options:
    """Which axes of length 1 go."""
    single = [i for i, n in enumerate(shape) if n == 1]
    manner = pick(source, ["all", "one", "several", "one"])
    if manner == "all" or not single:
        return {"axis": None}
    axes = tuple(a - len(shape) if chance(source, 40) else a for a in shuffled(source, single))
    return {"axis": axes[0] if manner == "one" else axes}


@Drawing
def not_one(source: Source, shape: Shape) -> Options:
    """An axis that is too long to go."""
    long = [i for i, n in enumerate(shape) if n != 1]
    if not long:
        raise Unsuited
    return {"axis": pick(source, long)}


@of(shape=Option(((), (1,), (3,), (2, 3), (2, 2, 3), (-1, 3), (0,), (2, 0), (0, 3))))
def target_shape(source: Source, shape: Shape) -> Options:
    """A shape to be broadcast to: 1 made longer, axes in front."""
    longer = tuple(pick(source, [3, 2, 1]) if n == 1 else n for n in shape)
    front = [(), (2,), (3, 1), (1,)] if len(shape) < 4 else [()]  # noqa: PLR2004
    return {"shape": bounded((*pick(source, front), *longer))}


@Drawing
def narrow_target(source: Source, shape: Shape) -> Options:
    """A shape that it cannot be broadcast to."""
    if not shape or shape[-1] == 1:
        raise Unsuited
    return {"shape": (*shape[:-1], shape[-1] + pick(source, [2, 3]))}


# Joining, cutting, padding.


@of(indices_or_sections=Option((1, 2, 3, 0, -1, (), (1,), (2, 1), (-1,), (5,))), axis=NUMBERS, piece=Option((0,)))
def pieces(source: Source, shape: Shape) -> Options:
    """Equal sections or cuts, and which piece is meant."""
    axis = axis_of(source, len(shape))
    length = shape[axis]
    if chance(source, 50):
        cuts = tuple(sorted(source.integer(0, length + 1) for _ in range(source.integer(1, 3))))
        return {"indices_or_sections": cuts, "axis": axis, "piece": source.integer(0, len(cuts))}
    sections = pick(source, [n for n in range(1, length + 1) if length % n == 0] or [1])
    return {"indices_or_sections": sections, "axis": axis, "piece": source.integer(0, sections - 1)}


@Drawing
def uneven(source: Source, shape: Shape) -> Options:
    """A number of sections that the length does not divide into."""
    axis = axis_of(source, len(shape))
    if not shape[axis]:
        raise Unsuited
    return {"indices_or_sections": shape[axis] + 1, "axis": axis, "piece": 0}


@of(
    pad_width=Option((0, 1, (1, 2), ((1, 2),), ((0, 1), (1, 0)), -1, (0, -1), 1.5)),
    mode=Option(("constant", "edge", "reflect", "symmetric", "wrap", "none")),
)
def padding(source: Source, shape: Shape) -> Options:
    """Widths for all axes at once or one by one, in each mode."""
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


@Drawing
def negative_padding(source: Source, shape: Shape) -> Options:
    """A width below 0."""
    if not shape:
        raise Unsuited
    return {"pad_width": pick(source, [-1, (0, -1)]), "mode": "constant"}
