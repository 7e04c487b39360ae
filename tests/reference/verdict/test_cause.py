"""Likely causes are guessed from the numbers of a mismatch, and only if the numbers suggest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.verdict.cause import likely_cause

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
    (np.ones((2, *RIGHT.shape)), "the shape after broadcasting: a sum over the broadcast axes missing?"),
    (RIGHT[None],                "the shape after broadcasting: a sum over the broadcast axes missing?"),
    (RIGHT.sum(),                "summed over more than was broadcast?"),
    (RIGHT.reshape(-1),          "the right number of numbers in another shape: axes of length 1 added or lost?"),
    (None,                       ""),
]
# fmt: on


@pytest.mark.parametrize(("got", "words"), SEEN)
def test_each_pattern_has_its_guess(got: Any, words: str) -> None:
    """Each pattern gives its sentence, and numbers without a pattern give none."""
    assert likely_cause(got, RIGHT) == words


def test_a_ratio_must_explain_all_numbers() -> None:
    """If the reference has 0 and the engine does not, a ratio elsewhere is no guess."""
    got = RIGHT * 2
    got[1, 1] = 5.0
    assert likely_cause(got, RIGHT) == ""


def test_nan_has_no_ratio() -> None:
    """NaN and infinities are ignored without a warning."""
    assert likely_cause(np.array([np.nan, 2.0]), np.array([np.nan, 1.0])) == ""
    assert likely_cause(np.array([np.inf]), np.array([1.0])) == ""


def test_a_reversed_shape_is_recognized() -> None:
    """A shape in reversed order gives a guess by itself."""
    assert likely_cause(np.ones((3, 2)), np.ones((2, 3))).startswith("the axes are reversed")


def test_a_lost_factor_is_named() -> None:
    """If the numbers are right up to an operand as factor, the guess names this operand."""
    y = np.linspace(1.5, 3.0, RIGHT.size).reshape(RIGHT.shape)
    assert likely_cause(RIGHT / y, RIGHT, {"y": y}) == "times y it would be right: a factor lost?"
    assert likely_cause(RIGHT * y, RIGHT, {"y": y}) == "divided by y it would be right: a factor too many?"
    assert likely_cause(RIGHT + y, RIGHT, {"y": y, "x": RIGHT}) == ""
