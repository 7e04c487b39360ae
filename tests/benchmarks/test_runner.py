"""The contest: who has other numbers, dies or does not run is out, with a reason; the others are timed in turn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from benchmarks import peers
from benchmarks.job import Job
from benchmarks.runner import Contest, environment, run, weigh
from benchmarks.worker import Worker, answer
from benchmarks.workloads import WORKLOADS, Numbers


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
    """The bias line with a gradient that is counted twice. This is wrong, on purpose."""
    job = peers.load("by_hand").BUILDERS["bias"](n)
    return Job(job.step, lambda outputs: [*outputs[:-1], 2 * outputs[-1]])


def test_a_wrong_peer_is_not_timed() -> None:
    """A peer whose gradient is twice what it should be is stopped before anybody is timed, and says so."""
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
    """Two peers on a line, each in its process: both are timed, and a peer that has no such line says why."""
    result = run(WORKLOADS["article"], ["ndgrad", "by_hand", "micrograd"], rounds=1, small=True)
    ndgrad, by_hand, micrograd = result.cells
    assert (len(ndgrad.rounds), ndgrad.reason) == (1, "")
    assert (len(by_hand.rounds), by_hand.reason) == (1, "")
    assert micrograd.reason in (
        "it has single numbers, and no arrays",
        "does not run here: No module named 'micrograd'",
    )
    assert result.ratio("by_hand") is not None


def test_memory_is_measured_in_processes() -> None:
    """A line is weighed beyond what the import took: nothing like the 20 MB and more of NumPy."""
    (weight,) = weigh(WORKLOADS["bias"], ["by_hand"], small=True).weights
    assert weight.reason == ""
    assert 0 <= weight.bytes < 10e6


def test_a_process_is_told_its_threads() -> None:
    """Each pool of threads is told its size before its library is imported; the limit alone keeps its memory."""
    told = environment("torch", 2)
    assert {told[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert "MALLOC_TRIM_THRESHOLD_" not in told.keys() - environment("by_hand", 2).keys()
    assert environment("by_hand", 1)["MALLOC_TRIM_THRESHOLD_"] == str(2**30)
