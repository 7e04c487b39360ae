"""What shapes and options an op can be met with: for each family of ops a plan, drawn from a source.

A plan draws `draw(source, shape, slot) -> (shapes, options)`: given the shape of the operand in one slot, the shapes of
all operands and the options. The catalogue's rows name their plan, and another one for what NumPy refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from reference.source import Source, Unsuited, chance, pick, shuffled

Shape: TypeAlias = tuple[int, ...]
Options: TypeAlias = dict[str, Any]
Planned: TypeAlias = tuple[list[Shape], Options]
Drawn: TypeAlias = Callable[[Source, Shape], Options]


@dataclass(frozen=True)
class Plan:
    """How shapes and options are drawn, and in how many slots a value that is already there may stand.

    Args:
        slots: the number of places for an operand that is there already.
        draw: draws the shapes of all operands and the options, given the shape of one.
        start: draws the shape of a fresh first operand, where not any shape is as interesting as another.
        ways: how many times as often it is met as an op without options: there are more ways to meet it.
    """

    slots: int
    draw: Callable[[Source, Shape, int], Planned]
    start: Callable[[Source], Shape] | None = None
    ways: int = 1


MOST_NUMBERS = 240  # of one value: enough for four axes of different lengths, few enough to read
MOST_AXES = 5


def any_shape(source: Source) -> Shape:
    """Rank 0 to 4, square and all different, with lengths 1 and, rarely, 0."""
    rank = pick(source, [0, 1, 2, 2, 3, 3, 2, 1, 3, 4])
    manner = pick(source, ["different", "square", "any", "ones", "any", "empty" if chance(source, 35) else "any"])
    if manner == "different":
        return tuple(shuffled(source, [2, 3, 4, 1][:rank]))
    if manner == "square":
        return (pick(source, [2, 3]),) * rank
    lengths = {"any": [2, 1, 3, 4, 5], "ones": [1, 2, 1, 3], "empty": [0, 2, 1]}[manner]
    return tuple(pick(source, lengths) for _ in range(rank)) if rank < 4 else tuple(  # noqa: PLR2004
        pick(source, [2, 1, 3]) for _ in range(rank))  # fmt: skip


def many_axes(source: Source) -> Shape:
    """Oftener a rank of 3 or 4, where the order of several axes tells."""
    rank = pick(source, [0, 1, 2, 3, 3, 3, 3, 4, 2, 3])
    lengths = pick(source, [[2, 3, 1, 4]] * 6 + [[2, 3, 5], [1], [1], [0, 2, 3]])
    return tuple(pick(source, lengths) for _ in range(rank))


def mate(source: Source, shape: Shape) -> Shape:
    """A shape that broadcasts against another: the same, axes of 1, axes missing, 1 made longer, an axis more."""
    manner = pick(source, ["same", "same", "ones", "fewer", "longer", "more", "scalar", "mixed", "scalar"])
    if manner == "scalar":
        return ()
    if manner == "fewer":
        return shape[source.integer(0, len(shape)) :]
    if manner == "ones":
        return tuple(1 if chance(source, 50) else n for n in shape)
    if manner in ("longer", "more", "mixed"):
        longer = tuple(pick(source, [2, 3]) if n == 1 else n for n in shape)
        if manner == "mixed":
            longer = tuple(1 if chance(source, 40) else n for n in longer)
        more = (pick(source, [2, 1, 3]), *longer) if manner != "longer" and len(shape) < 4 else longer  # noqa: PLR2004
        return _bounded(more)
    return shape


def _bounded(shape: Shape) -> Shape:
    if math.prod(shape) > MOST_NUMBERS or len(shape) > MOST_AXES:
        raise Unsuited
    return shape


def alone(
    draw: Drawn = lambda source, shape: {},  # noqa: ARG005
    start: Callable[[Source], Shape] | None = None,
    ways: int = 1,
) -> Plan:
    """One operand, any shape that the options can be drawn for."""
    return Plan(1, lambda source, shape, slot: ([shape], draw(source, shape)), start, ways)  # noqa: ARG005


def broadcast(operands: int, draw: Drawn = lambda source, shape: {}, ways: int = 1) -> Plan:  # noqa: ARG005
    """Several operands that broadcast together. The options are drawn for the shape of the result."""

    def plan(source: Source, shape: Shape, slot: int) -> Planned:
        shapes = [shape]
        for _ in range(operands - 1):
            shapes.append(mate(source, _bounded(np.broadcast_shapes(*shapes))))
        whole = _bounded(np.broadcast_shapes(*shapes))
        shapes.insert(slot, shapes.pop(0))
        return shapes, draw(source, whole)

    return Plan(operands, plan, ways=ways)


def unmated(operands: int, draw: Drawn = lambda source, shape: {}) -> Plan:  # noqa: ARG005
    """Operands that do not broadcast together."""

    def plan(source: Source, shape: Shape, slot: int) -> Planned:
        wide = [i for i, n in enumerate(shape) if n > 1]
        if not wide:
            raise Unsuited
        axis = pick(source, wide)
        other = tuple(n + (2 if i == axis else 0) for i, n in enumerate(shape))
        shapes = [shape] + [other] * (operands - 1)
        shapes.insert(slot, shapes.pop(0))
        return shapes, draw(source, shape)

    return Plan(operands, plan)


# Axes.


def _axis(source: Source, rank: int) -> int:
    if not rank:
        raise Unsuited
    axes: list[int] = [*range(rank), *range(-rank, 0)]
    return pick(source, axes)


def _axes(source: Source, rank: int) -> tuple[int, ...]:
    """Several axes in any order, some counted from the end; of three and more oftener two, so that order tells."""
    count = 2 if rank > 2 and chance(source, 60) else source.integer(0, rank)  # noqa: PLR2004
    return tuple(a - rank if chance(source, 40) else a for a in shuffled(source, range(rank))[:count])


def one_axis(source: Source, shape: Shape) -> Options:
    """An axis from either end."""
    return {"axis": _axis(source, len(shape))}


def axis_or_none(source: Source, shape: Shape) -> Options:
    """An axis or none named."""
    return {"axis": None} if not shape or chance(source, 40) else one_axis(source, shape)


def axes(source: Source, shape: Shape) -> Options:
    """None, one axis, or several in any order, `()` among them."""
    manner = pick(source, ["one", "several", "none", "several", "one", "several", "none"])
    if manner == "none" or not shape:
        return {"axis": pick(source, [None, ()])} if not shape else {"axis": None}
    return one_axis(source, shape) if manner == "one" else {"axis": _axes(source, len(shape))}


def labels(source: Source, shape: Shape) -> Options:
    """A class for each example; the classes are on the last axis."""
    if not shape or (not shape[-1] and 0 not in shape[:-1]):
        raise Unsuited
    given = source.integers(0, shape[-1] - 1, math.prod(shape[:-1]))
    return {"labels": np.array(given, np.int64).reshape(shape[:-1])}


def labels_outside(source: Source, shape: Shape) -> Options:
    """A class that is not there, or labels too many."""
    if not shape or 0 in shape[:-1]:
        raise Unsuited
    classes, batch = shape[-1], shape[:-1]
    return {"labels": pick(source, [np.full(batch, classes), np.full(batch, -1), np.zeros((*batch, 2), np.int64)])}


def reduced(source: Source, shape: Shape) -> Options:
    """The options of a reduction."""
    return {**axes(source, shape), "keepdims": chance(source, 40)}


def reduced_full(source: Source, shape: Shape) -> Options:
    """The options of a reduction that needs a number to start from."""
    options = reduced(source, shape)
    axis = options["axis"]
    lost = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if 0 in [shape[a] for a in lost]:
        raise Unsuited
    return options


def spread(source: Source, shape: Shape) -> Options:
    """The options of a variance: ddof up to, and sometimes above, what the data have."""
    return {**reduced_full(source, shape), "ddof": pick(source, [0, 1, 1, 0, 2])}


def axis_outside(source: Source, shape: Shape) -> Options:
    """An axis that is not there."""
    return {"axis": pick(source, [len(shape) + 1, -len(shape) - 2])}


def axis_outside_reduced(source: Source, shape: Shape) -> Options:
    """An axis that is not there, or one that is named twice, of a reduction."""
    if shape and chance(source, 40):
        axis = source.integer(0, len(shape) - 1)
        return {"axis": (axis, axis - len(shape)), "keepdims": False}
    return {**axis_outside(source, shape), "keepdims": False}


def axis_outside_spread(source: Source, shape: Shape) -> Options:
    """The same of a variance."""
    return {**axis_outside_reduced(source, shape), "ddof": 0}


# Shapes.


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


def wrong_shape(source: Source, shape: Shape) -> Options:
    """A shape of another number of numbers."""
    return {"shape": (math.prod(shape) + pick(source, [1, 2]),)}


def permutation(source: Source, shape: Shape) -> Options:
    """Any order of the axes, some counted from the end; cycles of three are no inverses of themselves."""
    if not shape or chance(source, 15):
        return {"axes": None}
    order = shuffled(source, range(len(shape)))
    if len(shape) > 2 and chance(source, 30):  # noqa: PLR2004
        order = [*range(1, len(shape)), 0]
    return {"axes": tuple(a - len(shape) if chance(source, 30) else a for a in order)}


def wrong_permutation(source: Source, shape: Shape) -> Options:
    """One axis twice, or one too many."""
    return {"axes": (*range(len(shape)), pick(source, [0, len(shape)]))}


def axis_pair(source: Source, shape: Shape) -> Options:
    """Two axes to be exchanged."""
    return {"axis1": _axis(source, len(shape)), "axis2": _axis(source, len(shape))}


def axis_pair_outside(source: Source, shape: Shape) -> Options:
    """Two axes, one of which is not there."""
    return {"axis1": _axis(source, len(shape)), "axis2": len(shape) + 1}


def new_axes(source: Source, shape: Shape) -> Options:
    """Where axes of length 1 come in."""
    rank = len(shape) + 1
    if chance(source, 50) and rank < MOST_AXES:
        axes = shuffled(source, range(rank + 1))[:2]
        return {"axis": tuple(a - rank - 1 if chance(source, 30) else a for a in axes)}
    return {"axis": _axis(source, rank)}


def ones(source: Source, shape: Shape) -> Options:
    """Which axes of length 1 go."""
    single = [i for i, n in enumerate(shape) if n == 1]
    manner = pick(source, ["all", "one", "several", "one"])
    if manner == "all" or not single:
        return {"axis": None}
    axes = tuple(a - len(shape) if chance(source, 40) else a for a in shuffled(source, single))
    return {"axis": axes[0] if manner == "one" else axes}


def with_ones(source: Source) -> Shape:
    """A shape with axes of length 1 in it, one or several."""
    shape = list(any_shape(source)[:3])
    for _ in range(pick(source, [1, 2, 0, 3, 2])):
        shape.insert(source.integer(0, len(shape)), 1)
    return tuple(shape)


def not_one(source: Source, shape: Shape) -> Options:
    """An axis that is too long to go."""
    long = [i for i, n in enumerate(shape) if n != 1]
    if not long:
        raise Unsuited
    return {"axis": pick(source, long)}


def target_shape(source: Source, shape: Shape) -> Options:
    """A shape to be broadcast to: 1 made longer, axes in front."""
    longer = tuple(pick(source, [3, 2, 1]) if n == 1 else n for n in shape)
    front = [(), (2,), (3, 1), (1,)] if len(shape) < 4 else [()]  # noqa: PLR2004
    return {"shape": _bounded((*pick(source, front), *longer))}


def narrow_target(source: Source, shape: Shape) -> Options:
    """A shape that it cannot be broadcast to."""
    if not shape or shape[-1] == 1:
        raise Unsuited
    return {"shape": (*shape[:-1], shape[-1] + pick(source, [2, 3]))}


# Joining, cutting, padding.


def _joined(source: Source, shape: Shape, slot: int) -> Planned:
    """Arrays that differ along the axis they are joined on, one to three of them."""
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


def any_small(source: Source) -> Shape:
    """A shape of at most six numbers."""
    return pick(source, [(2,), (), (1, 3), (2, 3), (1,)])


def _misjoined(source: Source, shape: Shape, slot: int) -> Planned:
    """Arrays that differ along another axis than that they are joined on."""
    del slot
    if len(shape) < 2:  # noqa: PLR2004
        return [shape, (*shape, 2)], {"axis": 0}
    axis = source.integer(0, len(shape) - 1)
    other = tuple(n if i == axis else n + 1 for i, n in enumerate(shape))
    return [shape, other], {"axis": axis}


def _stacked(source: Source, shape: Shape, slot: int) -> Planned:
    """Arrays of one shape, one to three of them."""
    several = max(source.integer(1, 3), slot + 1)
    if several * math.prod(shape) > MOST_NUMBERS:
        raise Unsuited
    return [shape] * several, {"axis": _axis(source, len(shape) + 1)}


def _misstacked(source: Source, shape: Shape, slot: int) -> Planned:
    """Arrays of different shapes."""
    del source, slot
    return [shape, (*shape, 2)], {"axis": 0}


def pieces(source: Source, shape: Shape) -> Options:
    """Equal sections or cuts, and which piece is meant."""
    axis = _axis(source, len(shape))
    length = shape[axis]
    if chance(source, 50):
        cuts = tuple(sorted(source.integer(0, length + 1) for _ in range(source.integer(1, 3))))
        return {"indices_or_sections": cuts, "axis": axis, "piece": source.integer(0, len(cuts))}
    sections = pick(source, [n for n in range(1, length + 1) if length % n == 0] or [1])
    return {"indices_or_sections": sections, "axis": axis, "piece": source.integer(0, sections - 1)}


def uneven(source: Source, shape: Shape) -> Options:
    """A number of sections that the length does not divide into."""
    axis = _axis(source, len(shape))
    if not shape[axis]:
        raise Unsuited
    return {"indices_or_sections": shape[axis] + 1, "axis": axis, "piece": 0}


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


def negative_padding(source: Source, shape: Shape) -> Options:
    """A width below 0."""
    if not shape:
        raise Unsuited
    return {"pad_width": pick(source, [-1, (0, -1)]), "mode": "constant"}


# Indexing.


def index(source: Source, shape: Shape) -> Options:
    """Everything that NumPy allows: numbers, slices of both signs, None, `...`, arrays with repeats, masks."""
    if 0 not in shape and shape and chance(source, 8):
        return {"index": (_mask(source, shape),)}
    if 0 not in shape and shape and chance(source, 25):
        return {"index": _kept_apart(source, shape)}
    array_shape = pick(source, [(2,), (3,), (1,), (2, 2), (4,)]) if chance(source, 45) else None
    entries = [_entry(source, n, array_shape) for n in shape]
    start = source.integer(0, len(shape)) if chance(source, 30) else len(shape)
    stop = min(start + source.integer(0, 2), len(shape))
    if start < len(shape):
        entries[start:stop] = [Ellipsis]
    elif chance(source, 20):
        del entries[-1:]
    if chance(source, 25):
        entries.insert(source.integer(0, len(entries)), None)
    return {"index": tuple(entries)}


def _mask(source: Source, shape: Shape) -> np.ndarray:
    covered = shape[: source.integer(1, len(shape))]
    return np.array([chance(source, 60) for _ in range(math.prod(covered))], bool).reshape(covered)


def _kept_apart(source: Source, shape: Shape) -> tuple[Any, ...]:
    """Arrays, or an array and a number, with a slice or None between them: NumPy puts their axes in front.

    Of one axis alone, an array that names each place once: a permutation, which is seldom its own inverse.
    """
    if len(shape) == 1:
        return (np.array(shuffled(source, range(shape[0])), np.int64),)
    arrays = [np.array(source.integers(-n, n - 1, 2), np.int64) for n in (shape[0], shape[-1])]
    entries: list[Any] = [arrays[0], *[slice(None, None, None)] * (len(shape) - 2), arrays[1]]
    if len(shape) == 2:  # noqa: PLR2004 - nothing stands between them
        entries.insert(1, None)
    end = pick(source, [None, 0, -1])
    if end is not None:
        entries[end] = source.integer(-shape[end], shape[end] - 1)
    return tuple(entries)


def _entry(source: Source, n: int, array_shape: Shape | None) -> Any:
    """What one axis of length `n` may be indexed with; arrays have the given shape, so that they broadcast."""
    manner = pick(
        source, ["slice", "int", "array", "array", "all"] if array_shape else ["slice", "slice", "int", "all"]
    )
    if n and manner == "array" and array_shape:
        shape = array_shape if chance(source, 80) else (1,)
        numbers = source.integers(-n, n - 1, math.prod(shape))
        return np.array(numbers, np.int64).reshape(shape)
    if n and manner == "int":
        return source.integer(-n, n - 1)
    if manner == "all":
        return slice(None, None, None)
    ends = [None, 0, 1, -1, 2, -2, n, n + 1, -n - 1]
    cut = slice(pick(source, ends), pick(source, ends), pick(source, [None, 1, 2, -1, -2, 3, -3]))
    # Most that are drawn so are empty: then little would be left to compare.
    return cut if range(*cut.indices(n)) or chance(source, 25) else slice(None, None, cut.step)


def index_outside(source: Source, shape: Shape) -> Options:
    """A number or an array beyond the end, or an index too many."""
    if not shape:
        return {"index": (0,)}
    outside = shape[0] + source.integer(0, 2)
    array = np.array([outside, *[0] * source.integer(0, 1)], np.int64)
    return {"index": pick(source, [(outside,), (array,), (slice(None, None, None),) * len(shape) + (0,)])}


def scattered(source: Source, shape: Shape) -> Options:
    """Places for the operand's numbers in a larger array, with repeats where an array names them."""
    if not shape:
        n = source.integer(1, 3)
        return {"index": (source.integer(-n, n - 1),), "shape": (n,)}
    first, *rest = shape
    if chance(source, 40):
        step = pick(source, [1, 2, -1])
        n = first * abs(step) + source.integer(0, 1) * (first == 0)
        whole = slice(None, None, step)
        if len(range(*whole.indices(n))) != first:
            raise Unsuited
        return {"index": (whole,), "shape": (n, *rest)}
    n = source.integer(1, 4)
    places = np.array(source.integers(-n, n - 1, first), np.int64)
    return {"index": (places,), "shape": (n, *rest)}


def scattered_outside(source: Source, shape: Shape) -> Options:
    """A place that is not there."""
    if not shape or not shape[0]:
        raise Unsuited
    n = source.integer(1, 3)
    return {"index": (np.full(shape[0], n, np.int64),), "shape": (n, *shape[1:])}


def condition(source: Source, shape: Shape) -> Options:
    """Booleans that broadcast with the operands."""
    own = tuple(1 if chance(source, 25) else n for n in shape)
    return {"condition": np.array([chance(source, 50) for _ in range(math.prod(own))], bool).reshape(own)}


# Products.


def _matrices(source: Source, shape: Shape, slot: int) -> Planned:
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


def _mismatched(source: Source, shape: Shape, slot: int) -> Planned:
    """Matrices whose inner lengths differ."""
    if not shape:
        raise Unsuited
    other = (shape[-1] + source.integer(1, 2), 2)
    return ([shape, other] if slot == 0 else [(2, shape[0 if len(shape) == 1 else -2] + 1), shape]), {}


def _dotted(source: Source, shape: Shape, slot: int) -> Planned:
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


def _outers(source: Source, shape: Shape, slot: int) -> Planned:
    """Any two shapes."""
    other = shape if chance(source, 30) else any_small(source)
    if math.prod(shape) * math.prod(other) > MOST_NUMBERS:
        raise Unsuited
    return ([shape, other] if slot == 0 else [other, shape]), {}


def fixed(name: str, values: Sequence[Any]) -> Drawn:
    """An option with one of these values."""
    return lambda source, shape: {name: pick(source, values)}  # noqa: ARG005


joined, misjoined = Plan(3, _joined, ways=2), Plan(1, _misjoined)
stacked, misstacked = Plan(3, _stacked), Plan(1, _misstacked)
matrices, mismatched = Plan(2, _matrices, ways=3), Plan(2, _mismatched)
dotted, outers = Plan(2, _dotted, ways=2), Plan(2, _outers)
