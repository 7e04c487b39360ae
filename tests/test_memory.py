"""What one pass frees stays at hand for the next, in one spare array, which is released by name."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from ndgrad import Value, keep_freed_memory, memory, release_memory

KIB = 1 << 10


@pytest.fixture(autouse=True)
def _no_spare_array() -> Iterator[None]:
    release_memory()
    yield
    release_memory()


def step(numbers: int) -> np.ndarray:
    """A chain of eighty ops on arrays of so many numbers, and its gradient."""
    x = Value(np.linspace(0.0, 1.0, numbers))
    y = x
    for _ in range(40):
        y = y * 0.999 + x
    y.sum().backward()
    return np.asarray(x.grad)


def spare_bytes() -> int:
    """The size of the spare array."""
    return 0 if memory._spare.array is None else memory._spare.array.nbytes


def test_small_passes_keep_nothing() -> None:
    """A pass that takes less than glibc ever gives back leaves no spare array."""
    step(4)
    assert spare_bytes() == 0


def test_the_spare_array_is_no_larger_than_the_largest_of_the_pass() -> None:
    """After passes of 16 KiB arrays, whatever is kept is one array of at most 16 KiB."""
    for _ in range(3):
        step(2 * KIB)
    assert 0 < spare_bytes() <= 16 * KIB


def test_it_is_released_by_name() -> None:
    """After `release_memory()` there is none; the next large pass may place another."""
    step(2 * KIB)
    release_memory()
    assert spare_bytes() == 0
    step(2 * KIB)
    assert spare_bytes() > 0


def test_the_gradient_does_not_depend_on_it() -> None:
    """With and without a spare array, a step gives the same bits."""
    first = step(2 * KIB)
    assert memory._spare.array is not None
    np.testing.assert_array_equal(step(2 * KIB), first)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted as Linux counts them, with glibc")
def test_steps_fault_in_no_pages_again() -> None:
    """Ten further steps of 2.6 MB each touch fewer pages anew than one step has."""
    for _ in range(5):
        step(2 * KIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step(2 * KIB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2.6e6 / resource.getpagesize()


def test_where_no_place_is_found_it_stops_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an allocator that never gives a higher address, ten passes look for one, and no more."""
    monkeypatch.setattr(memory._spare, "patience", 10)
    asked = []

    def lowest(array: np.ndarray) -> int:
        asked.append(array)
        return 1

    monkeypatch.setattr(memory, "_address", lowest)
    for _ in range(10):
        step(2 * KIB)
    assert memory._spare.patience == 0
    asked.clear()
    step(2 * KIB)
    assert not asked


def test_the_allocator_is_set_by_name_alone() -> None:
    """In a process of its own: importing sets nothing, and the call says whether there is such a setting."""
    code = "import ndgrad; print(ndgrad.keep_freed_memory(1 << 20) in (True, False))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize("most", [-1, 1 << 31])
def test_a_limit_must_be_one_that_the_allocator_takes(most: int) -> None:
    """Bytes below 0, and more than an int holds, are refused before anything is set."""
    with pytest.raises(ValueError, match="most must be a number of bytes from 0 to 2147483647"):
        keep_freed_memory(most)
