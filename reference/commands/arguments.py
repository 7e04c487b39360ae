"""The arguments of the commands. Nothing heavy is imported here, so that help and usage errors appear at once."""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = "The command line: `python -m reference verify`, `... page`, `... faults` and `... repro '...'`."
PROFILES = ("quick", "standard", "deep")
PAGE = Path("build/agreement.html")
PICTURES = (".svg", ".png", ".pdf", ".dot")
MOST = 1_000_000  # the most seeds and processes
SHOWN = 60  # characters shown of an invalid number


class _Parser(argparse.ArgumentParser):
    """A parser that raises if its help cannot be written; argparse ignores a closed pipe and a full disk."""

    def print_help(self, file: Any = None) -> None:
        (file or sys.stdout).write(self.format_help())


def parser() -> argparse.ArgumentParser:
    """Make the parser. The parsed `command` names the command to run."""
    root = _Parser(prog="python -m reference", description=DESCRIPTION)
    commands = root.add_subparsers(required=True, metavar="command")
    verify = commands.add_parser("verify", help="compare every op, expressions and training runs with PyTorch")
    verify.add_argument("--ops", metavar="OP[,OP...]", help="only these ops, and expressions of them; no training")
    verify.add_argument("--engine", metavar="NAME", default="ndgrad", help=_ENGINE)
    verify.add_argument("--against", type=_names, metavar="NAME[,NAME...]", default=("torch",), help=_AGAINST)
    verify.add_argument("--profile", choices=PROFILES, default="standard", help="how many programs (default: standard)")
    verify.add_argument("--seed", type=_seed, default=0, help="the seed of the programs (default: 0)")
    verify.add_argument("--workers", type=_count, default=2, metavar="N", help="the most processes (default: 2)")
    verify.add_argument("--json", type=_file, metavar="FILE", help="also write the results to this file")
    verify.add_argument("--page", type=_file, metavar="FILE", help="also write the page of the results to this file")
    verify.add_argument("--scheduler", metavar="ADDRESS", help=_SCHEDULER)
    verify.add_argument("--failures", type=_file, metavar="FILE", default=Path(".failures"), help=_FAILURES)
    verify.set_defaults(command="verify")
    page = commands.add_parser("page", help="verify quickly, and write the page: every number beside PyTorch's")
    where = f"the file to write (default: {PAGE}; for a function, a file of its name in the same folder)"
    page.add_argument("--out", dest="page", type=_file, metavar="FILE", help=where)
    page.add_argument("--seed", type=_seed, default=0, help="the seed of the programs (default: 0)")
    page.add_argument("function", nargs="?", type=_function, metavar="MODULE.PY:FUNCTION", help=_FUNCTION)
    page.add_argument("--shapes", type=_shapes, metavar="SHAPES", help="the shapes of its operands, as '(3,4),(4,)'")
    page.set_defaults(
        command="page", ops=None, engine="ndgrad", against=("torch",), profile="quick", workers=2, scheduler=None,
        json=None, failures=Path(".failures"),
    )  # fmt: skip
    faults = commands.add_parser("faults", help="mutation testing: plant bugs one at a time; the checks must find each")
    faults.add_argument("names", nargs="*", metavar="FAULT", help="only these; by default all")
    faults.add_argument("--generic", choices=("all", "third", "none"), default="all", help=_GENERIC)
    faults.add_argument("--profile", choices=PROFILES, default="standard", help="how many cases (default: standard)")
    faults.add_argument("--seed", type=_seed, default=0, help="the seed of the cases (default: 0)")
    faults.add_argument("--seeds", type=_count, default=1, metavar="N", help="the number of seeds (default: 1)")
    faults.add_argument("--workers", type=_count, default=2, metavar="N", help="the most processes (default: 2)")
    faults.add_argument("--compare", action="store_true", help="also test the gradient checkers of other packages")
    faults.set_defaults(command="faults")
    repro = commands.add_parser("repro", help="replay one case, from the line that a failure prints")
    repro.add_argument("case", help="the line of the case")
    repro.add_argument("--engine", metavar="NAME", default="ndgrad", help=_ENGINE)
    repro.add_argument("--against", type=_names, metavar="NAME[,NAME...]", default=("torch",), help=_AGAINST)
    manner = repro.add_mutually_exclusive_group()
    manner.add_argument("--python", action="store_true", help="instead print a script for both sides")
    manner.add_argument("--picture", type=_picture, metavar="FILE", help=f"also draw the graph: {', '.join(PICTURES)}")
    repro.set_defaults(command="repro")
    return root


_ENGINE = "the engine to judge: ndgrad, torch, autograd, jax, or yours as module:name (default: ndgrad)"
_AGAINST = "the references: torch, autograd, jax, yours as module:name, or several of these (default: torch)"
_SCHEDULER = "run on the Dask cluster of this scheduler, as tcp://10.0.0.1:8786, instead of processes of this machine"
_FAILURES = "the file of failing cases, which are tried first in the next run (default: .failures)"
_GENERIC = "how many of the faults derived for every op; a third is chosen by their names (default: all)"
_FUNCTION = "instead make the page of this function, which takes a Value for each shape and returns a Value"


def _names(names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names.split(",")))


def _function(name: str) -> tuple[Path, str]:
    path, _, function = name.rpartition(":")
    if not path.endswith(".py") or not function.isidentifier():
        raise argparse.ArgumentTypeError(f"{name!r} must name a file and a function in it, as module.py:f")
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path!r}")
    return Path(path), function


def _shapes(text: str) -> list[tuple[int, ...]]:
    try:
        read = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError):
        read = None
    shapes = [read] if isinstance(read, tuple) and all(isinstance(n, int) for n in read) else list(read or ())
    if not shapes or not all(isinstance(shape, tuple) and all(_is_length(n) for n in shape) for shape in shapes):
        raise argparse.ArgumentTypeError(f"{text!r} must be shapes, as '(3,4),(4,)'")
    return shapes


def _is_length(n: object) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0


def _count(number: str) -> int:
    requirement = f"must be a whole number from 1 to {MOST:,}"
    if not 1 <= (count := _whole(number, requirement)) <= MOST:
        raise argparse.ArgumentTypeError(f"{number!r} {requirement}")
    return count


def _seed(number: str) -> int:
    requirement = "must be a whole number from 0 on"
    if (seed := _whole(number, requirement)) < 0:
        raise argparse.ArgumentTypeError(f"{number!r} {requirement}")
    return seed


def _whole(number: str, requirement: str) -> int:
    try:
        return int(number)
    except ValueError:  # raised for thousands of digits, too
        shown = number if len(number) <= SHOWN else f"{number[:SHOWN]}..."
        raise argparse.ArgumentTypeError(f"invalid int value: {shown!r} {requirement}") from None


def _file(name: str) -> Path:
    if not name or "\0" in name:
        raise argparse.ArgumentTypeError(f"{name!r} must be the name of a file")
    return Path(name)


def _picture(name: str) -> Path:
    path = Path(name)
    if path.suffix not in PICTURES:
        raise argparse.ArgumentTypeError(f"{name!r} must end in one of {', '.join(PICTURES)}")
    return path
