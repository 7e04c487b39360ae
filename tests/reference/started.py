"""The command line as a process of its own, with all the processes that it starts, for tests that end it."""

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

PATIENCE = 120.0  # seconds: other work may go on beside a test
SOON = 10.0  # where a second is meant


@contextmanager
def _heeded() -> Iterator[None]:
    """Have processes that are started within heed signals, though whoever runs the tests may ignore them.

    Not by `preexec_fn`, which forks as Python code does: an engine with threads in this process, as JAX, warns of that.
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
    """How a process ended: its status, what it printed, and how long it took from the signal to its last process."""

    status: int
    out: str
    err: str
    seconds: float


class Started:
    """The command line, at work.

    Args:
        arguments: of the command line.
        cwd: where it runs.
        code: what is run before it.
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
        """Wait until there are so many processes beside the first."""
        end = time.monotonic() + PATIENCE
        while len(family(self.pid)) <= number:
            assert time.monotonic() < end
            time.sleep(0.01)
        return [pid for pid in family(self.pid) if pid != self.pid]

    def send(self, number: int, *, group: bool) -> Started:
        """Send a signal to the first process alone, or to all as a terminal does."""
        (os.killpg if group else os.kill)(self.pid, number)
        return self

    def unread(self) -> Started:
        """Read no more of what it prints."""
        assert self._process.stdout
        self._process.stdout.close()
        self._process.stdout = None
        return self

    def ended(self) -> Ended:
        """Wait for the end of all processes. One that lives on is killed, and fails the test."""
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
    """The processes of a group that are alive."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _belongs(path, group)]


def _belongs(path: Path, group: int) -> bool:
    try:
        state, _, process_group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
    except OSError:  # it has just ended
        return False
    return int(process_group) == group and state != "Z"
