"""Likely causes: what the numbers of a mismatch give away, and nothing where they give nothing away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.causes import likely_cause

RIGHT = np.array([[1.0, 2.0, -3.0], [0.5, 0.0, 7.0], [4.0, -1.5, 9.0]])

# fmt: off
SEEN = [
    (RIGHT * 2,                  "ratio 2 everywhere: a contribution counted twice?"),
    (RIGHT / 2,                  "ratio 1/2 everywhere: a contribution lost, or a mean too many?"),
    (-RIGHT,                     "ratio -1 everywhere: a sign?"),
    (RIGHT * 3,                  "ratio 3 everywhere: a mean not taken, or a sum taken too often?"),
    (RIGHT * 0.8,                "ratio 0.8 everywhere: a factor lost, or one too many?"),
    (RIGHT * 0,                  "zero everywhere: a gradient that does not flow?"),
    (RIGHT.T,                    "the right numbers, transposed: axes exchanged, or expanded at the wrong end?"),
    (RIGHT[::-1],                "the right numbers in other places: a permutation not inverted?"),
    (RIGHT * (RIGHT < 4),
     "some numbers are 0 and the rest right: contributions lost, as where an index repeats?"),
    (RIGHT + 1,                  ""),
    (RIGHT[:2],                  ""),
    (None,                       ""),
]
# fmt: on


@pytest.mark.parametrize(("got", "words"), SEEN)
def test_a_signature_is_put_into_words(got: Any, words: str) -> None:
    """Each signature has its words; numbers that show none are left without a guess."""
    assert likely_cause(got, RIGHT) == words


def test_a_ratio_is_not_told_where_it_is_not_the_whole_story() -> None:
    """Where the reference says 0 and the engine does not, a ratio elsewhere explains nothing."""
    got = RIGHT * 2
    got[1, 1] = 5.0
    assert likely_cause(got, RIGHT) == ""


def test_nan_is_no_ratio() -> None:
    """NaN and infinities are passed over, and do not warn."""
    assert likely_cause(np.array([np.nan, 2.0]), np.array([np.nan, 1.0])) == ""
    assert likely_cause(np.array([np.inf]), np.array([1.0])) == ""
