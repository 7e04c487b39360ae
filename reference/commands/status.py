"""Exit statuses, and what each ending says. Nothing heavy is imported here."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from reference.processes.signals import ENDING, Stopped, Stopping

AGREES, DISAGREES, USAGE, ENVIRONMENT, HARNESS, NOTHING = 0, 1, 2, 3, 4, 5
UNHEARD = 128 + 13  # SIGPIPE: whoever read standard output has gone, as `head` does


def ended(command: Callable[[Stopping], int]) -> int:
    """Run a command, and give its status, however it ends."""
    with Stopping() as stopping:
        try:
            status = command(stopping)
            sys.stdout.flush()
        except Stopped as stop:
            stopping.heard()
            status = _interrupted(stop)
        except BrokenPipeError:
            status = _unheard()
        except OSError as error:
            status = _environment(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the harness raises is its own failure
            status = _failed(error)
        return status


def told(error: BaseException) -> str:
    """An error in one line."""
    name = f"{type(error).__name__}: " if not str(error) or type(error).__name__ not in _SAY_IT_THEMSELVES else ""
    return f"{name}{error}".strip()


_SAY_IT_THEMSELVES = ("WorkerDeathError", "TaskError", "Stopped")


def _interrupted(stop: Stopped) -> int:
    print("interrupted", file=sys.stderr)
    return stop.status


def _environment(error: OSError) -> int:
    what = "" if error.filename is None else f"{error.filename}: "
    if _give_up_output():
        what = "cannot write the output: "
    print(f"error: {what}{error.strerror or error}", file=sys.stderr)
    return ENVIRONMENT


def _failed(error: BaseException) -> int:
    sys.stdout.flush()
    if type(error).__name__ == "WorkerDeathError":
        print(f"error: {error}", file=sys.stderr)
        return HARNESS
    print(f"error: the harness failed, and not the engine: {told(error)}", file=sys.stderr)
    traceback.print_exception(error)
    return HARNESS


def _unheard() -> int:
    _give_up_output()
    return UNHEARD


def _give_up_output() -> bool:
    """Whether something could not be written. It goes nowhere: Python would try once more when it ends."""
    lost = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            lost = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return lost


def left(status: int) -> NoReturn:
    """Leave the process. All is said: a late signal must change nothing."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(status)


def open_streams() -> None:
    """Make standard output fit to be written to.

    Where it was closed, the next file must not take its place; what its encoding lacks is written as an escape.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stdin, stdout, stderr
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as it runs
        getattr(sys, name).reconfigure(errors="backslashreplace")
