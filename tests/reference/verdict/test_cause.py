"""Likely causes are guessed from the numbers of a mismatch, and only if the numbers suggest one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.verdict.cause import COTANGENT, Mismatch, likely_cause

RIGHT = np.array([[1.0, 2.0, -3.0], [0.5, 2.5, 7.0], [4.0, -1.5, 9.0]])


def guess(got: Any, wanted: Any, known: dict[str, np.ndarray] | None = None) -> str:
    """Guess the cause from one set of numbers."""
    return likely_cause(Mismatch(got, wanted, known or {}))


# fmt: off
SEEN = [
    (RIGHT * 2,                  "ratio 2 everywhere: a contribution counted twice, or a mean not taken?"),
    (RIGHT / 2,                  "ratio 1/2 everywhere: a contribution lost, or a mean too many?"),
    (-RIGHT,                     "ratio -1 everywhere: a sign?"),
    (RIGHT * 3,                  "ratio 3 everywhere: a mean not taken, or a sum taken too often?"),
    (RIGHT * 0.8,                "ratio 0.8 everywhere: a factor lost, or one too many?"),
    (RIGHT * 0,                  "zero everywhere: a gradient that does not flow?"),
    (RIGHT.T,                    "the right numbers, transposed: axes exchanged, or expanded at the wrong end?"),
    (RIGHT[::-1],                "the right numbers in other places: a wrong order, or a permutation not inverted?"),
    (RIGHT * (RIGHT < 4),
     "some numbers are 0 and the rest right: contributions lost, as by an index or a mask?"),
    (RIGHT + 1,                  ""),
    (RIGHT[:2],                  ""),
    (np.ones((2, *RIGHT.shape)), "the shape after broadcasting: a sum over the broadcast axes missing?"),
    (RIGHT[None],                "the right number of numbers in another shape: axes of length 1 added or lost?"),
    (RIGHT.sum(),                "summed over more than was broadcast?"),
    (RIGHT.reshape(-1),          "the right number of numbers in another shape: a reshape or transposition left out?"),
    (None,                       ""),
]
# fmt: on


@pytest.mark.parametrize(("got", "words"), SEEN)
def test_each_pattern_has_its_guess(got: Any, words: str) -> None:
    """Each pattern gives its sentence, and numbers without a pattern give none."""
    assert guess(got, RIGHT) == words


def test_a_ratio_must_explain_all_numbers() -> None:
    """If the reference has 0 and the engine does not, a ratio elsewhere is no guess."""
    got, wanted = RIGHT * 2, np.array(RIGHT)
    got[1, 1], wanted[1, 1] = 5.0, 0.0
    assert guess(got, wanted) == ""


def test_nan_has_no_ratio() -> None:
    """NaN and infinities are ignored without a warning."""
    assert guess(np.array([np.nan, 2.0]), np.array([np.nan, 1.0])) == ""
    assert guess(np.array([np.inf]), np.array([1.0])) == ""


def test_a_reversed_shape_is_recognized() -> None:
    """A shape in reversed order gives a guess by itself."""
    assert guess(np.ones((3, 2)), np.ones((2, 3))).startswith("the axes are reversed")


@pytest.mark.parametrize(("shape", "broadcast"), [((), (1,)), ((1,), (2, 1)), ((1, 2), (3, 2)), ((2, 1), (1, 2))])
def test_the_shape_that_the_operands_broadcast_to_is_recognized(
    shape: tuple[int, ...], broadcast: tuple[int, ...]
) -> None:
    """It gives its guess, also where only axes of length 1 were broadcast, but not if there is no such operand."""
    got, wanted = np.ones(np.broadcast_shapes(shape, broadcast)), np.ones(shape)
    known = {"x": wanted, "y": np.ones(broadcast), COTANGENT: got}
    assert guess(got, wanted, known) == "the shape after broadcasting: a sum over the broadcast axes missing?"
    alone = guess(np.ones((1, 3)), np.ones(3), {"x": np.ones(3), COTANGENT: np.ones((1, 3))})
    assert alone.endswith("axes of length 1 added or lost?")


def test_a_lost_factor_is_named() -> None:
    """If the numbers are right up to an operand as factor, the guess names this operand."""
    y = np.linspace(1.5, 3.0, RIGHT.size).reshape(RIGHT.shape)
    assert guess(RIGHT / y, RIGHT, {"y": y}) == "times y it would be right: a factor lost?"
    assert guess(RIGHT * y, RIGHT, {"y": y}) == "divided by y it would be right: a factor too many?"
    assert guess(RIGHT + y, RIGHT, {"y": y, "x": RIGHT}) == ""


# fmt: off
EQUAL = [
    (np.array([2.0]),                  np.array([1.0])),                   # a ratio, of a single number
    (np.array([2.0, 2.0]),             np.array([1.0, 1.0])),              # ... and of equal ones
    (np.array([[0.0, 1.0], [0, 0]]),   np.array([[0.0, 0.0], [1.0, 0]])),  # transposed, or a wrong mask
    (np.array([0.0, 1.0, 0.0]),        np.array([1.0, 0.0, 0.0])),         # a permutation, or a wrong offset
]
# fmt: on


@pytest.mark.parametrize(("got", "wanted"), EQUAL)
def test_equal_numbers_give_no_guess(got: np.ndarray, wanted: np.ndarray) -> None:
    """A single number, and equal numbers, fit many patterns by chance."""
    assert guess(got, wanted) == ""


def test_numbers_with_a_zero_are_no_permutation() -> None:
    """Zeros lie where nothing arrived: the right numbers beside them may be the work of a mask or an offset."""
    got, wanted = np.array([[0.0, 2.0], [3.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 3.0]])
    assert guess(got, wanted) == ""


def test_a_guess_must_fit_all_numbers() -> None:
    """A ratio of a single number is a guess only if it is the same for other numbers."""
    shown = Mismatch(np.array([1.0]), np.array([2.0]))
    same, other = Mismatch(np.array([0.3]), np.array([0.6])), Mismatch(np.array([0.3]), np.array([0.9]))
    assert likely_cause(shown, same).startswith("ratio 1/2 everywhere")
    assert likely_cause(shown, other) == ""
    assert likely_cause(shown, same, other) == ""


def test_a_single_factor_is_told_from_a_ratio() -> None:
    """If the ratio is another one for other numbers, and each time that of an operand, the operand was lost."""
    shown = Mismatch(np.array(1.0), np.array(2.0), {"x": np.array(1.0), "y": np.array(2.0)})
    other = Mismatch(np.array(0.3), np.array(0.21), {"x": np.array(0.4), "y": np.array(0.7)})
    assert likely_cause(shown, other) == "times y it would be right: a factor lost?"


# Contributions: sums of numbers of the cotangent, or of the operands.

G, OTHER = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.37, 0.81, 0.64, 0.22])
LOST = "numbers of the cotangent are missing: contributions lost, as where an operand or an index repeats?"
TWICE = "numbers of the cotangent too many: contributions counted twice, or a wrong mask?"
PLACES = "numbers of the cotangent in wrong places: a wrong offset, index or mask?"


@pytest.mark.parametrize(
    ("got", "wanted", "words"),
    [
        (lambda g: g[1:2], lambda g: g[0:1] + g[1:2], LOST),
        (lambda g: g[[0, 3]], lambda g: g[[0, 3]] + [g[1], 0], LOST),
        (lambda g: g[:1], lambda g: g.sum(keepdims=True), LOST),
        (lambda g: g[:2] + g[1:3], lambda g: g[:2], TWICE),
        (lambda g: g[:2], lambda g: g[:2] * [1, 0], TWICE),
        (lambda g: g[:2], lambda g: g[2:], PLACES),
        (lambda g: g[1:2], lambda g: g[3:4], PLACES),
        (lambda g: 2 * g[:1], lambda g: g[:1] + g[1:2], PLACES),
        (lambda g: 2 * g[:1], lambda g: g[1:2] + g[2:3], PLACES),
        (lambda g: g[:2] * [1, -1], lambda g: g[:2], ""),
        (lambda g: np.diag(g[:2]), lambda g: np.diag(g[:2])[::-1], PLACES),
        (lambda g: g[:2] * 1.1, lambda g: g[2:], ""),
    ],
)
def test_contributions_are_recognized(got: Any, wanted: Any, words: str) -> None:
    """Numbers of the cotangent may be lost, added twice, or in wrong places, if two sets of numbers say so."""
    shown, other = (Mismatch(got(g), wanted(g), {COTANGENT: g}) for g in (G, OTHER))
    assert likely_cause(shown, other) == words
    assert likely_cause(shown) == ""


def test_a_value_has_contributions_of_its_operands() -> None:
    """In a value, numbers of one operand, or of all of them, may be in wrong places."""

    def mismatch(x: np.ndarray, y: np.ndarray) -> Mismatch:
        return Mismatch(np.concatenate([x[:1], y[:1]]), np.concatenate([x[:1], x[1:]]), {"x": x, "y": y})

    words = likely_cause(mismatch(G[:2], G[2:]), mismatch(OTHER[:2], OTHER[2:]))
    assert words == "numbers of the operands in wrong places: a wrong offset, index or mask?"


def test_single_precision_is_compared_as_such() -> None:
    """Numbers of single precision are equal up to its rounding."""
    wanted = RIGHT.astype(np.float32) / 3
    assert guess(wanted * np.float32(2) * (1 + np.float32(1e-6)), wanted).startswith("ratio 2 everywhere")
    assert Mismatch(wanted, wanted * (1 + np.float32(1e-6))).is_equal
    assert not Mismatch(RIGHT, RIGHT * (1 + 1e-6)).is_equal
    assert not Mismatch(None, RIGHT).is_equal
