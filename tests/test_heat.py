"""Heat maps of arrays."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ndgrad.graph.heat import COLUMNS, ROWS, heat_map, spread


def colours(array: np.ndarray) -> list[list[str]]:
    """Return the colours of a map, row by row."""
    return [re.findall(r'BGCOLOR="(#\w+)"', row) for row in re.findall(r"<TR>(.*?)</TR>", heat_map(array))]


def test_signs_have_colours_and_0_has_none() -> None:
    """The largest number is blue, its negative orange, 0 white, and half of it half as dark."""
    assert colours(np.array([[2.0, -2.0, 0.0], [1.0, -1.0, 0.0]])) == [
        ["#2166ac", "#b35806", "#ffffff"],
        ["#90b2d6", "#d9ac82", "#ffffff"],
    ]


@pytest.mark.parametrize(
    ("shape", "cells"),
    [((9,), (1, 9)), ((3, 5), (3, 5)), ((2, 3, 5), (6, 5)), ((100, 1), (ROWS, 1)), ((64, 784), (ROWS, COLUMNS))],
)
def test_the_last_axis_runs_to_the_right(shape: tuple[int, ...], cells: tuple[int, int]) -> None:
    """The last axis runs to the right, and the others downwards, up to the largest map."""
    assert (len(colours(np.ones(shape))), len(colours(np.ones(shape))[0])) == cells


def test_every_number_counts() -> None:
    """Each cell of the map of a large array is the mean of a block: every number affects one cell."""
    for i in range(37):
        (row,) = colours(np.eye(37)[i])
        assert [j for j, colour in enumerate(row) if colour != "#ffffff"] == [
            j for j in range(COLUMNS) if j * 37 // COLUMNS <= i < (j + 1) * 37 // COLUMNS
        ]


def test_numbers_that_are_none() -> None:
    """NaN has a cross, and infinities have the darkest colour; neither affects the scale of the others."""
    x = np.array([np.nan, np.inf, -np.inf, 1.0, -1.0])
    assert colours(x) == [["#808080", "#2166ac", "#b35806", "#2166ac", "#b35806"]]
    assert heat_map(x).count("×") == 1


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1.0, -0.25, 0.5], "-0.25 to 1"),
        ([np.nan, 2.0, np.inf], "2 to 2, 2 not finite"),
        ([np.nan], "1 not finite"),
    ],
)
def test_spread(numbers: list[float], words: str) -> None:
    """The range is that of the finite numbers, and the others are counted."""
    assert spread(np.array(numbers)) == words
