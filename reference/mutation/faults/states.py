"""Faults of state between calls: shared memory, writes between the forward and the backward pass, modes, leaks.

The table knows the engine's seams. It does not know which sessions show a fault.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ndgrad import Value, enable_grad, modes, no_grad
from ndgrad.engine.arrays import new_array
from ndgrad.engine.recording import _result, _unshared
from ndgrad.engine.staleness import _may_share, _written_since, remember, unreadable_where_changed
from ndgrad.rules import indexing
from reference.mutation.planting import Fault, Plant, attribute, bind, function, method, setter, together

Right = Callable[..., Any]

# Shared memory.


def _shared(right: Right) -> Right:
    """Do not copy the array that a Value is made from, if no conversion is needed."""

    def numbers(data: Any) -> Any:
        array = right(data)
        return data if type(data) is np.ndarray and data.dtype == array.dtype and data.flags.c_contiguous else array

    return numbers


def _detached_view(right: Right) -> Right:
    def detach(value: Value) -> Value:
        detached: Value = right(value)
        detached._array = value._array
        return detached

    return detach


def _index_shared(right: Right) -> Right:
    def entry(given: Any) -> Any:
        checked = right(given)
        return given if isinstance(given, np.ndarray) and given.size else checked

    return entry


def _views_written(right: Right) -> Right:
    def result(rule: Any, operands: Any, options: Any, y: Any) -> Value:
        value: Value = right(rule, operands, options, y)
        if isinstance(y, np.ndarray) and y.flags.writeable:
            value.data.flags.writeable = True
        return value

    return result


# Writes between the forward and the backward pass.


def _result_as_it_is(right: Right) -> Right:
    return lambda node, given: [given[0], *right(node, given)[1:]]


def _unless_remembered(right: Right) -> Right:
    return lambda node, given: right(node, given) if hasattr(node, "_remembered") else given


def _assigned_alone(right: Right) -> Right:
    def write(value: Value, data: Any) -> None:
        if data is not value.data:
            right(value, data)

    return write


def _written_itself(value: Value, node_id: int) -> bool:
    return getattr(value, "_written", 0) > node_id


def _one_step(value: Value, node_id: int) -> bool:
    """Whether a value or its base was written; the base of the base is ignored."""
    base = value._operands[0] if value._rule is not None and value._rule.views else None
    behind = isinstance(base, Value) and _written_itself(base, node_id) and _may_share(base._array, value._array)
    return behind or _written_itself(value, node_id)


# Modes.


@contextmanager
def _modes() -> Iterator[None]:
    """Restore the modes after a fault of modes, which may leave them changed."""
    before = modes.current()
    try:
        yield
    finally:
        vars(modes)["_current"].set(before)


def _left(change: Callable[[Right], Right]) -> Plant:
    """Change the method that leaves a mode. A mode that is not left shows anywhere later."""
    return together(Plant(_modes), method(no_grad.__mro__[1], "__exit__", change))


def _but_for_errors(right: Right) -> Right:
    def leave(mode: Any, kind: Any, error: Any, at: Any) -> None:
        if error is None:
            right(mode, kind, error, at)

    return leave


def _for_all(right: Right) -> Right:
    def leave(mode: Any, *error: Any) -> None:
        right(mode, *error)
        enable_grad().__enter__()

    return leave


def _one_operand_recorded(right: Right) -> Right:
    recording = enable_grad()(right)
    return lambda rule, operands, options, y: (recording if len(operands) == 1 else right)(rule, operands, options, y)


def _in_a_circle(right: Right) -> Right:
    """Give each node its own rule, which refers back to the node."""

    def result(*args: Any) -> Value:
        value: Value = right(*args)
        if value._rule is not None:
            value._rule = copy.copy(value._rule)
            vars(value._rule).update(node=value)
        return value

    return result


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                             what is wrong                                                                    source                        rows
    #     its plant

    # Shared memory.
    Fault("b187-engine",                   "a Value shares memory with the array that it is made from",                     "folklore",                   (),
          function(new_array, _shared)),
    Fault("detach-shares",                 "detach returns a view, which later writes change",                              "ours",                       (),
          method(Value, "detach", _detached_view)),
    Fault("detach-wants-a-gradient",       "the result of detach requires a gradient, and gets one",                        "ours",                       (),
          attribute(Value, "detach", lambda value: Value(value.data))),
    Fault("getitem-index-shared",          "an index array is not copied: changing it changes the backward pass",           "ours",                       (),
          function(indexing._entry, _index_shared)),
    Fault("where-condition-shared",        "the condition is not copied: changing it changes the backward pass",            "ours",                       (),
          bind("where", lambda condition, a, b: ((a, b), {"condition": np.asarray(condition, bool)}))),
    Fault("views-written",                 "data that is a view of another Value's data is writable",                       "ours",                       (),
          function(_result, _views_written)),
    Fault("views-constant-shared",         "a view made under no_grad changes with later writes",                           "ours",                       (),
          function(_unshared, lambda right: lambda rule, y: y)),

    # Writes between the forward and the backward pass.
    Fault("b025-engine",                   "the backward pass reads a result that was overwritten",                         "linkedin/Liger-Kernel#272",  (),
          function(unreadable_where_changed, _result_as_it_is)),
    Fault("b118-engine",                   "nothing checks whether data was assigned after it was used",                    "rsokl/MyGrad@5b8448c",       (),
          function(unreadable_where_changed, _unless_remembered)),
    Fault("writes-augmented-unnoticed",    "`x.data -= d` does not count as an assignment and goes unnoticed",              "ours",                       (),
          setter(Value, "data", _assigned_alone)),
    Fault("writes-behind-views-unnoticed", "a write to the base of an operand that is a view goes unnoticed",               "ours",                       (),
          function(_written_since, lambda right: _written_itself)),
    Fault("b031-engine",                   "only one view is followed: a write to the base of a view of a view is missed",  "rsokl/MyGrad@9b958b9",       (),
          function(_written_since, lambda right: _one_step)),
    Fault("writes-by-index-unnoticed",     "check_writes records nothing, so `x.data[0] = 9` goes unnoticed",               "ours",                       (),
          function(remember, lambda right: lambda node: None)),

    # Modes.
    Fault("b191-engine",                   "under no_grad, ops of one operand are still recorded",                          "facebookresearch/higher#48", (),
          function(_result, _one_operand_recorded)),
    Fault("modes-kept-by-errors",          "a no_grad that is left by an error stays on",                                   "folklore",                   (),
          _left(_but_for_errors)),
    Fault("modes-do-not-nest",             "leaving an inner no_grad also ends the outer one",                              "folklore",                   (),
          _left(_for_all)),
    Fault("modes-enable-grad-idle",        "enable_grad inside no_grad has no effect",                                      "ours",                       (),
          attribute(enable_grad, "_switch", lambda *_: None)),

    # Leaks.
    Fault("memory-in-a-circle",            "a node refers to itself, and is freed only by the cyclic collector",            "folklore",                   (),
          function(_result, _in_a_circle)),
)
# fmt: on
