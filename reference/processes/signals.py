"""Signals that end a run: Ctrl-C, SIGTERM, and a terminal that closes.

They raise an exception, so that the run can report what it has found. This module does not know what is interrupted.
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
AGAIN = 1.0  # seconds: if the exception is swallowed, as in a destructor, it is raised again after this time
PATIENCE = 3.0  # seconds for the report: a signal after that ends the process at once


class Stopped(KeyboardInterrupt):
    """A signal has ended the run.

    Args:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number  # the convention of shells


class Stopping:
    """A context in which ending signals raise `Stopped` in the main thread. Ignored signals stay ignored."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._reported_at: float | None = None
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
        """Return a context in which a signal ends the process at once, for there is nothing to report.

        Imports run in it: an exception in the middle of one would leave files open.
        """
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def heard(self) -> None:
        """Confirm that the exception was caught. Further signals do not disturb the report, unless it takes long."""
        self._remind(0)
        self._reported_at = time.monotonic()

    def _stop(self, number: int, _frame: object) -> None:
        if self._at_once:
            with suppress(OSError):
                os.write(2, b"interrupted\n")
            os._exit(128 + number)
        if self._reported_at is None:
            self._remind(number)
            raise Stopped(number)
        if time.monotonic() > self._reported_at + PATIENCE:
            os._exit(128 + number)

    def _remind(self, number: int) -> None:
        """Raise the signal's exception again after a while; 0 cancels this."""
        if self._before and hasattr(signal, "setitimer"):
            if number:
                self._before.setdefault(signal.SIGALRM, signal.getsignal(signal.SIGALRM))
                signal.signal(signal.SIGALRM, lambda *_: self._stop(number, None))
            signal.setitimer(signal.ITIMER_REAL, AGAIN if number else 0)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer signals to the end of the block. A process that is started within has them blocked from its start."""
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


def leave_to_parent() -> None:
    """Ignore Ctrl-C in a worker: it reaches the whole process group, and the parent ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _mask(block=False)


def _mask(*, block: bool) -> None:
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK if block else signal.SIG_UNBLOCK, ENDING)
