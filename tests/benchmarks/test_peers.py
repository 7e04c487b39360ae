"""The peers: each line computes the same in every peer that is installed; one that runs no such line says why."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.agreement import difference
from benchmarks.job import Job
from benchmarks.workloads import WORKLOADS

INSTALLED = [name for name in peers.TITLES if name == "by_hand" or importlib.util.find_spec(name)]


def cases() -> Iterator[tuple[str, str]]:
    """Each installed peer with each line that it runs, both not ndgrad's."""
    for peer in INSTALLED:
        known = peers.load(peer).BUILDERS
        yield from ((peer, line.name) for line in WORKLOADS.values() if line.program in known and peer != "ndgrad")


def numbers(peer: str, line: str, steps: int) -> list[np.ndarray]:
    """What a peer has after some steps of a line."""
    job: Job = peers.load(peer).BUILDERS[WORKLOADS[line].program](WORKLOADS[line].numbers(small=True))
    outputs = [job.step() for _ in range(steps)]
    return list(map(np.asarray, job.numbers(outputs[-1])))


@pytest.mark.parametrize("name", [name for name in peers.TITLES if name not in INSTALLED])
def test_a_peer_that_is_not_installed(name: str) -> None:
    """A peer that is not installed is not tested, and that is counted."""
    pytest.skip(f"{name} is not installed: make bench installs it")


@pytest.mark.parametrize(("peer", "line"), list(cases()))
@pytest.mark.parametrize("steps", [1, 3])
def test_a_line_is_the_same_everywhere(peer: str, line: str, steps: int) -> None:
    """After one step and after three, a peer has ndgrad's numbers: nothing is left over from one step to the next."""
    base = "ndgrad" if WORKLOADS[line].program in peers.load("ndgrad").BUILDERS else "torch"
    assert difference(numbers(peer, line, steps), numbers(base, line, steps)) == ""


@pytest.mark.parametrize("name", INSTALLED)
def test_a_line_that_a_peer_does_not_run_has_a_reason(name: str) -> None:
    """Each program is known to a peer, or it says why not, and never both."""
    peer = peers.load(name)
    for program in {line.program for line in WORKLOADS.values()}:
        assert (program in peer.BUILDERS) != bool(
            peer.ABSENT.get(program, peer.ABSENT.get("")) and program not in peer.BUILDERS
        )
    assert not peer.BUILDERS.keys() & peer.ABSENT.keys()
