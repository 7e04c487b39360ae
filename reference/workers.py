"""Processes that share work. They end with whoever started them, however that ends.

`concurrent.futures` waits for its processes where a signal should end them. Here the parent has no threads: it hands
out one task at a time to each worker, waits for answers, and kills the workers when it leaves. This module knows
functions and arguments, and nothing of what they compute.
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

from reference.signals import held, left_to_the_parent

_SPAWN = multiprocessing.get_context("spawn")  # PyTorch's threads do not survive a fork
_A_MOMENT = 0.2  # seconds: a signal to the whole group reaches this process, too, and says more than a dead worker


class WorkerDeathError(RuntimeError):
    """A worker ended in the middle of a task."""


class TaskError(RuntimeError):
    """A task raised an error; the traceback, as the worker has it, is among the notes."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: tuple[int, Any] | None = None  # the number of what it runs, and its name


class Workers:
    """Processes that run functions. Use it as a context: leaving it ends them.

    Args:
        number: how many.
        first: what each does before all else.
    """

    def __init__(self, number: int, first: Callable[[], None] | None = None) -> None:
        self._number = number
        self._first = first
        self._workers: list[_Worker] = []
        self._arrived: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for _ in range(self._number):
            self._workers.append(_started(self._first))
        return self

    def __exit__(self, *_: object) -> None:
        with held():
            for worker in self._workers:
                worker.process.kill()
            for worker in self._workers:
                worker.process.join()
                worker.connection.close()

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Give the results in the order of the arguments, each as soon as those before it are there.

        Args:
            function: what is called. It travels by value where it cannot be imported.
            arguments: as for `map`; the first of each call is its name in messages.

        Raises:
            TaskError: the function raised an error.
            WorkerDeathError: a worker was killed.
        """
        packed = cloudpickle.dumps(function)
        calls = list(zip(*arguments, strict=True))
        waiting = enumerate(calls)
        self._arrived = {}
        for worker in self._workers:
            self._hand_out(worker, packed, waiting)
        for number in range(len(calls)):
            while number not in self._arrived:
                for worker in self._ready():
                    self._receive(worker)
                    self._hand_out(worker, packed, waiting)
            yield self._arrived.pop(number)

    def left(self) -> list[Any]:
        """Take what has arrived and was not given yet, for tasks before it are not done: when a run is cut short."""
        left = [self._arrived[number] for number in sorted(self._arrived)]
        self._arrived = {}
        return left

    def _ready(self) -> list[_Worker]:
        busy = {worker.connection: worker for worker in self._workers if worker.task}
        return [busy[connection] for connection in wait(list(busy)) if isinstance(connection, Connection)]

    def _hand_out(self, worker: _Worker, packed: bytes, waiting: Iterator[tuple[int, Sequence[Any]]]) -> None:
        number, call = next(waiting, (None, ()))
        worker.task = None if number is None else (number, call[0])
        if number is not None:
            try:
                worker.connection.send_bytes(cloudpickle.dumps((packed, call)))
            except OSError:
                raise _death(worker) from None

    def _receive(self, worker: _Worker) -> None:
        number, name = worker.task or (0, "")
        try:
            result, error, told = cloudpickle.loads(worker.connection.recv_bytes())
        except (EOFError, OSError):
            raise _death(worker) from None
        if error:
            failed = TaskError(f"{_name(name)}: {error}")
            failed.add_note(f"in a worker:\n{told}")
            raise failed
        self._arrived[number] = result


def _started(first: Callable[[], None] | None) -> _Worker:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_work, args=(theirs, cloudpickle.dumps(first)), daemon=True)
    _start_the_tracker()
    with held():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _start_the_tracker() -> None:
    """Start what multiprocessing starts with its first process, and unblocks signals after."""
    if sys.platform != "win32":
        from multiprocessing import resource_tracker  # noqa: PLC0415 - Windows has none

        resource_tracker.ensure_running()


def _death(worker: _Worker) -> WorkerDeathError:
    time.sleep(_A_MOMENT)
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended by itself, with status {code},"
    hint = " Was memory short?" if -code == getattr(signal, "SIGKILL", None) else ""
    what = _name(worker.task[1] if worker.task else "")
    return WorkerDeathError(f"worker process {worker.process.pid} {how} while it ran {what}.{hint}")


def _name(first: Any) -> str:
    return first if isinstance(first, str) else ", ".join(map(str, first))


# In a worker.


def _work(connection: Connection, first: bytes) -> None:
    """Run tasks, one at a time, until the parent has no more or is gone."""
    left_to_the_parent()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    begin = cloudpickle.loads(first)  # may import much, so the parent is watched by now
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
    """The result of a task, or the error and its traceback: as text, for not every error can be pickled."""
    try:
        packed, call = cloudpickle.loads(message)
        packed_result: bytes = cloudpickle.dumps((_unpacked(packed)(*call), "", ""))
    except BaseException as error:  # noqa: BLE001 - the parent tells it, whatever it is
        packed_result = cloudpickle.dumps((None, f"{type(error).__name__}: {error}", traceback.format_exc()))
    return packed_result


@lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> Callable[..., Any]:
    function: Callable[..., Any] = cloudpickle.loads(packed)
    return function
