"""Random indices, masks, targets of `scatter`, and conditions of `where`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reference.ops.options import Option, Options, Sampler, sampler_of
from reference.ops.shapes import Shape
from reference.ops.source import Source, Unsuited, chance, pick, shuffled


@sampler_of(index=Option(is_index=True))
def index(source: Source, shape: Shape) -> Options:
    """Draw any index that NumPy allows: numbers, slices of both signs, None, `...`, arrays with repeats, masks."""
    if 0 not in shape and shape and chance(source, 8):
        return {"index": (_mask(source, shape),)}
    if 0 not in shape and shape and chance(source, 25):
        return {"index": _separated_arrays(source, shape)}
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


def _separated_arrays(source: Source, shape: Shape) -> tuple[Any, ...]:
    """Draw two arrays, or an array and a number, with a slice or None between them: NumPy puts their axes in front.

    For a single axis, draw an array that holds each place once: a permutation, which is seldom its own inverse.
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
    # Most slices drawn this way are empty. Three of four of these are replaced, for an empty result compares nothing.
    return cut if range(*cut.indices(n)) or chance(source, 25) else slice(None, None, cut.step)


@Sampler
def index_outside(source: Source, shape: Shape) -> Options:
    """Draw a number or an array beyond the end, or one index too many."""
    if not shape:
        return {"index": (0,)}
    outside = shape[0] + source.integer(0, 2)
    array = np.array([outside, *[0] * source.integer(0, 1)], np.int64)
    return {"index": pick(source, [(outside,), (array,), (slice(None, None, None),) * len(shape) + (0,)])}


@sampler_of(index=Option(is_index=True), shape=Option())
def scattered(source: Source, shape: Shape) -> Options:
    """Draw places for the operand's numbers in a larger array; an array of places has repeats."""
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


@Sampler
def scattered_outside(source: Source, shape: Shape) -> Options:
    """Draw a place beyond the end."""
    if not shape or not shape[0]:
        raise Unsuited
    n = source.integer(1, 3)
    return {"index": (np.full(shape[0], n, np.int64),), "shape": (n, *shape[1:])}


@sampler_of(condition=Option(lacks=0))
def condition(source: Source, shape: Shape) -> Options:
    """Draw booleans that broadcast with the operands."""
    own = tuple(1 if chance(source, 25) else n for n in shape)
    return {"condition": np.array([chance(source, 50) for _ in range(math.prod(own))], bool).reshape(own)}
