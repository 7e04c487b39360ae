"""Calls that run backward passes, and calls that read or change gradients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from reference.checks.sessions.drawing import latest_first, leaves, numbers, roots
from reference.checks.sessions.pairs import Pair
from reference.checks.sessions.session import Session
from reference.checks.sessions.state import Wrong
from reference.checks.sessions.writing import write_into
from reference.ops.source import Source, chance, pick
from reference.verdict import Finding, Kind

# How many calls of Python and C functions a backward pass may make for each node. ndgrad makes about ten.
FEW_CALLS = 200


def backward(session: Session, source: Source) -> None:
    """Run backward from any value, with a cotangent or from ones. A cotangent's array may change afterwards."""
    root = pick(source, roots(session))
    given, cotangent = draw_cotangent(session, source, root)
    session.backward(root, given, cotangent, pick(source, session.lines.in_modes))
    if given in session.arrays and chance(source, 50):
        session.check()
        write_into(session, given, 9)


def backward_from_several(session: Session, source: Source) -> None:
    """Run backward from two or three values at once. One may depend on another, or occur twice."""
    starts = roots(session)
    chosen = [pick(source, starts) for _ in range(source.integer(2, 3))]
    starts_and_cotangents = [draw_cotangent(session, source, root) for root in chosen]
    names = ", ".join(root.name for root in chosen)
    given = ", ".join(given or "None" for given, _ in starts_and_cotangents)
    cotangents = [(root, array) for root, (_, array) in zip(chosen, starts_and_cotangents, strict=True)]
    session.run_backward(cotangents, session.lines.several.format(roots=names, given=given))


def draw_cotangent(session: Session, source: Source, root: Pair) -> tuple[str, np.ndarray]:
    """Draw a cotangent; return it as it is written and as an array."""
    shape = root.numbers.shape
    manner = pick(source, session.lines.cotangents)
    if manner == "ones":
        return "", np.ones_like(root.numbers)
    array = numbers(source, shape, "float32" if manner == "float32" else "float64")
    if manner == "whole":
        array = np.asarray(np.ceil(array), np.int64)
    given = repr(array.tolist()) if manner == "list" else session.users_array(array)
    return given, array.astype(root.numbers.dtype)


def twice(session: Session, source: Source) -> None:
    """Run two passes over one graph. The gradients must double, exactly if the engine promises that."""
    root = pick(source, roots(session))
    reached = [p for p in root.ancestors() if p.is_leaf and p.name in session.pairs]
    for pair in reached:
        _make_missing(session, pair)
    given, cotangent = draw_cotangent(session, source, root)
    session.backward(root, given, cotangent)
    session.check()
    once = {p.name: np.array(_gradient(session, p.name)) for p in reached if p.gradient is not None}
    session.backward(root, given, cotangent)
    session.check()
    for name, gradient in once.items() if session.speaker.adds_exactly else ():
        both = _gradient(session, name)
        if not np.array_equal(gradient + gradient, both, equal_nan=True):
            says = f"is {both.tolist()} after two passes, but must be exactly twice {gradient.tolist()}"
            raise Wrong(Finding(Kind.ACCUMULATION, f"grad[{name}]", says))


def _gradient(session: Session, name: str) -> Any:
    return session.speaker.gradient(session.space[name])


def backward_in_few_calls(session: Session, root: Pair) -> None:
    """Run backward from ones, and stop if it takes too many calls."""
    calls = FEW_CALLS * sum(p.nodes for p in root.ancestors())
    line = session.lines.backward.format(root=root.name, given="", then="")
    try:
        session.run_backward([(root, np.ones_like(root.numbers))], line, _at_most(calls))
    except _CallLimitExceeded:
        says = f"took more than {calls:,} calls: is a node visited once for each path to it?"
        raise Wrong(Finding(Kind.TOO_SLOW, line, says)) from None


class _CallLimitExceeded(BaseException):
    """Too many calls. It derives from BaseException, so that no engine catches it."""


@contextmanager
def _at_most(calls: int) -> Iterator[None]:
    """Raise after this many calls of functions."""
    left = calls

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _CallLimitExceeded

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before if callable(before) else None)  # a profiler written in C cannot be restored


# Gradients.


def zeroed(session: Session, source: Source) -> None:
    """Clear a leaf's gradient."""
    _make_missing(session, pick(source, leaves(session)))


def _make_missing(session: Session, pair: Pair) -> None:
    session.do(session.lines.zero.format(name=pair.name))
    pair.set_gradient(None)


def grad_assigned(session: Session, source: Source) -> None:
    """Assign 0.0, a list or an array to a gradient. The array is copied, and may change afterwards."""
    pair = pick(source, leaves(session))
    shape = pair.numbers.shape
    manner = pick(source, ["0.0", "array", "array", "list"])
    array = np.zeros(shape) if manner == "0.0" else numbers(source, shape)
    given = "0.0" if manner == "0.0" else repr(array.tolist()) if manner == "list" else session.users_array(array)
    session.do(session.lines.assigned_gradient.format(name=pair.name, given=given))
    pair.set_gradient(array)
    if manner == "array" and chance(source, 50):
        session.check()
        write_into(session, given, 9)


def grad_written(session: Session, source: Source) -> None:
    """Write into a leaf's gradient. If the user holds that gradient's array, it changes with it."""
    pair = pick(source, latest_first(p for p in leaves(session) if p.gradient is not None))
    form, change = pick(source, session.lines.written_gradients)
    array = _gradient(session, pair.name)
    session.do(form.format(session.lines.gradient.format(base=pair.name)))
    pair.set_gradient(np.asarray(change(pair.gradient)) if pair.gradient is not None else None)
    for name, users in session.arrays.items():
        if users.is_gradient and np.shares_memory(session.space[name], array):
            session.refresh(name)


def grad_kept(session: Session, source: Source) -> None:
    """Let the user hold a gradient, of a leaf or of an inner node. No later call may change it."""
    pair = pick(source, latest_first(p for p in session.pairs.values() if p.gradient is not None and not p.stale))
    session.keep(session.numbered("kept"), session.lines.gradient.format(base=pair.name), is_gradient=True)
