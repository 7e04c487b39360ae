"""Memory: a spare array keeps memory that one pass freed for the next, and can be released."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from ndgrad import Value, keep_freed_memory, memory, release_memory

KIB = 1 << 10


def has_glibc() -> bool:
    """Return whether the allocator is glibc's."""
    return platform.libc_ver()[0] == "glibc"


@pytest.fixture(autouse=True)
def _no_spare_array() -> Iterator[None]:
    release_memory()
    yield
    release_memory()


def step(numbers: int) -> np.ndarray:
    """Run a chain of eighty ops on arrays of a size, and its backward pass."""
    x = Value(np.linspace(0.0, 1.0, numbers))
    y = x
    for _ in range(40):
        y = y * 0.999 + x
    y.sum().backward()
    return np.asarray(x.grad)


def spare_bytes() -> int:
    """Return the size of the spare array."""
    return 0 if memory._spare.array is None else memory._spare.array.nbytes


def test_small_passes_keep_nothing() -> None:
    """A pass smaller than what glibc never trims leaves no spare array."""
    step(4)
    assert spare_bytes() == 0


def test_the_spare_array_is_no_larger_than_the_largest_of_the_pass() -> None:
    """After passes with 16 KiB arrays, the spare array has at most 16 KiB."""
    for _ in range(3):
        step(2 * KIB)
    assert 0 < spare_bytes() <= 16 * KIB


def test_it_can_be_released() -> None:
    """After `release_memory()` there is no spare array; the next large pass may place another."""
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


@pytest.mark.skipif(not has_glibc(), reason="page faults are those of glibc's allocator on Linux")
def test_further_steps_have_few_page_faults() -> None:
    """Ten further steps of 2.6 MB each have fewer page faults than one step has pages."""
    for _ in range(5):
        step(2 * KIB)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step(2 * KIB)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2.6e6 / resource.getpagesize()


FRESH = """
import resource
import sys

import numpy as np

import ndgrad
from ndgrad import Value

rng = np.random.default_rng(0)


def drawn(*shape):
    return rng.normal(size=shape)


{setup}


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


last = 0  # step that took pages anew
for n in range(1, 301):
    before = faults()
    step()
    if faults() - before > 10:  # a few are Python's own; a step that keeps nothing takes 200 and more
        last = n
    if n - last == 40:
        break
print(last)
"""

LEAVES = """
leaves = [{leaf} for _ in range(3)]

def step():
    for leaf in leaves:
        leaf.grad = 0.0
    x, y, z = leaves
    (x * y + z).tanh().sum().backward()
"""

MADE = {  # ways to create leaves
    "drawn": "Value(drawn(N))",
    "float32": 'Value(drawn(N).astype("f4"))',
    "from a list": "Value(drawn(N).tolist())",
    "a view": "Value(drawn(2, N)[0])",
    "cast twice": 'Value(drawn(N).astype("f4").astype("f8"))',
}

OTHERS = """
# a chain
x = Value(drawn(100_000))

def step():
    x.zero_grad()
    y = x
    for _ in range(20):
        y = y * 0.99 + x
    y.sum().backward()
# a lean chain
x = Value(drawn(100_000))

@ndgrad.lean()
def step():
    x.zero_grad()
    y = x
    for _ in range(20):
        y = y * 0.99 + x
    y.sum().backward()
# new leaves
def step():
    x, y = Value(drawn(200_000)), Value(drawn(200_000))
    (x * y).tanh().sum().backward()
# a function
f, x = ndgrad.grad(lambda x: (x * x).tanh().sum()), drawn(300_000)

def step():
    f(x)
# second order
x = drawn(300_000)

def step():
    ndgrad.hvp(lambda x: (x * x).tanh().sum(), x, x)
# sizes in turn
sets = [[Value(drawn(n)) for _ in range(2)] for n in (100_000, 300_000, 1_000_000)]

def step():
    sets.append(sets.pop(0))
    x, y = sets[0]
    x.grad, y.grad = None, None
    (x * y).tanh().sum().backward()
# training
net = ndgrad.MLP(784, [256, 256, 10], rng=0)
opt = ndgrad.optim.Adam(net.parameters())
X, labels = drawn(256, 784), rng.integers(0, 10, 256)

def step():
    net.zero_grad()
    ndgrad.cross_entropy(net(X), labels).backward()
    opt.step()
"""

SCRIPTS = {
    f"{n:,} {name}": LEAVES.replace("{leaf}", made.replace("N", str(n)))
    for n in (100_000, 300_000, 1_000_000)
    for name, made in MADE.items()
} | dict(script.split("\n", 1) for script in OTHERS.split("\n# ")[1:])


@pytest.mark.skipif(not has_glibc(), reason="page faults are those of glibc's allocator on Linux")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fresh_script_in_a_steady_state_faults_in_no_pages(name: str) -> None:
    """Scripts reach a steady state of forty steps without page faults, however leaves are created.

    Each script runs in its own process. Most reach it after five steps, and that of many sizes after 33 at most. The
    positions of arrays may add a few faults.
    """
    done = subprocess.run(
        [sys.executable, "-c", FRESH.replace("{setup}", SCRIPTS[name])], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert int(done.stdout) < 100


@pytest.mark.parametrize("end", [0, 1 << 62])
def test_without_a_place_checks_become_rare(end: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no place is found, checks become rare: eleven in a thousand passes."""
    looks = []

    def lowest(array: np.ndarray) -> int:
        del array
        return 1

    monkeypatch.setattr(memory, "_address", lowest)

    def heap_end() -> int:
        looks.append(end)
        return end

    monkeypatch.setattr(memory, "_heap_end", heap_end)
    monkeypatch.setattr(memory, "_place", lambda *_: False)
    array = np.ones(2 * KIB)
    for _ in range(1_000):
        memory.keep_heap(1 << 20, [array])
    assert 8 <= len(looks) <= 11
    assert spare_bytes() == 0


def test_importing_does_not_change_the_allocator() -> None:
    """Importing ndgrad changes no setting of the allocator, and the call returns whether it changed one."""
    code = "import ndgrad; print(ndgrad.keep_freed_memory(1 << 20) in (True, False))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize("most", [-1, 1 << 31])
def test_a_limit_must_be_one_that_the_allocator_takes(most: int) -> None:
    """A negative limit, and one larger than an int, is an error before anything is set."""
    with pytest.raises(ValueError, match="most must be a number of bytes from 0 to 2147483647"):
        keep_freed_memory(most)
