"""A worker: one peer and one line in a fresh interpreter. Commands and answers are lines of JSON.

    python -m benchmarks.worker PEER LINE [--small]

A process runs one line only, because the state of the allocator after a line would affect the figures of the next. It
does not know how often it runs, or how the figures are used.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from benchmarks import peers
from benchmarks.job import Absence, Job
from benchmarks.workloads import WORKLOADS

WARM_UP = 10  # untimed steps at the start ...
PATIENCE = 3.0  # ... unless they take more seconds than this
FRESH_WARM_UP = 5  # untimed steps at the start of a line with fresh processes, however short they are
BURST = 0.05  # seconds of a burst: far above the clock's resolution and a context switch


class Worker:
    """The commands for a peer and a line."""

    def __init__(self, peer: str, line: str, *, small: bool) -> None:
        self._peer = peers.load(peer)
        self._line = WORKLOADS[line]
        self._small = small
        self._job: Job | None = None

    def prepare(self) -> dict[str, Any]:
        """Draw the numbers and build the job."""
        build = self._peer.BUILDERS.get(self._line.program)
        if build is None:
            raise Absence(self._peer.ABSENT.get(self._line.program, self._peer.ABSENT.get("", "")))
        self._job = build(self._line.numbers(small=self._small))
        return {}

    @property
    def job(self) -> Job:
        """The job, after `prepare`."""
        if self._job is None:
            raise RuntimeError("prepare() comes first")
        return self._job

    def numbers(self, file: str) -> dict[str, Any]:
        """Run a step, and write its numbers to a file."""
        arrays = self.job.numbers(self.job.step())
        np.savez(file, *map(np.asarray, arrays))
        return {}

    def warm_up(self) -> dict[str, Any]:
        """Run the untimed steps, and return how many steps make a burst."""
        if not self._line.collector:
            gc.disable()
        start, seconds = perf_counter(), list[float]()
        most = FRESH_WARM_UP if self._line.fresh else WARM_UP
        while len(seconds) < most and (not seconds or perf_counter() - start < PATIENCE):
            seconds += timed(self.job.step, 1)
        return {"steps": max(1, round(BURST / max(median(seconds[-5:]), 1e-9)))}

    def time(self, steps: int) -> dict[str, Any]:
        """Time a burst of steps: the median time of a step, and the page faults per step."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        seconds = timed(self.job.step, steps)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        return {"seconds": median(seconds), "faults": faults / steps}

    def memory(self, steps: int) -> dict[str, Any]:
        """Prepare the job and run some steps, and return how much memory rose, in bytes."""
        gc.collect()
        peak = peak_memory()
        self.prepare()
        for _ in range(steps):
            self.job.step()
        return {"bytes": peak()}


def timed(step: Callable[[], Any], times: int) -> list[float]:
    """Time some steps, in seconds.

    The result is dropped within the time of its step, since to free a graph costs time.
    """
    seconds = []
    for _ in range(times):
        start = perf_counter()
        step()
        seconds.append(perf_counter() - start)
    return seconds


def peak_memory() -> Callable[[], int]:
    """Start to watch resident memory. The result is a function that returns by how many bytes it has risen."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
        start = _status("VmRSS")
    except OSError:  # not Linux: the mark is that of the whole process
        scale = 1 if sys.platform == "darwin" else 1024
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale - start
    return lambda: _status("VmHWM") - start


def _status(entry: str) -> int:
    """Read an entry of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(entry))


def _commands(source: TextIO) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line in source:
        command = json.loads(line)
        yield command.pop("do"), command


def answer(worker: Worker, do: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Run a command. An error is the answer."""
    try:
        result: dict[str, Any] = getattr(worker, do)(**options)
    except Absence as absence:
        return {"reason": str(absence)}
    except Exception as error:  # noqa: BLE001 - any error of a peer is shown in its cell
        words = str(error).partition("\n")[0]
        return {"reason": f"fails: {type(error).__name__}: {words[:200]}"}
    return result


def main() -> None:
    """Answer commands until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=peers.TITLES)
    parser.add_argument("line", choices=WORKLOADS)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # engines may print to standard output
    try:
        worker = Worker(options.peer, options.line, small=options.small)
    except Exception as error:  # noqa: BLE001 - an import error is shown in the cells
        print(json.dumps({"reason": f"does not run here: {error}"}), file=out)
        return
    print("{}", file=out)
    for do, given in _commands(sys.stdin):
        print(json.dumps(answer(worker, do, given)), file=out)


if __name__ == "__main__":
    main()
