"""Exit statuses, and the messages of commands that end early. Nothing heavy is imported here."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from reference.processes.signals import ENDING, Stopped, Stopping

AGREES, DISAGREES, USAGE, ENVIRONMENT, HARNESS, NOTHING = 0, 1, 2, 3, 4, 5
BROKEN_PIPE = 128 + 13  # SIGPIPE: the reader of standard output has exited, as `head` does


def run_command(command: Callable[[Stopping], int]) -> int:
    """Run a command and return its status, however it ends."""
    with Stopping() as stopping:
        try:
            status = command(stopping)
            sys.stdout.flush()
        except Stopped as stop:
            stopping.heard()
            status = _interrupted(stop)
        except BrokenPipeError:
            status = _broken_pipe()
        except OSError as error:
            status = _environment_error(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any error of the harness is its own failure
            status = _harness_failure(error)
        return status


def one_line(error: BaseException) -> str:
    """Describe an error in one line."""
    name = f"{type(error).__name__}: " if not str(error) or type(error).__name__ not in _NAMED_BY_MESSAGE else ""
    return f"{name}{error}".strip()


_NAMED_BY_MESSAGE = ("WorkerDeathError", "TaskError", "Stopped")


def _interrupted(stop: Stopped) -> int:
    print("interrupted", file=sys.stderr)
    return stop.status


def _environment_error(error: OSError) -> int:
    what = "" if error.filename is None else f"{error.filename}: "
    if _give_up_output():
        what = "cannot write the output: "
    print(f"error: {what}{error.strerror or error}", file=sys.stderr)
    return ENVIRONMENT


def _harness_failure(error: BaseException) -> int:
    sys.stdout.flush()
    if type(error).__name__ == "WorkerDeathError":
        print(f"error: {error}", file=sys.stderr)
        return HARNESS
    print(f"error: the harness failed, and not the engine: {one_line(error)}", file=sys.stderr)
    traceback.print_exception(error)
    return HARNESS


def _broken_pipe() -> int:
    _give_up_output()
    return BROKEN_PIPE


def _give_up_output() -> bool:
    """Whether some output could not be written. It is discarded, since Python would try again at exit."""
    failed = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            failed = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return failed


def leave(status: int) -> NoReturn:
    """Exit the process. All output has been written, so a late signal must change nothing."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def open_streams() -> None:
    """Prepare standard output and standard error for writing.

    If they were closed, their descriptors are filled, so that no file opened later takes their place. Characters that
    their encoding lacks are written as escapes.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stdin, stdout, stderr
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as it runs
        getattr(sys, name).reconfigure(errors="backslashreplace")
