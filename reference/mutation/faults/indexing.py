"""Faults of indexing: wrong places, repeated places, and gradients scattered to other places.

The table knows how those rules are written. It does not know which programs show a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ndgrad.rules.indexing import _scatter, scatter
from reference.mutation.planting import Fault, around, forward, plain, pullback

Pullback: TypeAlias = Callable[..., Any]


def _reindexed(change: Callable[[Any, Any], Any]) -> Pullback:
    """Make a pullback of getitem that scatters to `change(index, shape)`."""
    return lambda g, y, x, *, index: scatter(g, change(index, x.shape), x.shape)


def _first_cut(index: tuple[Any, ...], shape: tuple[int, ...]) -> range | None:
    """Return the range that the first entry selects, if it is a slice."""
    first = index[0] if index else None
    return range(*first.indices(shape[0])) if isinstance(first, slice) and shape else None


def _without_step(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Rebuild a first slice that selects one number from its start and stop, as if its step were 1."""
    cut = _first_cut(index, shape)
    return index if cut is None or len(cut) != 1 else (slice(cut.start, cut.stop), *index[1:])


def _upwards(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Reverse a descending first slice, so that it ascends over the same numbers."""
    cut = _first_cut(index, shape)
    return index if not cut or cut.step > 0 else (slice(cut[-1], cut[0] + 1, -cut.step), *index[1:])


def _padded_by_step(right: Pullback) -> Pullback:
    """Pad with zeros after the last selected number, by a formula that is off by the step for an empty slice."""

    def wrong(g: Any, y: Any, x: Any, *, index: Any) -> Any:
        cut = _first_cut(index, x.shape)
        if cut is None or cut or cut.step < 1:
            return right(g, y, x, index=index)
        return np.zeros((len(x) + cut.step - 1, *x.shape[1:]))

    return wrong


def _columns_first(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the places where a mask is true, column by column."""
    del shape
    mask = index[0] if index else None
    return np.nonzero(mask.T)[::-1] if isinstance(mask, np.ndarray) and mask.dtype == bool else index


def _gathered(right: Pullback) -> Pullback:
    """Apply the same index again if the shapes allow it."""

    def wrong(g: Any, y: Any, x: Any, *, index: Any) -> Any:
        again = g.shape == x.shape and len(index) == 1 and isinstance(index[0], np.ndarray)
        return g[index] if again else right(g, y, x, index=index)

    return wrong


def _without_newaxis(g: Any, y: Any, x: Any, *, index: Any) -> Any:
    """Drop new axes from the index, and reshape the cotangent accordingly."""
    del y
    old = tuple(i for i in index if i is not None)
    return scatter(g.reshape(plain(x)[old].shape), old, x.shape)


def _arrays_in_place(right: Pullback) -> Pullback:
    """Assume the axes of separated index arrays at the first array, though NumPy moves them to the front."""

    def wrong(g: Any, y: Any, x: Any, *, index: Any) -> Any:
        numbered = [k for k, i in enumerate(index) if isinstance(i, (int, np.ndarray))]
        arrays = [k for k in numbered if isinstance(index[k], np.ndarray) and index[k].dtype != bool]
        separated = arrays and numbered[-1] - numbered[0] >= len(numbered)
        if not separated or any(i is Ellipsis for i in index):
            return right(g, y, x, index=index)
        own = np.broadcast(*(index[k] for k in arrays)).ndim
        start = sum(not isinstance(i, int) for i in index[: arrays[0]])
        assumed = [*g.shape[own : own + start], *g.shape[:own], *g.shape[own + start :]]
        front = [*range(start, start + own), *range(start), *range(start + own, g.ndim)]
        return right(g.reshape(assumed).transpose(front), y, x, index=index)

    return wrong


def _assigned(safe: Callable[[tuple[Any, ...]], bool]) -> Callable[..., Any]:
    """Scatter by assignment, which is faster, if `safe(index)` says that no place is repeated."""

    def wrong(x: Any, *, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
        if not safe(index):
            return _scatter(x, index=index, shape=shape)
        out = np.zeros(shape, x.dtype)
        out[index] = x
        return out

    return wrong


def _no_number_twice(index: tuple[Any, ...]) -> bool:
    return all(len(np.unique(i)) == i.size for i in index if isinstance(i, np.ndarray))


def _no_row_twice(index: tuple[Any, ...]) -> bool:
    arrays = [i for i in index if isinstance(i, np.ndarray)]
    return any(i.ndim > 1 for i in arrays) and all(len(np.unique(i, axis=0)) == len(i) for i in arrays)


def _clamped(g: Any, y: Any, x: Any, *, index: Any, shape: Any) -> Any:
    del y, x, shape
    return g[tuple(np.maximum(i, 0) if isinstance(i, np.ndarray) else i for i in index)]


def _averaged(g: Any, y: Any, x: Any, *, index: Any, shape: Any) -> Any:
    """Average the cotangents of repeated places."""
    del y
    times = _scatter(np.ones(x.shape), index=index, shape=shape)
    return (g / np.maximum(times, 1))[index]


def _stepping_up(index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(slice(i.start, i.stop, abs(i.step or 1)) if isinstance(i, slice) else i for i in index)


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                           source                           rows
    #     its plant
    Fault("b070-getitem",              "the cotangent is indexed by the same index again, if the shapes allow it",             "ml-explore/mlx#3700",           ("getitem",),
          around("getitem", 0, _gathered)),
    Fault("b109-getitem",              "an index array without duplicates is assumed to repeat no place: -1 may be 2",         "HIPS/autograd#136",             ("getitem", "scatter"),
          forward("scatter", _assigned(_no_number_twice))),
    Fault("b109-getitem-mixed",        "an index that begins with a slice is assumed to repeat no place",                      "HIPS/autograd#136",             ("getitem",),
          forward("scatter", _assigned(lambda index: bool(index) and isinstance(index[0], slice)))),
    Fault("b112-getitem",              "a slice that selects one number loses its step",                                       "ml-explore/mlx#4444",           ("getitem",),
          pullback("getitem", 0, _reindexed(_without_step))),
    Fault("b114-getitem",              "an empty slice with a step gives a gradient that is too long",                         "jax-ml/jax#4599",               ("getitem",),
          around("getitem", 0, _padded_by_step)),
    Fault("b117-getitem",              "of several cotangents for one place only the last counts",                             "pytorch/pytorch#146299",        ("getitem", "scatter", "pad"),
          forward("scatter", _assigned(lambda index: True))),
    Fault("b120-getitem",              "separated index arrays are assumed to leave their axes in place, not in front",        "tinygrad/tinygrad@eb0f5b5",     ("getitem",),
          around("getitem", 0, _arrays_in_place)),
    Fault("getitem-rows",              "an index array without equal rows is assumed to repeat no place",                      "ours",                          ("getitem",),
          forward("scatter", _assigned(_no_row_twice))),
    Fault("getitem-mask-by-columns",   "the gradient through a mask of two axes is filled column by column",                   "ours",                          ("getitem",),
          pullback("getitem", 0, _reindexed(_columns_first))),
    Fault("getitem-upwards",           "the gradient through a reversed slice is not reversed",                                "ours",                          ("getitem",),
          pullback("getitem", 0, _reindexed(_upwards))),
    Fault("getitem-newaxis",           "index arrays separated by None are treated as adjacent",                               "ours",                          ("getitem",),
          pullback("getitem", 0, _without_newaxis)),

    Fault("b116-scatter",              "negative places count from the end forward, but as 0 in the backward pass",            "jax-ml/jax#7538",               ("scatter",),
          pullback("scatter", 0, _clamped)),
    Fault("scatter-averaged",          "cotangents of repeated places are averaged",                                           "ours",                          ("scatter",),
          pullback("scatter", 0, _averaged)),
    Fault("scatter-upwards",           "a slice of negative step loses its sign in the backward pass",                         "ours",                          ("scatter",),
          pullback("scatter", 0, lambda g, y, x, *, index, shape: g[_stepping_up(index)])),
)
# fmt: on
