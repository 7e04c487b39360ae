"""A worker: it runs commands, and an error is its answer."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.job import Job
from benchmarks.worker import Worker, answer, peak_memory, timed


def test_a_line_from_end_to_end(tmp_path: Path) -> None:
    """A worker prepares a line, writes its numbers to a file, and times a burst."""
    worker = Worker("by_hand", "bias", small=True)
    assert answer(worker, "prepare", {}) == {}
    assert answer(worker, "numbers", {"file": str(tmp_path / "numbers.npz")}) == {}
    with np.load(tmp_path / "numbers.npz") as arrays:
        assert [x.shape for x in arrays.values()] == [(5, 4), (5, 4), (4,)]
    assert answer(worker, "warm_up", {})["steps"] > 1
    burst = answer(worker, "time", {"steps": 3})
    assert 0 < burst["seconds"] < 1
    assert burst["faults"] >= 0


def test_an_error_of_a_peer_is_its_answer() -> None:
    """The answer is the reason if a peer raises an exception, or does not run the line."""

    def fails(_: object) -> Job:
        raise RecursionError("too deep\nand more")

    worker = Worker("by_hand", "bias", small=True)
    worker._peer = SimpleNamespace(BUILDERS={"bias": fails}, ABSENT={})
    assert answer(worker, "prepare", {}) == {"reason": "fails: RecursionError: too deep"}
    worker = Worker("by_hand", "article-library", small=True)
    assert answer(worker, "prepare", {}) == {"reason": "it has no library: see article"}


def test_the_collector_is_off_where_the_line_says_so() -> None:
    """Only the line about the garbage collector is timed without it."""
    try:
        for line, on in (("nodes-100k", True), ("nodes-100k-nogc", False)):
            worker = Worker("by_hand", line, small=True)
            worker.prepare()
            worker.warm_up()
            assert gc.isenabled() is on
    finally:
        gc.enable()


def test_each_step_is_timed() -> None:
    """Each step has a time, and its result is freed before the next begins."""
    alive: list[int] = []

    class Graph:
        def __del__(self) -> None:
            alive.append(0)

    counts: list[int] = []

    def step() -> Graph:
        counts.append(len(alive))
        return Graph()

    assert len(timed(step, 3)) == 3
    assert counts == [0, 1, 2]


def test_a_past_peak_counts() -> None:
    """Memory that was allocated and freed counts."""
    peak = peak_memory()
    np.ones(4_000_000).sum()
    assert 30e6 < peak() < 60e6


@pytest.mark.parametrize("line", ["bias", "mlp-784"])
def test_memory_is_measured(line: str) -> None:
    """A worker returns the number of bytes that a line takes."""
    assert answer(Worker("by_hand", line, small=True), "memory", {"steps": 2})["bytes"] >= 0
