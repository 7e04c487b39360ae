"""Signals raise in the main program, can be deferred, and leave the previous handlers in place."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from reference.processes.signals import ENDING, Stopped, Stopping, deferred


@pytest.fixture(autouse=True)
def _heeded() -> Iterator[None]:
    """Signals are not ignored, even if the tests run under `nohup`."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_raises(number: int) -> None:
    """A signal raises Stopped with the status of shells, and the previous handler is restored afterwards."""
    before = signal.getsignal(number)
    with Stopping() as stopping, pytest.raises(Stopped) as caught:
        signal.raise_signal(number)
    assert caught.value.status == 128 + number
    stopping.heard()
    assert signal.getsignal(number) is before


def test_further_signals_do_not_disturb() -> None:
    """After the first signal was caught, further signals do not raise."""
    with Stopping() as stopping:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
        stopping.heard()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)


def test_a_swallowed_exception_is_raised_again() -> None:
    """If nobody confirms the exception, it is raised again after a while."""
    with Stopping() as stopping:
        with pytest.raises(Stopped):  # caught without a call of `heard`
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            time.sleep(10)
        stopping.heard()


def test_signals_can_be_deferred() -> None:
    """A deferred signal is handled at the end of the block."""
    done = []

    def work() -> None:
        with deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("deferred")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done


def test_ignored_signals_stay_ignored() -> None:
    """A command under `nohup` does not end with its terminal."""
    code = "import signal\nfrom reference.processes import signals\nwith signals.Stopping(): signal.raise_signal(1)"
    ignoring = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{code}"
    assert subprocess.run([sys.executable, "-c", ignoring], check=False).returncode == 0
