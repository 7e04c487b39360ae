"""Lists, tuples and dicts of arrays, nested, as an argument or result of a function: a tree, whose leaves are arrays.

A list of plain numbers is an array, as everywhere in ndgrad, and so is a regular one of such lists. A list is a tree if
something in it is an array, a Value, a dict or None, or if its rows differ in length. None is no leaf, and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_NUMBERS = (int, float, complex, np.generic)


def is_tree(x: Any) -> bool:
    """Whether an argument is a tree, and not an array in brackets."""
    if isinstance(x, dict) or hasattr(x, "_fields"):
        return True
    return isinstance(x, (list, tuple)) and _regular_shape(x) is None


def _regular_shape(x: Any) -> tuple[int, ...] | None:
    """The shape of numbers in brackets; None if they are something else, or irregular."""
    if isinstance(x, _NUMBERS):
        return ()
    if not isinstance(x, (list, tuple)):
        return None
    kinds = set(map(type, x))
    shapes = {()} if kinds <= {int, float, np.float64} else set(map(_regular_shape, x))
    inner = shapes.pop() if len(shapes) == 1 else None
    return None if inner is None and x else (len(x), *(inner or ()))


def is_branch(x: Any) -> bool:
    """Whether a result is a tree: any list, tuple or dict, for an array in brackets is made by no op."""
    return isinstance(x, (list, tuple, dict))


def mapped(function: Callable[[Any], Any], tree: Any, is_inner: Callable[[Any], bool] = is_branch) -> Any:
    """The same tree with `function` of each leaf in its place."""
    if tree is None:
        return None
    if not is_inner(tree):
        return function(tree)
    if isinstance(tree, dict):
        return {key: mapped(function, entry, is_inner) for key, entry in tree.items()}
    entries = [mapped(function, entry, is_inner) for entry in tree]
    if hasattr(tree, "_fields"):
        return type(tree)(*entries)
    return entries if isinstance(tree, list) else tuple(entries)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree whose arrays are arrays or Values, in order."""
    found: list[Any] = []
    mapped(found.append, tree)
    return found


def filled(tree: Any, new: Iterator[Any]) -> Any:
    """The same tree with new leaves, in order."""
    return mapped(lambda _: next(new), tree)


def matched(tree: Any, other: Any, what: str) -> Iterator[Any]:
    """What another tree has for each leaf of a tree, in order.

    Args:
        tree: of arrays or Values.
        other: of the same structure. Where a leaf stands in the one, anything may stand in the other.
        what: what errors call the two.

    Raises:
        ValueError: it has another structure.
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
        yield from matched(tree[key], other[key], what)


def _keys(tree: Any) -> list[Any]:
    return list(tree) if isinstance(tree, dict) else list(range(len(tree))) if isinstance(tree, (list, tuple)) else []


def _shown(tree: Any) -> str:
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    return f"a {type(tree).__name__}" + (f" of {len(tree)}" if isinstance(tree, (list, tuple)) else "")
