"""The lines: each draws the same numbers in every process, and none for which engines have a fast path."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.workloads import PROGRAMS, WORKLOADS, Workload

LINES = pytest.mark.parametrize("line", WORKLOADS.values(), ids=lambda line: line.name)


def arrays(line: Workload) -> list[np.ndarray]:
    """Return all arrays that a line computes with."""
    numbers = vars(line.numbers(small=True)).values()
    return [x for given in numbers for x in (given if isinstance(given, tuple) else (given,)) if hasattr(x, "dtype")]


@LINES
def test_the_numbers_are_the_same_each_time(line: Workload) -> None:
    """A line draws the same numbers each time, in new arrays: writes to the old ones have no effect."""
    first = [x.copy() for x in arrays(line)]
    for x in arrays(line):
        x[...] = 0
    for x, again in zip(first, arrays(line), strict=True):
        np.testing.assert_array_equal(x, again)


@LINES
def test_floats_have_the_dtype_of_the_line(line: Workload) -> None:
    """All arrays of floats of a line have its dtype, and there is at least one."""
    assert {x.dtype.name for x in arrays(line) if x.dtype.kind == "f"} == {line.dtype}


@LINES
def test_cotangents_are_not_ones(line: Workload) -> None:
    """No cotangent contains a one, because some engines have a fast path for ones."""
    cotangent = getattr(line.numbers(small=True), "cotangent", None)
    assert cotangent is None or not np.any(cotangent == 1)


def test_lines_have_distinct_names() -> None:
    """No row of the table hides another of the same name."""
    assert len(WORKLOADS) == 30


def test_every_program_has_a_line() -> None:
    """The programs are exactly those of the lines."""
    assert {line.program for line in WORKLOADS.values()} == PROGRAMS.keys()
