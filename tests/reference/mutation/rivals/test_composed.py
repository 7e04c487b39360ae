"""Functions of several ops: there are some of each kind, and they are differentiable where they are checked."""

from __future__ import annotations

import numpy as np

from ndgrad.library import ACTIVATIONS
from reference.mutation.rivals.cases import _is_regular
from reference.mutation.rivals.composed import composed


def test_functions_are_regular() -> None:
    """In either precision they give finite numbers of that precision, to second order."""
    for case in composed():
        assert _is_regular(case), case.name
        assert _is_regular(case.in_single()), case.name


def test_the_library_is_among_them() -> None:
    """Each activation has a layer, and each loss is met in each reduction."""
    names = {case.name for case in composed()}
    assert {f"layer, {activation}" for activation in ACTIVATIONS} <= names
    for loss in ("squares", "hinge", "cross-entropy", "cross-entropy of shares"):
        assert {f"{loss}, {reduction}" for reduction in ("mean", "sum", "none")} <= names


def test_names_are_unique() -> None:
    """A name tells which function it was."""
    names = [case.name for case in composed()]
    assert len(set(names)) == len(names)


def test_numbers_differ() -> None:
    """No two functions start from the same numbers, so that no luck is shared."""
    starts = np.array([case.arrays[0].flat[0] for case in composed()])
    assert len(set(starts)) == len(starts)
