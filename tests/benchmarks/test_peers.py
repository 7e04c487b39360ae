"""The peers: each line computes the same in every peer that is installed; one that runs no such line says why."""

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
    """Why a peer cannot be tested here; empty if it can."""
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
sys.setrecursionlimit(LIMIT)  # tinygrad raises it, for the tests of other files as well


@pytest.fixture(autouse=True)
def _recursion_stays_limited() -> Iterator[None]:
    """What an engine imports as late as in a test raises it, too."""
    yield
    sys.setrecursionlimit(LIMIT)


def cases() -> Iterator[tuple[str, str]]:
    """Each peer but ndgrad, with each line that it runs."""
    for peer in PRESENT:
        known = peers.load(peer).BUILDERS
        yield from ((peer, line.name) for line in WORKLOADS.values() if line.program in known and peer != "ndgrad")


def numbers(peer: str, line: str, steps: int) -> list[np.ndarray]:
    """What a peer has after some steps of a line."""
    job: Job = peers.load(peer).BUILDERS[WORKLOADS[line].program](WORKLOADS[line].numbers(small=True))
    outputs = [job.step() for _ in range(steps)]
    return list(map(np.asarray, job.numbers(outputs[-1])))


@pytest.mark.parametrize("name", [name for name, why in MISSING.items() if why])
def test_a_peer_that_is_not_here(name: str) -> None:
    """A peer that is not installed, or does not run here, is not tested, and that is counted."""
    pytest.skip(MISSING[name])


@pytest.mark.parametrize(("peer", "line"), list(cases()))
@pytest.mark.parametrize("steps", [1, 3])
def test_a_line_is_the_same_everywhere(peer: str, line: str, steps: int) -> None:
    """After one step and after three, a peer has ndgrad's numbers: nothing is left over from one step to the next."""
    base = "ndgrad" if WORKLOADS[line].program in peers.load("ndgrad").BUILDERS else "torch"
    assert difference(numbers(peer, line, steps), numbers(base, line, steps)) == ""


@pytest.mark.parametrize("name", PRESENT)
def test_a_line_that_a_peer_does_not_run_has_a_reason(name: str) -> None:
    """Each program is known to a peer or it says why not, and it knows no others."""
    peer, programs = peers.load(name), PROGRAMS.keys()
    others = programs - peer.BUILDERS.keys()
    assert all(peer.ABSENT.get(program) or peer.ABSENT.get("") for program in others)
    assert peer.BUILDERS.keys() <= programs
    assert peer.ABSENT.keys() - {""} <= others
