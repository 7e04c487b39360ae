"""Faults of indexing: wrong places, places that are met twice, and what is put back somewhere else.

It knows how those rules are written. Which programs show a fault, it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ndgrad.rules.indexing import _scatter, scatter
from reference.mutation.planting import Fault, around, forward, plain, pullback

Pullback: TypeAlias = Callable[..., Any]


def _reindexed(change: Callable[[Any, Any], Any]) -> Pullback:
    """An indexing's pullback that puts numbers back at `change(index, shape)`."""
    return lambda g, y, x, *, index: scatter(g, change(index, x.shape), x.shape)


def _first_cut(index: tuple[Any, ...], shape: tuple[int, ...]) -> range | None:
    """What the first entry takes of the first axis, if it is a slice."""
    first = index[0] if index else None
    return range(*first.indices(shape[0])) if isinstance(first, slice) and shape else None


def _without_step(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A first slice that takes one number is made anew from where it starts and stops, as if its step were 1."""
    cut = _first_cut(index, shape)
    return index if cut is None or len(cut) != 1 else (slice(cut.start, cut.stop), *index[1:])


def _upwards(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """A first slice that runs down is made to run up over the same numbers."""
    cut = _first_cut(index, shape)
    return index if not cut or cut.step > 0 else (slice(cut[-1], cut[0] + 1, -cut.step), *index[1:])


def _padded_by_step(right: Pullback) -> Pullback:
    """Zeros after the last number taken, by a formula that is off by the step where none is."""

    def wrong(g: Any, y: Any, x: Any, *, index: Any) -> Any:
        cut = _first_cut(index, x.shape)
        if cut is None or cut or cut.step < 1:
            return right(g, y, x, index=index)
        return np.zeros((len(x) + cut.step - 1, *x.shape[1:]))

    return wrong


def _columns_first(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The places where a mask holds, column by column."""
    del shape
    mask = index[0] if index else None
    return np.nonzero(mask.T)[::-1] if isinstance(mask, np.ndarray) and mask.dtype == bool else index


def _gathered(right: Pullback) -> Pullback:
    """By the same index once more, where the shapes allow it."""

    def wrong(g: Any, y: Any, x: Any, *, index: Any) -> Any:
        again = g.shape == x.shape and len(index) == 1 and isinstance(index[0], np.ndarray)
        return g[index] if again else right(g, y, x, index=index)

    return wrong


def _without_newaxis(g: Any, y: Any, x: Any, *, index: Any) -> Any:
    """New axes are left out of the index, and the numbers take the shape that this gives."""
    del y
    old = tuple(i for i in index if i is not None)
    return scatter(g.reshape(plain(x)[old].shape), old, x.shape)


def _arrays_in_place(right: Pullback) -> Pullback:
    """The axes of index arrays are looked for where the first array stands, though NumPy moves them to the front."""

    def wrong(g: Any, y: Any, x: Any, *, index: Any) -> Any:
        numbered = [k for k, i in enumerate(index) if isinstance(i, (int, np.ndarray))]
        arrays = [k for k in numbered if isinstance(index[k], np.ndarray) and index[k].dtype != bool]
        apart = arrays and numbered[-1] - numbered[0] >= len(numbered)
        if not apart or any(i is Ellipsis for i in index):
            return right(g, y, x, index=index)
        own = np.broadcast(*(index[k] for k in arrays)).ndim
        start = sum(not isinstance(i, int) for i in index[: arrays[0]])
        assumed = [*g.shape[own : own + start], *g.shape[:own], *g.shape[own + start :]]
        front = [*range(start, start + own), *range(start), *range(start + own, g.ndim)]
        return right(g.reshape(assumed).transpose(front), y, x, index=index)

    return wrong


def _assigned(safe: Callable[[tuple[Any, ...]], bool]) -> Callable[..., Any]:
    """A scatter that assigns, which is faster, where `safe(index)` says that no place is met twice."""

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
    """What is met several times is taken for an average."""
    del y
    times = _scatter(np.ones(x.shape), index=index, shape=shape)
    return (g / np.maximum(times, 1))[index]


def _stepping_up(index: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(slice(i.start, i.stop, abs(i.step or 1)) if isinstance(i, slice) else i for i in index)


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                         what is wrong                                                                           source                           rows
    #     how it is planted
    Fault("b070-getitem",              "numbers are taken by the same index again, where the shapes allow it",                 "ml-explore/mlx#3700",           ("getitem",),
          around("getitem", 0, _gathered)),
    Fault("b109-getitem",              "an index with no number twice is taken to meet no place twice: -1 may be 2",           "HIPS/autograd#136",             ("getitem", "scatter"),
          forward("scatter", _assigned(_no_number_twice))),
    Fault("b109-getitem-mixed",        "an index that begins with a slice is taken to meet no place twice",                    "HIPS/autograd#136",             ("getitem",),
          forward("scatter", _assigned(lambda index: bool(index) and isinstance(index[0], slice)))),
    Fault("b112-getitem",              "a slice that takes one number loses its step",                                         "ml-explore/mlx#4444",           ("getitem",),
          pullback("getitem", 0, _reindexed(_without_step))),
    Fault("b114-getitem",              "a slice with a step that takes nothing gives a gradient that is too long",             "jax-ml/jax#4599",               ("getitem",),
          around("getitem", 0, _padded_by_step)),
    Fault("b117-getitem",              "of cotangents for one place the last alone counts",                                    "pytorch/pytorch#146299",        ("getitem", "scatter", "pad"),
          forward("scatter", _assigned(lambda index: True))),
    Fault("b120-getitem",              "axes of arrays that are apart are looked for in their place, not in front",            "tinygrad/tinygrad@eb0f5b5",     ("getitem",),
          around("getitem", 0, _arrays_in_place)),
    Fault("getitem-rows",              "an array of two axes is taken to meet no place twice if no two of its rows are equal", "ours",                          ("getitem",),
          forward("scatter", _assigned(_no_row_twice))),
    Fault("getitem-mask-by-columns",   "what a mask of two axes took comes back column by column",                             "ours",                          ("getitem",),
          pullback("getitem", 0, _reindexed(_columns_first))),
    Fault("getitem-upwards",           "what a slice took from the end comes back from the start",                             "ours",                          ("getitem",),
          pullback("getitem", 0, _reindexed(_upwards))),
    Fault("getitem-newaxis",           "arrays that None keeps apart are taken for neighbours",                                "ours",                          ("getitem",),
          pullback("getitem", 0, _without_newaxis)),

    Fault("b116-scatter",              "negative places count from the end forward, and as 0 on the way back",                 "jax-ml/jax#7538",               ("scatter",),
          pullback("scatter", 0, _clamped)),
    Fault("scatter-averaged",          "where places are met twice, cotangents are averaged",                                  "ours",                          ("scatter",),
          pullback("scatter", 0, _averaged)),
    Fault("scatter-upwards",           "a slice of negative step loses its sign on the way back",                              "ours",                          ("scatter",),
          pullback("scatter", 0, lambda g, y, x, *, index, shape: g[_stepping_up(index)])),
)
# fmt: on
