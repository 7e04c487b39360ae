"""Faults of what lasts between calls: memory that is shared, writes between forward and backward, modes, and leaks.

It knows the engine's seams. Which sessions show a fault, it does not know.
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

# Memory that is shared.


def _shared(right: Right) -> Right:
    """The array that a Value is made from is its own, if it would do as it is."""

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


# Writes between forward and backward.


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
    """Whether a value was written, or what it is a view of; but not what that is a view of."""
    base = value._operands[0] if value._rule is not None and value._rule.views else None
    behind = isinstance(base, Value) and _written_itself(base, node_id) and _may_share(base._array, value._array)
    return behind or _written_itself(value, node_id)


# Modes.


@contextmanager
def _modes() -> Iterator[None]:
    """The modes that there are come back after a fault of theirs, which may leave them changed."""
    before = modes.current()
    try:
        yield
    finally:
        vars(modes)["_current"].set(before)


def _left(change: Callable[[Right], Right]) -> Plant:
    """Change how a mode is left."""
    return together(lambda: _modes(), method(no_grad.__mro__[1], "__exit__", change))


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
    """A node has a rule of its own, which holds the node."""

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
    #     how it is planted

    # Memory that is shared.
    Fault("b187-engine",                   "a Value shares the array that it is made from",                                 "folklore",                   (),
          function(new_array, _shared)),
    Fault("detach-shares",                 "detach gives a view, which follows later writes",                               "ours",                       (),
          method(Value, "detach", _detached_view)),
    Fault("detach-wants-a-gradient",       "what detach gives wants a gradient, and gets one",                              "ours",                       (),
          attribute(Value, "detach", lambda value: Value(value.data))),
    Fault("getitem-index-shared",          "an array of indices is not copied: who changes it changes the way back",        "ours",                       (),
          function(indexing._entry, _index_shared)),
    Fault("where-condition-shared",        "the condition is not copied: who changes it changes the way back",              "ours",                       (),
          bind("where", lambda condition, a, b: ((a, b), {"condition": np.asarray(condition, bool)}))),
    Fault("views-written",                 "data that is a view of another Value's can be written to",                      "ours",                       (),
          function(_result, _views_written)),
    Fault("views-constant-shared",         "a view made under no_grad follows later writes",                                "ours",                       (),
          function(_unshared, lambda right: lambda rule, y: y)),

    # Writes between forward and backward.
    Fault("b025-engine",                   "a result that was written over is read on the way back",                        "linkedin/Liger-Kernel#272",  (),
          function(unreadable_where_changed, _result_as_it_is)),
    Fault("b118-engine",                   "whether data was assigned since it was used is not asked",                      "rsokl/MyGrad@5b8448c",       (),
          function(unreadable_where_changed, _unless_remembered)),
    Fault("writes-augmented-unnoticed",    "`x.data -= d` is no assignment, and goes unnoticed",                            "ours",                       (),
          setter(Value, "data", _assigned_alone)),
    Fault("writes-behind-views-unnoticed", "a write to what an operand is a view of goes unnoticed",                        "ours",                       (),
          function(_written_since, lambda right: _written_itself)),
    Fault("b031-engine",                   "of a chain of views one step is followed: a write behind two goes unnoticed",   "rsokl/MyGrad@9b958b9",       (),
          function(_written_since, lambda right: _one_step)),
    Fault("writes-by-index-unnoticed",     "check_writes remembers nothing, so that `x.data[0] = 9` goes unnoticed",        "ours",                       (),
          function(remember, lambda right: lambda node: None)),

    # Modes.
    Fault("b191-engine",                   "under no_grad, ops of one operand are recorded all the same",                   "facebookresearch/higher#48", (),
          function(_result, _one_operand_recorded)),
    Fault("modes-kept-by-errors",          "no_grad that is left by an error lasts",                                        "folklore",                   (),
          _left(_but_for_errors)),
    Fault("modes-do-not-nest",             "the end of an inner no_grad is the end of the outer one",                       "folklore",                   (),
          _left(_for_all)),
    Fault("modes-enable-grad-idle",        "enable_grad inside no_grad has no effect",                                      "ours",                       (),
          attribute(enable_grad, "_switch", lambda *_: None)),

    # Memory that is never given back.
    Fault("memory-in-a-circle",            "a node holds itself, and waits for the cyclic collector",                       "folklore",                   (),
          function(_result, _in_a_circle)),
)
# fmt: on
