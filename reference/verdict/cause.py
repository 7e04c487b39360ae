"""Guess the likely cause of a mismatch from its numbers. The guess is worded as a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

# Ratios that suggest a bug by themselves, and the usual bug.
_USUAL = {
    2.0: "ratio 2 everywhere: a contribution counted twice?",
    0.5: "ratio 1/2 everywhere: a contribution lost, or a mean too many?",
    -1.0: "ratio -1 everywhere: a sign?",
}
_SAME = 1e-9  # the tolerance between ratios, and between a ratio and one of those above
_NEAR_1 = 1e-3  # a ratio nearer to 1 is printed as its difference from 1
_FEW = 2  # an array with fewer numbers may fit by chance


def likely_cause(got: Any, wanted: Any, known: Mapping[str, np.ndarray] | None = None) -> str:
    """Guess why two arrays differ.

    Args:
        got: the engine's array.
        wanted: the reference's array.
        known: possible lost factors by name: the operands and the cotangent.

    Returns:
        A sentence; empty if the arrays suggest no cause.
    """
    if got is None or wanted is None:
        return ""
    got, wanted = np.asarray(got, float), np.asarray(wanted, float)
    with np.errstate(all="ignore"):
        if got.shape != wanted.shape:
            return _by_shape(got, wanted)
        return _by_ratio(got, wanted) or _by_arrangement(got, wanted) or _by_factor(got, wanted, known or {})


def _by_shape(got: np.ndarray, wanted: np.ndarray) -> str:
    """A gradient with the broadcast shape was not summed; another may have its axes in another order."""
    if got.ndim == wanted.ndim and got.shape == wanted.shape[::-1]:
        return "the axes are reversed: transposed once too often, or too seldom?"
    try:
        whole = np.broadcast_shapes(got.shape, wanted.shape)
    except ValueError:
        whole = ()
    if whole and whole == got.shape:
        return "the shape after broadcasting: a sum over the broadcast axes missing?"
    if got.size == wanted.size:
        return "the right number of numbers in another shape: axes of length 1 added or lost?"
    return "summed over more than was broadcast?" if whole == wanted.shape else ""


def _by_ratio(got: np.ndarray, wanted: np.ndarray) -> str:
    divisible = np.isfinite(got) & np.isfinite(wanted) & (wanted != 0)
    if not divisible.any() or (got[~divisible] != wanted[~divisible]).any():
        return ""
    ratio = got[divisible] / wanted[divisible]
    if not got.any():
        return "zero everywhere: a gradient that does not flow?"
    if np.ptp(ratio) > _SAME * abs(ratio[0]):
        return ""
    for factor, words in _USUAL.items():
        if abs(ratio[0] - factor) < _SAME:
            return words
    whole = round(float(ratio[0]))
    if whole > 1 and abs(ratio[0] - whole) < _SAME:
        return f"ratio {whole} everywhere: a mean not taken, or a sum taken too often?"
    near_1 = f"1 {'-' if ratio[0] < 1 else '+'} {abs(ratio[0] - 1):.2g}"
    shown = near_1 if abs(ratio[0] - 1) < _NEAR_1 else f"{ratio[0]:.10g}"
    return f"ratio {shown} everywhere: a factor lost, or one too many?"


def _by_arrangement(got: np.ndarray, wanted: np.ndarray) -> str:
    if got.ndim > 1 and _alike(got, np.swapaxes(wanted, -1, -2)):
        return "the right numbers, transposed: axes exchanged, or expanded at the wrong end?"
    if got.size > 1 and _alike(np.sort(got.ravel()), np.sort(wanted.ravel())):
        return "the right numbers in other places: a permutation not inverted?"
    missing = (got == 0) & (wanted != 0) & np.isfinite(wanted)
    if missing.any() and got.any() and _alike(got[~missing], wanted[~missing]):
        return "some numbers are 0 and the rest right: contributions lost, as where an index repeats?"
    return ""


def _by_factor(got: np.ndarray, wanted: np.ndarray, known: Mapping[str, np.ndarray]) -> str:
    """Whether one array is the other times a known array."""
    for name, factor in _fitting(got, known):
        if _alike(got * factor, wanted):
            return f"times {name} it would be right: a factor lost?"
        if _alike(got, wanted * factor):
            return f"divided by {name} it would be right: a factor too many?"
    return ""


def _fitting(got: np.ndarray, known: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    if got.size >= _FEW:
        yield from ((name, x) for name, x in known.items() if x.shape == got.shape and x.all() and np.ptp(x))


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=_SAME, atol=0, equal_nan=True))
