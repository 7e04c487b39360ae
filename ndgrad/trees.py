"""Trees: nested lists, tuples and dicts of arrays, as arguments and results of functions. Arrays are the leaves.

A list of plain numbers is an array, as everywhere in ndgrad, and so is a nested list of them with a regular shape. A
list is a tree if it holds an array, a Value, a dict or None, or if its rows differ in length. None is not a leaf: it
stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_NUMBERS = (int, float, complex, np.generic)


def is_tree(x: Any) -> bool:
    """Return whether an argument is a tree, and not an array written as a list."""
    if isinstance(x, dict) or hasattr(x, "_fields"):
        return True
    return isinstance(x, (list, tuple)) and _regular_shape(x) is None


def _regular_shape(x: Any) -> tuple[int, ...] | None:
    """Return the shape of nested lists of numbers; None if they hold anything else, or are ragged."""
    if isinstance(x, _NUMBERS):
        return ()
    if not isinstance(x, (list, tuple)):
        return None
    kinds = set(map(type, x))
    shapes = {()} if kinds <= {int, float, np.float64} else set(map(_regular_shape, x))
    inner = shapes.pop() if len(shapes) == 1 else None
    return None if inner is None and x else (len(x), *(inner or ()))


def is_branch(x: Any) -> bool:
    """Return whether a result is a tree: any list, tuple or dict, since no op returns an array as a list."""
    return isinstance(x, (list, tuple, dict))


def map_leaves(function: Callable[[Any], Any], tree: Any, is_inner: Callable[[Any], bool] = is_branch) -> Any:
    """Apply `function` to each leaf, and return a tree of the same structure."""
    if tree is None:
        return None
    if not is_inner(tree):
        return function(tree)
    if isinstance(tree, dict):
        return {key: map_leaves(function, entry, is_inner) for key, entry in tree.items()}
    entries = [map_leaves(function, entry, is_inner) for entry in tree]
    if hasattr(tree, "_fields"):
        return type(tree)(*entries)
    return entries if isinstance(tree, list) else tuple(entries)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of a tree, in order. They are arrays or Values."""
    found: list[Any] = []
    map_leaves(found.append, tree)
    return found


def replace_leaves(tree: Any, new: Iterator[Any]) -> Any:
    """Return a tree of the same structure with new leaves, taken in order."""
    return map_leaves(lambda _: next(new), tree)


def match_leaves(tree: Any, other: Any, what: str) -> Iterator[Any]:
    """Yield the entry of another tree at the place of each leaf of a tree, in order.

    Args:
        tree: a tree whose leaves are arrays or Values.
        other: a tree of the same structure. In place of a leaf it may have anything.
        what: the name of the two trees in errors.

    Raises:
        ValueError: the structures differ.
    """
    if tree is None or not is_branch(tree):
        if tree is not None:
            yield other
        return
    keys, others = _keys(tree), _keys(other)
    if keys != others:
        raise ValueError(
            f"{what} must have the same structure, but one has {_shown(tree)} where there is {_shown(other)}"
        )
    for key in keys:
        yield from match_leaves(tree[key], other[key], what)


def _keys(tree: Any) -> list[Any]:
    return list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, (list, tuple)) else []


def _shown(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    return f"a {type(tree).__name__}" + (f" of {len(tree)}" if isinstance(tree, (list, tuple)) else "")
