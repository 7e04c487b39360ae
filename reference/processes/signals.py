"""Signals that ask for the end: Ctrl-C, SIGTERM, a terminal that closes.

They end a run where it stands, by an exception, so that whoever has found something can tell it. This module knows
signals, and nothing of what is interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
AGAIN = 1.0  # seconds: an exception may be raised where it is swallowed, as in a destructor, and then it comes again
PATIENCE = 3.0  # seconds in which what was found is told: whoever asks again after that has waited long enough


class Stopped(KeyboardInterrupt):
    """A signal asked for the end.

    Args:
        number: which signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number  # as shells count


class Stopping:
    """Within it, a signal that asks for the end raises `Stopped` in the main thread. What is ignored stays ignored."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._told_at: float | None = None
        self._at_once = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._remind(0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within it there is nothing to tell, and a signal ends the process where it stands.

        Imports are made so: an exception in the middle of one would leave files open.
        """
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def heard(self) -> None:
        """Say that the exception has arrived. Further signals must not disturb the telling, unless it takes long."""
        self._remind(0)
        self._told_at = time.monotonic()

    def _stop(self, number: int, _frame: object) -> None:
        if self._at_once:
            with suppress(OSError):
                os.write(2, b"interrupted\n")
            os._exit(128 + number)
        if self._told_at is None:
            self._remind(number)
            raise Stopped(number)
        if time.monotonic() > self._told_at + PATIENCE:
            os._exit(128 + number)

    def _remind(self, number: int) -> None:
        """Send the signal again after a while; with 0, no more."""
        if self._before and hasattr(signal, "setitimer"):
            if number:
                self._before.setdefault(signal.SIGALRM, signal.getsignal(signal.SIGALRM))
                signal.signal(signal.SIGALRM, lambda *_: self._stop(number, None))
            signal.setitimer(signal.ITIMER_REAL, AGAIN if number else 0)


@contextmanager
def held() -> Iterator[None]:
    """Hold signals back until the end of the block; a process that is started within is born with them blocked."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [*ENDING, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])]
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda n, _: arrived.append(n)) for number in numbers}
    _mask(block=True)
    try:
        yield
    finally:
        _mask(block=False)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


def left_to_the_parent() -> None:
    """In a worker: Ctrl-C reaches the whole group of processes, and the parent ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _mask(block=False)


def _mask(*, block: bool) -> None:
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK if block else signal.SIG_UNBLOCK, ENDING)
