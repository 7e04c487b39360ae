"""The peers: each line computes the same numbers in every installed peer, and a missing line has a reason."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.agreement import difference
from benchmarks.job import Job
from benchmarks.workloads import PROGRAMS, WORKLOADS


def missing(peer: str) -> str:
    """Return the reason why a peer cannot be tested; empty if it can."""
    if peer != "by_hand" and not importlib.util.find_spec(peer):
        return f"{peer} is not installed: make bench installs it"
    try:
        peers.load(peer)
    except ImportError as error:
        return str(error)
    return ""


LIMIT = sys.getrecursionlimit()
MISSING = {name: missing(name) for name in peers.TITLES}
PRESENT = [name for name, why in MISSING.items() if not why]
sys.setrecursionlimit(LIMIT)  # tinygrad raises the limit, also for other test files


@pytest.fixture(autouse=True)
def _recursion_stays_limited() -> Iterator[None]:
    """Reset the recursion limit, which modules imported during a test may raise."""
    yield
    sys.setrecursionlimit(LIMIT)


def cases() -> Iterator[tuple[str, str]]:
    """Yield each peer except ndgrad, with each line that it runs."""
    for peer in PRESENT:
        known = peers.load(peer).BUILDERS
        yield from ((peer, line.name) for line in WORKLOADS.values() if line.program in known and peer != "ndgrad")


def numbers(peer: str, line: str, steps: int) -> list[np.ndarray]:
    """Return a peer's numbers after some steps of a line."""
    job: Job = peers.load(peer).BUILDERS[WORKLOADS[line].program](WORKLOADS[line].numbers(small=True))
    outputs = [job.step() for _ in range(steps)]
    return list(map(np.asarray, job.numbers(outputs[-1])))


@pytest.mark.parametrize("name", [name for name, why in MISSING.items() if why])
def test_a_peer_that_is_not_here(name: str) -> None:
    """A peer that is not installed, or cannot run, is counted as a skip."""
    pytest.skip(MISSING[name])


@pytest.mark.parametrize(("peer", "line"), list(cases()))
@pytest.mark.parametrize("steps", [1, 3])
def test_a_line_is_the_same_everywhere(peer: str, line: str, steps: int) -> None:
    """A peer has ndgrad's numbers after one step and after three: no state leaks from one step to the next."""
    base = "ndgrad" if WORKLOADS[line].program in peers.load("ndgrad").BUILDERS else "torch"
    assert difference(numbers(peer, line, steps), numbers(base, line, steps)) == ""


@pytest.mark.parametrize("name", PRESENT)
def test_a_line_that_a_peer_does_not_run_has_a_reason(name: str) -> None:
    """A peer has a builder or a reason for each program, and for no others."""
    peer, programs = peers.load(name), PROGRAMS.keys()
    others = programs - peer.BUILDERS.keys()
    assert all(peer.ABSENT.get(program) or peer.ABSENT.get("") for program in others)
    assert peer.BUILDERS.keys() <= programs
    assert peer.ABSENT.keys() - {""} <= others
