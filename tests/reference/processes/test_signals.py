"""Signals: they raise where the program is, are held back where they must be, and leave handlers as they were."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from reference.processes.signals import ENDING, Stopped, Stopping, held


@pytest.fixture(autouse=True)
def _heeded() -> Iterator[None]:
    """Signals are heeded, though whoever runs the tests may ignore them, as `nohup` does."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_raises(number: int) -> None:
    """With the status that shells give; and after the block the handler is the one that was there."""
    before = signal.getsignal(number)
    with Stopping() as stopping, pytest.raises(Stopped) as caught:
        signal.raise_signal(number)
    assert caught.value.status == 128 + number
    stopping.heard()
    assert signal.getsignal(number) is before


def test_further_signals_do_not_disturb() -> None:
    """Once the first is heard, what was found is told in peace."""
    with Stopping() as stopping:
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)
        stopping.heard()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)


def test_what_is_swallowed_comes_again() -> None:
    """An exception that some code passes over is raised once more after a while."""
    with Stopping() as stopping:
        with pytest.raises(Stopped):  # nobody says that it was heard
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopped):
            time.sleep(10)
        stopping.heard()


def test_signals_are_held_back() -> None:
    """They arrive at the end of the block."""
    done = []

    def work() -> None:
        with held():
            signal.raise_signal(signal.SIGINT)
            done.append("held")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done


def test_what_is_ignored_stays_ignored() -> None:
    """A command that `nohup` started does not end with its terminal."""
    code = "import signal\nfrom reference.processes import signals\nwith signals.Stopping(): signal.raise_signal(1)"
    ignoring = f"import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{code}"
    assert subprocess.run([sys.executable, "-c", ignoring], check=False).returncode == 0
