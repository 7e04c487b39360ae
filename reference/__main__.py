"""The command line: `python -m reference verify`, `... page`, `... faults` and `... repro '...'`.

Exit status: 0 agrees, 1 disagrees, 2 usage, 3 environment, 4 the harness failed, 5 nothing compared, 130 interrupted
(143 by SIGTERM), 141 broken pipe. Heavy modules are imported only after the arguments are parsed, so that help and
usage errors appear at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from reference.commands.arguments import parser
from reference.commands.status import ENVIRONMENT, leave, open_streams, run_command
from reference.processes.signals import Stopping

NEEDED = ("torch", "hypothesis", "sklearn", "gmpy2", "jinja2", "cloudpickle")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_command(lambda stopping: _run(arguments, stopping))


def _run(arguments: Sequence[str] | None, stopping: Stopping) -> int:
    try:
        options = parser().parse_args(arguments)
    except SystemExit as leaving:  # argparse has printed the reason
        return int(leaving.code or 0)
    missing = [name for name in NEEDED if not _is_there(name)]
    if missing:
        print(
            f"error: {' and '.join(missing)} not found. The reference needs: pip install 'ndgrad[reference]'",
            file=sys.stderr,
        )
        return ENVIRONMENT
    with stopping.at_once():
        command = import_module(f"reference.commands.{options.command}")
        one_thread = import_module("reference.engines.torch").one_thread
    one_thread()
    options.stopping = stopping
    status: int = command.run(options)
    return status


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # the module was removed from the interpreter on purpose
        return False


if __name__ == "__main__":
    open_streams()
    leave(main())
