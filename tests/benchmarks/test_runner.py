"""The runner: peers that fail or have other numbers are excluded with a reason, and the others are timed in turn."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import peers
from benchmarks.job import Job
from benchmarks.runner import Contest, Process, environment, measure_memory, run
from benchmarks.worker import Worker, answer
from benchmarks.workloads import WORKLOADS, Numbers, Workload


class Here:
    """A worker that answers in this process."""

    def __init__(self, peer: Any, journal: list[str], name: str) -> None:
        self.worker = Worker("by_hand", "bias", small=True)
        self.worker._peer = peer
        self.journal, self.name = journal, name

    def ready(self) -> dict[str, Any]:
        return {}

    def ask(self, do: str, **options: Any) -> dict[str, Any]:
        self.journal.append(f"{do} {self.name}")
        return answer(self.worker, do, options)


def doubled(n: Numbers) -> Job:
    """Return the bias line with a gradient that is doubled. This is wrong, on purpose."""
    job = peers.load("by_hand").BUILDERS["bias"](n)
    return Job(job.step, lambda outputs: [*outputs[:-1], 2 * outputs[-1]])


def test_a_wrong_peer_is_not_timed() -> None:
    """A peer whose gradient is doubled is excluded before any timing, and the reason is recorded."""
    journal: list[str] = []
    right = peers.load("by_hand")
    wrong, absent = (SimpleNamespace(BUILDERS=b, ABSENT={"": "no such line"}) for b in ({"bias": doubled}, {}))
    contest = Contest({name: Here(peer, journal, name) for name, peer in
                       {"ndgrad": right, "torch": wrong, "jax": absent, "mygrad": right}.items()})  # fmt: skip
    contest.prepare()
    contest.check()
    contest.time(3)
    cells = contest.cells
    assert cells["torch"].reason.startswith("WRONG NUMBERS: array 2 is ")
    assert cells["jax"].reason == "no such line"
    assert [len(cell.rounds) for cell in cells.values()] == [3, 0, 0, 3]
    assert not {"time torch", "warm_up torch", "numbers jax", "time jax"} & {*journal}
    turns = [line for line in journal if line.startswith("time")]
    assert turns == ["time ndgrad", "time mygrad", "time mygrad", "time ndgrad", "time mygrad", "time ndgrad"]


def test_a_line_is_run_in_processes() -> None:
    """Two peers on a line are timed, each in its own process, and a peer without this line has a reason."""
    result = run(WORKLOADS["article"], ["ndgrad", "by_hand", "micrograd"], rounds=1, small=True)
    ndgrad, by_hand, micrograd = result.cells
    assert (len(ndgrad.rounds), ndgrad.reason) == (1, "")
    assert (len(by_hand.rounds), by_hand.reason) == (1, "")
    assert micrograd.reason in (
        "it has single numbers, and no arrays",
        "does not run here: No module named 'micrograd'",
    )
    assert result.ratio("by_hand") is not None


def test_a_fresh_line_is_a_new_process_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round of a fresh line starts a new process without settings, and page faults are recorded."""
    started = []

    class Noted(Process):
        def __init__(self, peer: str, line: Workload, threads: int, *, small: bool) -> None:
            super().__init__(peer, line, threads, small=small)
            started.append((peer, self))

    monkeypatch.setattr("benchmarks.runner.Process", Noted)
    result = run(WORKLOADS["fresh-100k"], ["ndgrad", "by_hand", "micrograd"], rounds=3)
    ndgrad, by_hand, micrograd = result.cells
    assert [len(cell.rounds) for cell in result.cells] == [3, 3, 0]
    assert [peer for peer, _ in started] == ["ndgrad", "by_hand", "micrograd", "ndgrad", "by_hand", "by_hand", "ndgrad",
                                             "ndgrad", "by_hand"]  # fmt: skip
    assert len({process._process.pid for _, process in started}) == len(started)
    assert max(ndgrad.faults) < 10
    assert len(by_hand.faults) == 3
    assert micrograd.reason
    settings = environment("by_hand", 1, fresh=True)
    assert not [name for name in settings if name.startswith("MALLOC_") and name not in os.environ]
    assert environment("by_hand", 1)["MALLOC_TRIM_THRESHOLD_"]


def test_memory_is_measured_in_processes() -> None:
    """The memory of a line excludes that of the imports, which is 20 MB and more for NumPy."""
    (memory,) = measure_memory(WORKLOADS["bias"], ["by_hand"], small=True).cells
    assert memory.reason == ""
    assert 0 <= memory.bytes < 10e6


def test_the_environment_sets_the_number_of_threads() -> None:
    """Thread pools get their size before the library is imported, and only the limit never returns memory."""
    variables = environment("torch", 2)
    assert {variables[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert "MALLOC_TRIM_THRESHOLD_" not in variables.keys() - environment("by_hand", 2).keys()
    assert environment("by_hand", 1)["MALLOC_TRIM_THRESHOLD_"] == str(2**30)
