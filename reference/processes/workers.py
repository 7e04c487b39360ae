"""Worker processes that share tasks. They end with their parent, however it ends.

`concurrent.futures` would wait for its processes after a signal. Here the parent has no threads: it sends one task at a
time to each worker, waits for answers, and kills the workers at the end. This module knows functions and arguments, but
not what they compute.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

import cloudpickle

from reference.processes.signals import deferred, leave_to_parent

_SPAWN = multiprocessing.get_context("spawn")  # PyTorch's threads do not survive a fork
DEATHS = 3  # of workers, before a task fails
_A_MOMENT = 0.2  # seconds: a signal to the whole process group arrives here, too, and explains a worker's death better


class WorkerDeathError(RuntimeError):
    """Several workers in a row ended in the middle of a task."""


class TaskError(RuntimeError):
    """A task raised an error. The worker's traceback is among its notes."""


@dataclass
class _Task:
    number: int
    call: Sequence[Any]
    deaths: int = 0  # of workers, while they ran it


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: _Task | None = None


class Workers:
    """Processes that run functions. It is a context manager, and its exit ends them.

    A worker that dies is replaced, and its task is run again, so functions must be pure. It is an error if several
    workers die of the same task.

    Args:
        number: the number of processes.
        first: a function that each process calls first.
    """

    def __init__(self, number: int, first: Callable[[], None] | None = None) -> None:
        self._number = number
        self._first = first
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        for _ in range(self._number):
            self._workers.append(_start(self._first))
        return self

    def __exit__(self, *_: object) -> None:
        with deferred():
            for worker in self._workers:
                worker.process.kill()
            for worker in self._workers:
                worker.process.join()
                worker.connection.close()

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Give the results in the order of the arguments, each as soon as all earlier ones are ready.

        Args:
            function: the function. It is pickled by value if it cannot be imported.
            arguments: as for `map`; the first argument of each call is its name in messages.

        Raises:
            TaskError: the function raised an error.
            WorkerDeathError: several workers died of a task.
        """
        calls = list(zip(*arguments, strict=True))
        arrived: dict[int, Any] = {}
        following = 0
        for task, result in self._tasks(function, calls):
            arrived[task.number] = result
            while following in arrived:
                yield arrived.pop(following)
                following += 1

    def unordered(
        self, function: Callable[..., Any], calls: Iterable[Sequence[Any]]
    ) -> Iterator[tuple[Sequence[Any], Any]]:
        """Give each call and its result as soon as it is ready.

        Args:
            function: the function.
            calls: the arguments of each call; the first one is its name in messages. The iterable is advanced when a
                worker is free.

        Raises:
            TaskError: the function raised an error.
            WorkerDeathError: several workers died of a task.
        """
        return ((task.call, result) for task, result in self._tasks(function, calls))

    def _tasks(self, function: Callable[..., Any], calls: Iterable[Sequence[Any]]) -> Iterator[tuple[_Task, Any]]:
        packed = cloudpickle.dumps(function)
        waiting = (_Task(number, call) for number, call in enumerate(calls))
        for place in range(len(self._workers)):
            self._send(place, packed, next(waiting, None))
        while busy := [(place, worker.task) for place, worker in enumerate(self._workers) if worker.task]:
            for place, task in self._answering(busy):
                try:
                    result = _receive(self._workers[place])
                except _Died as death:
                    self._replace(place, packed, task, death)
                    continue
                self._send(place, packed, next(waiting, None))
                yield task, result

    def _answering(self, busy: Sequence[tuple[int, _Task]]) -> list[tuple[int, _Task]]:
        """Wait for busy workers that have answered or died, and return their places and tasks."""
        by_connection = {self._workers[place].connection: (place, task) for place, task in busy}
        return [by_connection[c] for c in wait(list(by_connection)) if isinstance(c, Connection)]

    def _send(self, place: int, packed: bytes, task: _Task | None) -> None:
        worker = self._workers[place]
        worker.task = task
        if task is not None:
            try:
                worker.connection.send_bytes(cloudpickle.dumps((packed, task.call)))
            except OSError:
                self._replace(place, packed, task, _death(worker))

    def _replace(self, place: int, packed: bytes, task: _Task, death: _Died) -> None:
        """Replace a dead worker and run its task again, unless too many workers have died of it."""
        task.deaths += 1
        if task.deaths == DEATHS:
            raise WorkerDeathError(str(death))
        sys.stderr.write(f"{death} It is run again.\n")
        self._workers[place].connection.close()
        self._workers[place] = _start(self._first)
        self._send(place, packed, task)


class _Died(Exception):  # noqa: N818 - an event, caught where the worker is replaced
    """A worker ended in the middle of a task."""


def _receive(worker: _Worker) -> Any:
    task = worker.task
    try:
        result, error, trace = cloudpickle.loads(worker.connection.recv_bytes())
    except (EOFError, OSError):
        raise _death(worker) from None
    if error:
        failed = TaskError(f"{_name(task)}: {error}")
        failed.add_note(f"in a worker:\n{trace}")
        raise failed
    return result


def _start(first: Callable[[], None] | None) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(theirs, cloudpickle.dumps(first)), daemon=True)
    _start_tracker()
    with deferred():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _start_tracker() -> None:
    """Start multiprocessing's resource tracker now: with the first process, its start would unblock signals."""
    if sys.platform != "win32":
        from multiprocessing import resource_tracker  # noqa: PLC0415 - Windows has none

        resource_tracker.ensure_running()


def _death(worker: _Worker) -> _Died:
    time.sleep(_A_MOMENT)
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended by itself, with status {code},"
    hint = " Was memory short?" if -code == getattr(signal, "SIGKILL", None) else ""
    return _Died(f"worker process {worker.process.pid} {how} while it ran {_name(worker.task)}.{hint}")


def _name(task: _Task | None) -> str:
    """Return a task's name: the first argument of its call, or its items if it is a sequence."""
    first = task.call[0] if task else ""
    return ", ".join(map(str, first)) if isinstance(first, (list, tuple)) else str(first)


# In a worker.


def _work(connection: Connection, first: bytes) -> None:
    """Run tasks, one at a time, until the parent has no more or is gone."""
    leave_to_parent()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    begin = cloudpickle.loads(first)  # imports may take long, so the parent is watched already
    if begin:
        begin()
    while True:
        try:
            connection.send_bytes(_answer(connection.recv_bytes()))
        except (EOFError, OSError):
            return


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(0)


def _answer(message: bytes) -> bytes:
    """Return a task's result, or its error and traceback as text, for not every error can be pickled."""
    try:
        packed, call = cloudpickle.loads(message)
        packed_result: bytes = cloudpickle.dumps((_unpacked(packed)(*call), "", ""))
    except BaseException as error:  # noqa: BLE001 - the parent reports any error
        packed_result = cloudpickle.dumps((None, f"{type(error).__name__}: {error}", traceback.format_exc()))
    return packed_result


@lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> Callable[..., Any]:
    function: Callable[..., Any] = cloudpickle.loads(packed)
    return function
