"""What a mismatch looks like: the likely cause, where the numbers give it away. A guess, and worded as one."""

from __future__ import annotations

from typing import Any

import numpy as np

# Ratios that name a bug by themselves, and what it usually is.
_TELLING = {
    2.0: "ratio 2 everywhere: a contribution counted twice?",
    0.5: "ratio 1/2 everywhere: a contribution lost, or a mean too many?",
    -1.0: "ratio -1 everywhere: a sign?",
}
_SAME = 1e-9  # how near a ratio must be to its neighbours and to a telling one


def likely_cause(got: Any, wanted: Any) -> str:
    """Say what two unlike arrays of one shape suggest; nothing, where they suggest nothing."""
    if got is None or wanted is None or np.shape(got) != np.shape(wanted):
        return ""
    got, wanted = np.asarray(got, float), np.asarray(wanted, float)
    with np.errstate(all="ignore"):
        return _by_ratio(got, wanted) or _by_arrangement(got, wanted)


def _by_ratio(got: np.ndarray, wanted: np.ndarray) -> str:
    telling = np.isfinite(got) & np.isfinite(wanted) & (wanted != 0)
    if not telling.any() or (got[~telling] != wanted[~telling]).any():
        return ""
    ratio = got[telling] / wanted[telling]
    if not got.any():
        return "zero everywhere: a gradient that does not flow?"
    if np.ptp(ratio) > _SAME * abs(ratio[0]):
        return ""
    for known, words in _TELLING.items():
        if abs(ratio[0] - known) < _SAME:
            return words
    whole = round(float(ratio[0]))
    if whole > 1 and abs(ratio[0] - whole) < _SAME:
        return f"ratio {whole} everywhere: a mean not taken, or a sum taken too often?"
    return f"ratio {ratio[0]:.10g} everywhere: a factor lost, or one too many?"


def _by_arrangement(got: np.ndarray, wanted: np.ndarray) -> str:
    def alike(a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=_SAME, atol=0, equal_nan=True))

    if got.ndim > 1 and alike(got, np.swapaxes(wanted, -1, -2)):
        return "the right numbers, transposed: axes exchanged, or expanded at the wrong end?"
    if got.size > 1 and alike(np.sort(got.ravel()), np.sort(wanted.ravel())):
        return "the right numbers in other places: a permutation not inverted?"
    missing = (got == 0) & (wanted != 0) & np.isfinite(wanted)
    if missing.any() and got.any() and alike(got[~missing], wanted[~missing]):
        return "some numbers are 0 and the rest right: contributions lost, as where an index repeats?"
    return ""
