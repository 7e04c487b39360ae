"""Random shapes of operands: every rank, equal or different lengths, axes of length 1 and 0."""

from __future__ import annotations

import math
from typing import TypeAlias

from reference.ops.source import Source, Unsuited, chance, pick, shuffled

Shape: TypeAlias = tuple[int, ...]

MOST_NUMBERS = 240  # of one value: enough for four axes of different lengths, and few enough to read
MOST_AXES = 5


def any_shape(source: Source) -> Shape:
    """Draw a shape of rank 0 to 4, with equal or different lengths, some of them 1 and, rarely, 0."""
    rank = pick(source, [0, 1, 2, 2, 3, 3, 2, 1, 3, 4])
    manner = pick(source, ["different", "square", "any", "ones", "any", "empty" if chance(source, 35) else "any"])
    if manner == "different":
        return tuple(shuffled(source, [2, 3, 4, 1][:rank]))
    if manner == "square":
        return (pick(source, [2, 3]),) * rank
    lengths = {"any": [2, 1, 3, 4, 5], "ones": [1, 2, 1, 3], "empty": [0, 2, 1]}[manner]
    return tuple(pick(source, lengths) for _ in range(rank)) if rank < 4 else tuple(  # noqa: PLR2004
        pick(source, [2, 1, 3]) for _ in range(rank))  # fmt: skip


def one_of_few(source: Source) -> Shape:
    """Draw one of a dozen shapes, for engines that compile for each new shape."""
    return pick(source, [(2, 3), (), (3,), (2, 3), (1,), (3, 2), (2,), (3, 3), (1, 3), (2, 1), (2, 3, 2), (3, 1, 2)])


def many_axes(source: Source) -> Shape:
    """Draw a shape, often of rank 3 or 4, where the order of several axes matters."""
    rank = pick(source, [0, 1, 2, 3, 3, 3, 3, 4, 2, 3])
    lengths = pick(source, [[2, 3, 1, 4]] * 6 + [[2, 3, 5], [1], [1], [0, 2, 3]])
    return tuple(pick(source, lengths) for _ in range(rank))


def with_ones(source: Source) -> Shape:
    """Draw a shape with up to three more axes of length 1."""
    shape = list(any_shape(source)[:3])
    for _ in range(pick(source, [1, 2, 0, 3, 2])):
        shape.insert(source.integer(0, len(shape)), 1)
    return tuple(shape)


def any_small(source: Source) -> Shape:
    """Draw a shape of at most six numbers."""
    return pick(source, [(2,), (), (1, 3), (2, 3), (1,)])


def broadcastable(source: Source, shape: Shape) -> Shape:
    """Draw a shape that broadcasts with another: the same, lengths of 1, fewer axes, 1 made longer, one axis more."""
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
        return bounded(more)
    return shape


def bounded(shape: Shape) -> Shape:
    """Return the shape if it is small enough.

    Raises:
        Unsuited: it has too many numbers or axes.
    """
    if math.prod(shape) > MOST_NUMBERS or len(shape) > MOST_AXES:
        raise Unsuited
    return shape
