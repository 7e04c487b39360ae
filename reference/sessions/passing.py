"""Calls that pass back, and that do something to gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from reference.sessions.drawing import at_least_one, leaves, numbers, roots
from reference.sessions.mirror import Pair, Tensor
from reference.sessions.session import Session
from reference.sessions.state import Wrong
from reference.sessions.writing import write_into
from reference.source import Source, chance, pick
from reference.verdict import Finding, Kind

# How many calls, of Python's functions and of C's, a node may take in a pass back. In ndgrad it takes about ten.
FEW_CALLS = 200


def backward(session: Session, source: Source) -> None:
    """From any Value, with a cotangent or from ones; an array that is handed in may change afterwards."""
    root = pick(source, roots(session))
    given, cotangent = draw_cotangent(session, source, root)
    form = pick(source, ["{}"] * 9 + ["with no_grad():\n    {}"])
    session.pass_back([(root, cotangent)], form.format(f"{root.name}.backward({given})"))
    if given in session.arrays and chance(source, 50):
        session.check()
        write_into(session, given, 9)


def backward_from_several(session: Session, source: Source) -> None:
    """From two or three Values at once, each with its cotangent; one may be made of another, or come twice."""
    starts = roots(session)
    chosen = [pick(source, starts) for _ in range(source.integer(2, 3))]
    drawn = [draw_cotangent(session, source, root) for root in chosen]
    names = ", ".join(root.name for root in chosen)
    given = ", ".join(given or "None" for given, _ in drawn)
    tensors = [(root, tensor) for root, (_, tensor) in zip(chosen, drawn, strict=True)]
    session.pass_back(tensors, f"ndgrad.backward([{names}], [{given}])")


def draw_cotangent(session: Session, source: Source, root: Pair) -> tuple[str, Tensor]:
    """What is passed back, as it is written and as a tensor."""
    shape = tuple(root.tensor.shape)
    manner = pick(source, ["ones", "array", "array", "list", "float32", "whole"])
    if manner == "ones":
        return "", torch.ones_like(root.tensor)
    array = numbers(source, shape, "float32" if manner == "float32" else "float64")
    if manner == "whole":
        array = np.asarray(np.ceil(array), np.int64)
    given = repr(array.tolist()) if manner == "list" else session.hand(array)
    return given, torch.tensor(array).to(root.tensor.dtype)


def twice(session: Session, source: Source) -> None:
    """Two passes over one graph, from gradients that are missing: exactly twice the first."""
    root = pick(source, roots(session))
    reached = [p for p in root.made_of() if p.is_leaf and p.name in session.pairs]
    for pair in reached:
        _make_missing(session, pair)
    given, cotangent = draw_cotangent(session, source, root)
    line = f"{root.name}.backward({given})"
    session.pass_back([(root, cotangent)], line)
    session.check()
    once = {p.name: np.array(session.space[p.name].grad) for p in reached if p.tensor.grad is not None}
    session.pass_back([(root, cotangent)], line)
    session.check()
    for name, gradient in once.items():
        both = session.space[name].grad
        if not np.array_equal(gradient + gradient, both, equal_nan=True):
            says = f"is {both.tolist()} after two passes, but must be twice {gradient.tolist()}, to the bit"
            raise Wrong(Finding(Kind.ACCUMULATION, f"grad[{name}]", says))


def pass_back_in_few_calls(session: Session, root: Pair) -> None:
    """Pass back from ones, and stop what takes more calls than there is reason for."""
    calls = FEW_CALLS * sum(p.nodes for p in root.made_of())
    line = f"{root.name}.backward()"
    try:
        session.pass_back([(root, torch.ones_like(root.tensor))], line, _at_most(calls))
    except _TooManyCalls:
        says = f"took more than {calls:,} calls: is a node visited once for each path to it?"
        raise Wrong(Finding(Kind.TOO_SLOW, line, says)) from None


class _TooManyCalls(BaseException):
    """Passes through whatever an engine catches."""


@contextmanager
def _at_most(calls: int) -> Iterator[None]:
    """Count calls, and stop after this many."""
    left = calls

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooManyCalls

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before if callable(before) else None)  # a profiler written in C cannot be put back


# Gradients.


def zeroed(session: Session, source: Source) -> None:
    """A gradient is made missing."""
    _make_missing(session, pick(source, leaves(session)))


def _make_missing(session: Session, pair: Pair) -> None:
    session.do(f"{pair.name}.zero_grad()")
    pair.tensor.grad = None


def grad_assigned(session: Session, source: Source) -> None:
    """`p.grad = 0.0`, or an array, which is copied and may change afterwards."""
    pair = pick(source, leaves(session))
    shape = tuple(pair.tensor.shape)
    manner = pick(source, ["0.0", "array", "array", "list"])
    array = np.zeros(shape) if manner == "0.0" else numbers(source, shape)
    given = "0.0" if manner == "0.0" else repr(array.tolist()) if manner == "list" else session.hand(array)
    session.do(f"{pair.name}.grad = {given}")
    pair.tensor.grad = torch.tensor(array).to(pair.tensor.dtype)
    if manner == "array" and chance(source, 50):
        session.check()
        write_into(session, given, 9)


# fmt: off
GRADIENT_WRITES: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
    # a line             the same of a gradient
    ("{0}[...] = 0.0",   torch.zeros_like),
    ("{0}[...] = 0.5",   lambda g: torch.full_like(g, 0.5)),
    ("{0} *= 2.0",       lambda g: g * 2.0),
    ("{0}[...] += 1.0",  lambda g: g + 1.0),
)
# fmt: on


def grad_written(session: Session, source: Source) -> None:
    """A user writes into a leaf's gradient. An array that was kept of it is the same array, and changes with it."""
    pair = pick(source, at_least_one(p for p in leaves(session) if p.tensor.grad is not None))
    form, change = pick(source, GRADIENT_WRITES)
    array = session.space[pair.name].grad
    session.do(form.format(f"{pair.name}.grad"))
    pair.tensor.grad = change(pair.gradient) if pair.gradient is not None else None
    for name, handed in session.arrays.items():
        if handed.kept and np.shares_memory(session.space[name], array):
            session.as_it_is(name)


def grad_kept(session: Session, source: Source) -> None:
    """A user keeps a gradient, of a leaf or of a node inside; nothing must change it any more."""
    pair = pick(source, at_least_one(p for p in session.pairs.values() if p.gradient is not None and not p.stale))
    session.keep(session.numbered("kept"), f"{pair.name}.grad", shared=True)
