"""Staleness: it finds data that changed after the forward pass, and makes pullbacks that read it fail.

It knows a node's operands, and the clock of writes. `backward` decides when to check.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad.engine.clock import lock, writes
from ndgrad.engine.value import Value, plain


class Unreadable:
    """A placeholder for numbers that are not available: it has their shape and dtype, and raises when they are read.

    A pullback that needs only the shape therefore works, and one that reads the numbers fails, in any rule.
    """

    def __init__(self, like: Any, message: str) -> None:
        self.shape, self.ndim, self.size, self.dtype = like.shape, like.ndim, like.size, like.dtype
        self.nbytes = like.size * like.dtype.itemsize
        self._message = message

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError(self._message)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(self._message)

    __array__ = __array_ufunc__ = __array_function__ = __apply_rule__ = __getitem__ = __iter__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __pos__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = None  # type: ignore[assignment]


def remember(node: Value) -> None:
    """Remember the contents of a node's result and operands. The backward pass then checks whether they changed."""
    node._remembered = _contents(node)
    with lock:
        writes.latest = max(writes.latest, node._id)


def _contents(node: Value) -> tuple[bytes | None, ...]:
    """Return the bytes of a node's result and operands; None for numbers that were discarded, which nobody reads."""
    held = map(plain, (node, *node._operands))
    return tuple(None if x.__class__ is Unreadable else np.asarray(x).tobytes() for x in held)


def unreadable_where_changed(node: Value, given: list[Any]) -> list[Any]:
    """Return a node's result and operands for its pullbacks, with a placeholder for each array that changed."""
    contents = (node, *node._operands)
    if hasattr(node, "_remembered"):
        now = _contents(node)
        if now == node._remembered:
            return given
        changed = [a is not None and a != b for a, b in zip(now, node._remembered, strict=True)]
    else:
        changed = [x.__class__ is Value and _written_since(x, node._id) for x in contents]
    roles = ["the result", *(f"operand {i}" for i in range(len(node._operands)))]
    return [
        _changed(plain(x), role + (f" ({x.label})" if getattr(x, "label", "") else ""), node) if stale else v
        for x, v, stale, role in zip(contents, given, changed, roles, strict=True)
    ]


def _changed(data: Any, role: str, node: Value) -> Unreadable:
    return Unreadable(
        data if hasattr(data, "shape") else np.asarray(data),
        f"{role} of {node._rule.__name__ if node._rule else '?'} (shape {np.shape(data)}) changed after it was "
        "used, and the gradient needs what it was: run the forward pass again, or change it after backward()",
    )


def _written_since(value: Value, node_id: int) -> bool:
    """Return whether a value's data, or the data that it is a view of, was written after a node was created."""
    if getattr(value, "_written", 0) > node_id:
        return True
    numbers = value._array
    while True:
        if value._rule is None or not value._rule.views:
            return False
        base = value._operands[0]
        if base.__class__ is not Value:
            return False
        if getattr(base, "_written", 0) > node_id and _may_share(base._array, numbers):
            return True
        for array, when in getattr(base, "_replaced", ()):
            if when > node_id and array() is not None and np.may_share_memory(array(), numbers):
                return True
        value = base


def _may_share(a: Any, b: Any) -> bool:
    return Unreadable in (a.__class__, b.__class__) or np.may_share_memory(a, b)
