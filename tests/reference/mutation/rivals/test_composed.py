"""Composed functions: they cover the library, and are differentiable at their arguments."""

from __future__ import annotations

import numpy as np

from ndgrad.library import ACTIVATIONS
from reference.mutation.rivals.cases import _is_regular
from reference.mutation.rivals.composed import composed


def test_functions_are_regular() -> None:
    """In both precisions they give finite numbers of that precision, to second order."""
    for case in composed():
        assert _is_regular(case), case.name
        assert _is_regular(case.in_single()), case.name


def test_the_library_is_among_them() -> None:
    """Each activation has a layer, and each loss occurs with each reduction."""
    names = {case.name for case in composed()}
    assert {f"layer, {activation}" for activation in ACTIVATIONS} <= names
    for loss in ("squares", "hinge", "cross-entropy", "cross-entropy of shares"):
        assert {f"{loss}, {reduction}" for reduction in ("mean", "sum", "none")} <= names


def test_names_are_unique() -> None:
    """Each function has its own name."""
    names = [case.name for case in composed()]
    assert len(set(names)) == len(names)


def test_numbers_differ() -> None:
    """No two functions have the same arguments."""
    starts = np.array([case.arrays[0].flat[0] for case in composed()])
    assert len(set(starts)) == len(starts)
