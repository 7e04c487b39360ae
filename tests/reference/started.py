"""The command line in a process of its own, with the processes that it starts, for tests that end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0  # seconds: other work may run beside a test
SOON = 10.0  # the limit for what should take a second


@contextmanager
def _heeded() -> Iterator[None]:
    """Return a context in which new processes do not ignore signals, even if the tests run under `nohup`.

    It does not use `preexec_fn`, for that forks in Python, and an engine with threads in this process, such as JAX,
    warns of forks.
    """
    ignored = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@dataclass
class Ended:
    """The end of a run: its status and output, and the time from the signal to the end of its last process."""

    status: int
    out: str
    err: str
    seconds: float


class Started:
    """A running command line.

    Args:
        arguments: its arguments.
        cwd: its working directory.
        code: Python code that is run before it.
    """

    def __init__(self, *arguments: str, cwd: Path, code: str = "") -> None:
        main = f"{code}\nimport sys\nfrom reference.__main__ import main\nsys.exit(main())"
        start = ["-c", main] if code else ["-m", "reference"]
        with _heeded():
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", *start, *arguments],
                cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid
        self.out = ""

    def printed(self, words: str) -> Started:
        """Wait until a line with these words has been printed."""
        assert self._process.stdout
        for line in self._process.stdout:
            self.out += line
            if words in line:
                return self
        raise AssertionError(f"{words!r} was never printed, but {self.out}\n{self.ended().err}")

    def workers(self, number: int) -> Sequence[int]:
        """Wait until there are `number` processes beside the first, and return their ids."""
        end = time.monotonic() + PATIENCE
        while len(family(self.pid)) <= number:
            assert time.monotonic() < end
            time.sleep(0.01)
        return [pid for pid in family(self.pid) if pid != self.pid]

    def send(self, number: int, *, group: bool) -> Started:
        """Send a signal to the first process, or to the whole group as a terminal does."""
        (os.killpg if group else os.kill)(self.pid, number)
        return self

    def unread(self) -> Started:
        """Close its standard output for reading."""
        assert self._process.stdout
        self._process.stdout.close()
        self._process.stdout = None
        return self

    def ended(self) -> Ended:
        """Wait for the end of all processes. Remaining ones are killed, and the test fails."""
        start = time.monotonic()
        out, err = self._process.communicate(timeout=PATIENCE)
        while family(self.pid) and time.monotonic() < start + PATIENCE:
            time.sleep(0.01)
        left = family(self.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left
        return Ended(self._process.returncode, self.out + (out or ""), err, time.monotonic() - start)


def family(group: int) -> list[int]:
    """Return the ids of a group's live processes."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _belongs(path, group)]


def _belongs(path: Path, group: int) -> bool:
    try:
        state, _, process_group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
    except OSError:  # the process has just ended
        return False
    return int(process_group) == group and state != "Z"
