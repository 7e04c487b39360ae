"""Rules that pick numbers by index, and put them back: each is the other's pullback."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.rules.rule import Call, Rule


def _index(index: Any) -> tuple[Any, ...]:
    """An index as a tuple of its own: arrays in it are copied, so that nobody changes them behind the graph."""
    return tuple(_entry(i) for i in (index if isinstance(index, tuple) else (index,)))


def _entry(entry: Any) -> Any:
    if entry is None or entry is Ellipsis or isinstance(entry, (int, np.integer, slice)):
        return entry
    if hasattr(entry, "__apply_rule__"):
        raise TypeError("a Value cannot be an index, for nothing is differentiable towards one; use its .data")
    array = np.array(entry) if np.size(entry) else np.array(entry, dtype=getattr(entry, "dtype", np.intp))
    if array.dtype.kind not in "iub":
        raise IndexError(f"an index must hold whole numbers or booleans, but holds {array.dtype}")
    array.flags.writeable = False
    return array


def _is_basic(index: tuple[Any, ...]) -> bool:
    """Whether the index takes each number at most once by its form alone: no arrays, no booleans in it."""
    return not any(isinstance(i, (np.ndarray, bool)) for i in index)


def _scatter(x: Any, *, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, dtype=x.dtype)
    if _is_basic(index):
        out[index] = x
    else:
        np.add.at(out, index, x)  # an index met twice adds twice; `out[index] += x` would add once
    return out


def _scattered(x: Any, index: Any, shape: tuple[int, ...]) -> Call:
    return (x,), {"index": _index(index), "shape": tuple(shape)}


# fmt: off
#         forward                             pullback: (g, y, x, **options)
getitem: Rule = Rule(lambda x, *, index: x[index],  lambda g, y, x, *, index: scatter(g, index, x.shape),
               bind=lambda x, index: ((x,), {"index": _index(index)}),  operator="getitem",  symbol="[]",
               method=False, views=True)
scatter: Rule = Rule(_scatter,                      lambda g, y, x, *, index, shape: g[index],
               bind=_scattered, method=False,
               doc="Zeros of `shape`, with the numbers of `x` added at `index`: what indexing takes back.")
# fmt: on
