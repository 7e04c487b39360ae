"""The lines: each draws the same numbers in every process, and none that make the work easier than it is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.workloads import PROGRAMS, WORKLOADS, Workload

LINES = pytest.mark.parametrize("line", WORKLOADS.values(), ids=lambda line: line.name)


def arrays(line: Workload) -> list[np.ndarray]:
    """All arrays that a line computes with."""
    numbers = vars(line.numbers(small=True)).values()
    return [x for given in numbers for x in (given if isinstance(given, tuple) else (given,)) if hasattr(x, "dtype")]


@LINES
def test_the_numbers_are_the_same_each_time(line: Workload) -> None:
    """A line that is drawn twice has the same numbers, and they are its own: written into, they are drawn again."""
    first = [x.copy() for x in arrays(line)]
    for x in arrays(line):
        x[...] = 0
    for x, again in zip(first, arrays(line), strict=True):
        np.testing.assert_array_equal(x, again)


@LINES
def test_floats_have_the_dtype_of_the_line(line: Workload) -> None:
    """Every float that a line computes with has the line's dtype, and there are some."""
    assert {x.dtype.name for x in arrays(line) if x.dtype.kind == "f"} == {line.dtype}


@LINES
def test_a_cotangent_is_drawn(line: Workload) -> None:
    """No cotangent is made of ones, for which some engines have a shorter way."""
    cotangent = getattr(line.numbers(small=True), "cotangent", None)
    assert cotangent is None or not np.any(cotangent == 1)


def test_lines_have_distinct_names() -> None:
    """Each row of the table is a line: none hides another of the same name."""
    assert len(WORKLOADS) == 30


def test_every_program_has_a_line() -> None:
    """No program is drawn for that no line computes, and none is missing."""
    assert {line.program for line in WORKLOADS.values()} == PROGRAMS.keys()
