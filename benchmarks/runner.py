"""Runs a line: each peer has its own process, is checked against the first peer, and is then timed round by round."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from benchmarks.agreement import difference
from benchmarks.cells import Cell, MemoryResult, PeerMemory, Result
from benchmarks.workloads import Workload

ROOT = Path(__file__).parent.parent
LIMIT = 180.0  # seconds for one answer: JAX compiles its longest line in a third of this
ROUNDS = 9
MEMORY_STEPS = 3  # steps, because memory that the first leaves behind is present in the second
FRESH_ROUNDS = 5  # rounds of a line with fresh processes, which mostly import
SLOW_ROUNDS = 3  # rounds of a line that takes a second per step


def environment(peer: str, threads: int, *, fresh: bool = False) -> dict[str, str]:
    """Return the environment of a process with so many threads. Each library reads it when it is imported.

    A fresh process has that of a user's script: no peer has special settings.
    """
    pools = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    xla = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} intra_op_parallelism_threads={threads}"
    # Some systems set a kernel of OpenBLAS. Here each build chooses one for this processor, as by default.
    own = {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    return {**own, **pools, "XLA_FLAGS": xla, "JAX_PLATFORMS": "cpu", **({} if fresh else SETTINGS.get(peer, {}))}


# The limit has no page faults: glibc does not return memory to the system. 32 MB is the largest threshold it accepts.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "by_hand": {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
}


class Asked(Protocol):
    """The protocol of a worker."""

    def ready(self) -> dict[str, Any]:
        """Return the first answer, before any command."""

    def ask(self, do: str, **options: Any) -> dict[str, Any]:
        """Send a command, and wait for the answer."""


class Process:
    """A worker in a process of its own. If it dies or does not answer in time, that is the answer."""

    def __init__(self, peer: str, line: Workload, threads: int, *, small: bool = False) -> None:
        arguments = [sys.executable, "-m", "benchmarks.worker", peer, line.name, *(["--small"] if small else [])]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - this very package
            arguments, cwd=ROOT, env=environment(peer, threads, fresh=line.fresh), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ready(self) -> dict[str, Any]:
        """Return the first answer, after the peer is imported."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        if not select.select([self._process.stdout], [], [], LIMIT)[0]:
            self._process.kill()
            return {"reason": f"fails: no answer within {LIMIT:.0f} s"}
        words = self._process.stdout.readline()
        if words:
            answer: dict[str, Any] = json.loads(words)
            return answer
        return {"reason": f"fails: its process ended with status {self._process.wait()}: {self._last_words()}"}

    def _last_words(self) -> str:
        self._errors.seek(0)
        return (self._errors.read().splitlines() or [""])[-1]

    def ask(self, do: str, **options: Any) -> dict[str, Any]:
        """Send a command, and wait for the answer."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            self._process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the process has died, and `ready` reports it
        return self.ready()


class Contest:
    """The peers on one line, each in its process. A peer that fails has a reason, and gets no further commands."""

    def __init__(self, processes: Mapping[str, Asked]) -> None:
        self._processes = processes
        self.cells = {name: Cell(name) for name in processes}

    def _ask(self, name: str, do: str, **options: Any) -> dict[str, Any]:
        """Send a command to a peer that has not failed. If it fails now, its answer is the reason."""
        if self.cells[name].reason:
            return {}
        process = self._processes[name]
        answer = process.ready() if do == "ready" else process.ask(do, **options)
        self.cells[name].reason = answer.get("reason", "")
        return answer

    def prepare(self) -> None:
        """Import all peers, and then build the job of each."""
        for do in ("ready", "prepare"):
            for name in self._processes:
                self._ask(name, do)

    def check(self) -> None:
        """Exclude peers whose numbers after one step differ from those of the first peer that runs."""
        base: list[np.ndarray] | None = None
        for name, cell in self.cells.items():
            numbers = self._numbers(name)
            if numbers is None:
                continue
            base = numbers if base is None else base
            wrong = difference(numbers, base)
            cell.reason = f"WRONG NUMBERS: {wrong}" if wrong else ""

    def _numbers(self, name: str) -> list[np.ndarray] | None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "numbers.npz"
            self._ask(name, "numbers", file=str(file))
            if self.cells[name].reason:
                return None
            with np.load(file) as arrays:
                return list(arrays.values())

    def time(self, rounds: int) -> None:
        """Time a burst of each peer in each round. Each round starts with another peer."""
        steps = {name: self._ask(name, "warm_up").get("steps", 0) for name in self.cells}
        names = list(self.cells)
        for i in range(rounds):
            for name in names[i % len(names) :] + names[: i % len(names)]:
                burst = self._ask(name, "time", steps=steps[name])
                if "seconds" in burst:
                    self.cells[name].rounds.append(burst["seconds"])
                    self.cells[name].faults.append(burst["faults"])


def run(line: Workload, names: Sequence[str], threads: int = 1, rounds: int = ROUNDS, *, small: bool = False) -> Result:
    """Measure the speed of the peers on a line.

    Args:
        line: the line.
        names: the peers. The first that runs the line is the base, with whose numbers the others must agree.
        threads: the number of threads of each.
        rounds: the number of rounds.
        small: whether to use the small size.
    """
    with _contest(line, names, threads, small=small) as contest:
        contest.check()
        if not line.fresh:
            contest.time(min(rounds, SLOW_ROUNDS) if line.slow else rounds)
    for i in range(min(rounds, FRESH_ROUNDS) if line.fresh else 0):
        _time_afresh(contest, line, [*names[i % len(names) :], *names[: i % len(names)]], threads, small=small)
    return Result(line.name, threads, list(contest.cells.values()))


@contextmanager
def _contest(line: Workload, names: Sequence[str], threads: int, *, small: bool) -> Iterator[Contest]:
    """Start the peers on a line, and build the job of each."""
    with ExitStack() as stack:
        contest = Contest({name: stack.enter_context(Process(name, line, threads, small=small)) for name in names})
        contest.prepare()
        yield contest


def _time_afresh(contest: Contest, line: Workload, names: Sequence[str], threads: int, *, small: bool) -> None:
    """Time each remaining peer once, alone in a new process, after no more than a user's script does."""
    for name in names:
        cell = contest.cells[name]
        if cell.reason:
            continue
        with _contest(line, [name], threads, small=small) as alone:
            alone.time(1)
        cell.rounds += alone.cells[name].rounds
        cell.faults += alone.cells[name].faults
        cell.reason = alone.cells[name].reason


def measure_memory(line: Workload, names: Sequence[str], *, small: bool = False) -> MemoryResult:
    """Measure the memory of a line: one peer after the other, over a few steps."""
    return MemoryResult(line.name, [_peer_memory(line, name, small=small) for name in names])


def _peer_memory(line: Workload, name: str, *, small: bool) -> PeerMemory:
    with Process(name, line, threads=1, small=small) as process:
        reason = process.ready().get("reason", "")
        answer = {"reason": reason} if reason else process.ask("memory", steps=MEMORY_STEPS)
    return PeerMemory(name, answer.get("bytes", 0), answer.get("reason", ""))
