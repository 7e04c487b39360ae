"""The command line: `python -m reference verify`, `... page`, `... faults` and `... repro '...'`.

Exit status: 0 agrees, 1 disagrees, 2 usage, 3 environment, 4 the harness failed, 5 nothing compared, 130 interrupted
(143 by SIGTERM), 141 nobody reads the output. Nothing heavy is imported before it is known what is asked for, so that
help and wrong usage answer at once.
"""
# ruff: noqa: PLC0415 - that is why imports stand in functions here

from __future__ import annotations

import argparse
import ast
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference.commands.status import AGREES, DISAGREES, ENVIRONMENT, NOTHING, USAGE, ended, left, open_streams
from reference.signals import Stopping

if TYPE_CHECKING:
    from ndgrad.graph import Picture
    from reference.checks import Case
    from reference.engines import Engine
    from reference.engines.references import References
    from reference.program import Program
    from reference.training import TrainingRecord

PROFILES = ("quick", "standard", "deep")
NEEDED = ("torch", "hypothesis", "sklearn", "gmpy2", "jinja2", "cloudpickle")
PAGE = Path("build/agreement.html")
PICTURES = (".svg", ".png", ".pdf", ".dot")
MOST = 1_000_000  # seeds, and processes
SHOWN = 60  # characters at the most of what is no number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and give the exit status."""
    return ended(lambda stopping: _run(arguments, stopping))


def _run(arguments: Sequence[str] | None, stopping: Stopping) -> int:
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as leaving:  # argparse has said why
        return int(leaving.code or 0)
    missing = [name for name in NEEDED if not _is_there(name)]
    if missing:
        print(
            f"error: {' and '.join(missing)} not found. The reference needs: pip install 'ndgrad[reference]'",
            file=sys.stderr,
        )
        return ENVIRONMENT
    with stopping.at_once():
        from reference.engines.torch import one_thread

    one_thread()
    options.stopping = stopping
    status: int = options.run(options)
    return status


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it was taken out of the interpreter on purpose
        return False


class _Parser(argparse.ArgumentParser):
    """A parser whose help does not get lost in silence: argparse passes over a closed pipe and a full disk."""

    def print_help(self, file: Any = None) -> None:
        (file or sys.stdout).write(self.format_help())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m reference", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="command")
    verify = commands.add_parser("verify", help="compare every op, expressions and training runs with PyTorch")
    verify.add_argument("--ops", metavar="OP[,OP...]", help="only these ops, and expressions of them; no training")
    verify.add_argument("--engine", metavar="NAME", default="ndgrad", help=_ENGINE)
    verify.add_argument("--against", type=_names, metavar="NAME[,NAME...]", default=("torch",), help=_AGAINST)
    verify.add_argument("--profile", choices=PROFILES, default="standard", help="how many programs (default: standard)")
    verify.add_argument("--seed", type=_seed, default=0, help="what the programs are drawn from (default: 0)")
    verify.add_argument("--workers", type=_count, default=2, metavar="N", help="at most so many processes (default: 2)")
    verify.add_argument("--json", type=_file, metavar="FILE", help="write all that was found to this file, too")
    verify.add_argument(
        "--page", type=_file, metavar="FILE", help="write the page of all that was found to this file, too"
    )
    verify.add_argument("--scheduler", metavar="ADDRESS", help=_SCHEDULER)
    verify.add_argument("--failures", type=_file, metavar="FILE", default=Path(".failures"), help=_FAILURES)
    verify.set_defaults(run=_verify)
    page = commands.add_parser("page", help="verify quickly, and write the page: every number beside PyTorch's")
    where = f"where to (default: {PAGE}; of a function, beside that and under its name)"
    page.add_argument("--out", dest="page", type=_file, metavar="FILE", help=where)
    page.add_argument("--seed", type=_seed, default=0, help="what the programs are drawn from (default: 0)")
    page.add_argument("function", nargs="?", type=_function, metavar="MODULE.PY:FUNCTION", help=_FUNCTION)
    page.add_argument("--shapes", type=_shapes, metavar="SHAPES", help="of its operands, as '(3,4),(4,)'")
    page.set_defaults(
        run=_page, ops=None, engine="ndgrad", against=("torch",), profile="quick", workers=2, scheduler=None,
        json=None, failures=Path(".failures"),
    )  # fmt: skip
    faults = commands.add_parser("faults", help="plant bugs, one at a time, and see that the checks find each")
    faults.add_argument("names", nargs="*", metavar="FAULT", help="only these; by default all")
    faults.add_argument("--generic", choices=("all", "third", "none"), default="all", help=_GENERIC)
    faults.add_argument("--profile", choices=PROFILES, default="standard", help="how many cases (default: standard)")
    faults.add_argument("--seed", type=_seed, default=0, help="what the cases are drawn from (default: 0)")
    faults.add_argument("--seeds", type=_count, default=1, metavar="N", help="go through so many seeds (default: 1)")
    faults.add_argument("--workers", type=_count, default=2, metavar="N", help="at most so many processes (default: 2)")
    faults.add_argument("--compare", action="store_true", help="give the faults to the checkers of today, too")
    faults.set_defaults(run=_faults)
    repro = commands.add_parser("repro", help="replay one case, from the line that a failure prints")
    repro.add_argument("case", help="the line")
    repro.add_argument("--engine", metavar="NAME", default="ndgrad", help=_ENGINE)
    repro.add_argument("--against", type=_names, metavar="NAME[,NAME...]", default=("torch",), help=_AGAINST)
    manner = repro.add_mutually_exclusive_group()
    manner.add_argument("--python", action="store_true", help="print it as a script for both sides instead")
    manner.add_argument("--picture", type=_picture, metavar="FILE", help=f"draw it, too: {', '.join(PICTURES)}")
    repro.set_defaults(run=_repro)
    return parser


_ENGINE = "what is judged: ndgrad, torch, autograd, jax, or yours as module:name (default: ndgrad)"
_AGAINST = "what it is compared with: torch, autograd, jax, yours as module:name, or several (default: torch)"
_SCHEDULER = "run on the Dask cluster of this scheduler, as tcp://10.0.0.1:8786, in place of processes of this machine"
_FAILURES = "cases that fail are stored here, and tried first the next time (default: .failures)"
_GENERIC = "how many of those that are derived for every op; a third is chosen by their names (default: all)"
_FUNCTION = "instead: the page of this function, which takes a Value for each shape and gives a Value"


def _names(names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names.split(",")))


def _loaded(options: argparse.Namespace) -> tuple[Engine, References] | int:
    """The engine and the references; or a status where one cannot be made, which is told."""
    from reference.engines.references import ENGINES, NoEngine, References, is_installed, made, made_reference

    missing = [name for name in (options.engine, *options.against) if not is_installed(name)]
    if missing:
        needed = " and ".join(ENGINES[name][1] for name in missing)
        print(f"error: {needed} not found. Install: pip install 'ndgrad[compare]'", file=sys.stderr)
        return ENVIRONMENT
    try:
        return made(options.engine), References([made_reference(name) for name in options.against])
    except NoEngine as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE


def _function(name: str) -> tuple[Path, str]:
    path, _, function = name.rpartition(":")
    if not path.endswith(".py") or not function.isidentifier():
        raise argparse.ArgumentTypeError(f"{name!r} must name a file and a function in it, as module.py:f")
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {path!r}")
    return Path(path), function


def _shapes(written: str) -> list[tuple[int, ...]]:
    try:
        read = ast.literal_eval(written.strip())
    except (SyntaxError, ValueError):
        read = None
    shapes = [read] if isinstance(read, tuple) and all(isinstance(n, int) for n in read) else list(read or ())
    if not shapes or not all(isinstance(shape, tuple) and all(_is_length(n) for n in shape) for shape in shapes):
        raise argparse.ArgumentTypeError(f"{written!r} must be shapes, as '(3,4),(4,)'")
    return shapes


def _is_length(n: object) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0


def _count(number: str) -> int:
    wanted = f"must be a whole number from 1 to {MOST:,}"
    if not 1 <= (count := _whole(number, wanted)) <= MOST:
        raise argparse.ArgumentTypeError(f"{number!r} {wanted}")
    return count


def _seed(number: str) -> int:
    wanted = "must be a whole number from 0 on"
    if (seed := _whole(number, wanted)) < 0:
        raise argparse.ArgumentTypeError(f"{number!r} {wanted}")
    return seed


def _whole(number: str, wanted: str) -> int:
    try:
        return int(number)
    except ValueError:  # also of thousands of digits
        shown = number if len(number) <= SHOWN else f"{number[:SHOWN]}..."
        raise argparse.ArgumentTypeError(f"invalid int value: {shown!r} {wanted}") from None


def _file(name: str) -> Path:
    if not name or "\0" in name:
        raise argparse.ArgumentTypeError(f"{name!r} must be the name of a file")
    return Path(name)


def _picture(name: str) -> Path:
    path = Path(name)
    if path.suffix not in PICTURES:
        raise argparse.ArgumentTypeError(f"{name!r} must end in one of {', '.join(PICTURES)}")
    return path


def _verify(options: argparse.Namespace) -> int:
    if options.page and (options.engine, *options.against) != ("ndgrad", "torch"):
        print("error: the page shows PyTorch's numbers, so --page goes with --against torch alone", file=sys.stderr)
        return USAGE
    with options.stopping.at_once():
        from reference.commands.verify import verify

        loaded = _loaded(options)
    if isinstance(loaded, int):
        return loaded
    engine, references = loaded
    ops = _ops(options.ops, [op for op in references.ops if op in engine.ops])
    if ops is None or not _is_for_failures(options.failures):
        return USAGE
    if not all(_writable(path) for path in (options.json, options.page) if path):
        return ENVIRONMENT
    if options.scheduler and not _has_cluster():
        return ENVIRONMENT
    return verify(options, ops, options.stopping)


def _has_cluster() -> bool:
    if not _is_there("distributed"):
        print("error: distributed not found. A cluster needs: pip install 'ndgrad[cluster]'", file=sys.stderr)
        return False
    return True


def _page(options: argparse.Namespace) -> int:
    """The page of ndgrad, or of a user's function."""
    if options.page is None:
        options.page = PAGE.with_stem(options.function[1]) if options.function else PAGE
    if options.function is None and options.shapes is None:
        return _verify(options)
    if options.function is None or options.shapes is None:
        print("error: a function and the shapes of its operands go together", file=sys.stderr)
        return USAGE
    from reference.loading import NotLoaded, loaded
    from reference.report.page import Untraceable

    if not _writable(options.page):
        return ENVIRONMENT
    try:
        with loaded(*options.function) as function:
            return _page_of(function, options.function[1], options)
    except NotLoaded as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except Untraceable as error:
        print(f"error: no page can be made of {options.function[1]}: {error}", file=sys.stderr)
        return USAGE


def _page_of(function: Any, name: str, options: argparse.Namespace) -> int:
    from reference.commands.verify import train
    from reference.engines.ndgrad import NdgradEngine
    from reference.engines.torch import TorchEngine
    from reference.report import page, text

    engine, reference = NdgradEngine(), TorchEngine()
    print(text.heading(engine.name, reference.name, "quick", options.seed), flush=True)
    records = page.records_of(function, name, options.shapes, options.seed)
    for record in records:
        print(text.row(record), flush=True)
    runs: list[TrainingRecord] = []
    train(runs, engine, reference)
    made = page.page_of_function(function, name, options.shapes, records, runs, seed=options.seed)
    page.write(made, options.page)
    print(f"\n{made.agreement.last_line}\nthe page: {options.page}")
    return AGREES if made.agreement.agrees else DISAGREES


def _faults(options: argparse.Namespace) -> int:
    with options.stopping.at_once():
        from reference.commands.faults import comparable, hunted
        from reference.faults import FAULTS, GENERIC, every

    chosen = [fault.name for fault in (*FAULTS, *GENERIC[options.generic]())]
    names = _known(options.names, list(every()), "fault") if options.names else chosen
    if names is None or (options.compare and not comparable()):
        return USAGE
    return hunted(options, list(dict.fromkeys(names)), options.stopping)


def _ops(asked: str | None, known: Sequence[str]) -> Sequence[str] | None:
    """The ops asked for; None, with a word on standard error, if one is not known."""
    if asked is None:
        return list(known)
    wanted = list(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    if not wanted:
        print(f"error: --ops names no op, but is {asked!r}", file=sys.stderr)
        return None
    return _known(wanted, known, "op")


def _known(wanted: Sequence[str], known: Sequence[str], what: str) -> Sequence[str] | None:
    """What was asked for; None, with a word on standard error, if one is not known."""
    for name in wanted:
        if name not in known:
            from reference.report import text

            print(f"error: there is no {what} {name!r}; {text.nearest(name, known)}", file=sys.stderr)
            return None
    return wanted


def _writable(path: Path) -> bool:
    """Whether the file can be written, which is better known before the work than after it."""
    from ndgrad.files import check_writable

    try:
        check_writable(path)
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    return True


def _is_for_failures(path: Path) -> bool:
    """Whether failing cases can be stored in a file: it holds nothing else, or does not exist."""
    from reference.campaign import FailureStore, ForeignFileError

    try:
        FailureStore(path).cases()
    except ForeignFileError as error:
        print(f"error: {path} {error.strerror}", file=sys.stderr)
        return False
    return True


def _repro(options: argparse.Namespace) -> int:
    from reference.checks import NotACase, ProgramCase, parse_case
    from reference.program import NotAProgram

    try:
        case = parse_case(options.case)
    except (NotAProgram, NotACase) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    if not isinstance(case, ProgramCase) and (options.python or options.picture):
        print(f"error: --python and --picture are for programs, and this is of the kind {case.kind}", file=sys.stderr)
        return USAGE
    loaded = _loaded(options)
    if isinstance(loaded, int):
        return loaded
    if isinstance(case, ProgramCase):
        if _ops(",".join(step.op for step in case.program.steps), loaded[1].ops) is None:
            return USAGE
        if options.python:
            from reference.report.script import script

            print(script(case.program), end="")
            return AGREES
        if not _is_small(case.program):
            return USAGE
    return _again(case, *loaded, options.picture)


def _is_small(program: Program) -> bool:
    """Whether a program has few enough numbers to be run; else it is told."""
    from reference.sizes import TooLarge, check_sizes

    try:
        check_sizes(program)
    except TooLarge as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _again(case: Case, engine: Engine, references: References, path: Path | None) -> int:
    """Replay a case, say what came of it, and draw a program to a file if there is one."""
    from reference.campaign import Campaign
    from reference.checks import ProgramCase
    from reference.report import text
    from reference.report.picture import draw
    from reference.verdict import Result
    from reference.verdict.explanation import explain

    verdict = case.run(engine, references).verdict
    reference = references.called(verdict.reference)
    failure = Campaign(engine, references).explained(case) if verdict.result.blames else None
    program = case.program if isinstance(case, ProgramCase) else None
    if failure:
        print(text.failure(failure, engine.name, reference.name))
    elif program and verdict.result is Result.REFERENCE_WRONG:
        explanation = explain(program, verdict, known=reference.known)
        print(text.better(program, verdict, engine.name, reference.name, explanation))
    elif verdict.numbers or verdict.refused:
        print(f"{engine.name} and {reference.name}: {verdict.result} ({verdict.numbers:,} numbers)")
        if program and verdict.result is not Result.AGREES:
            print(f"  {verdict.reason}")
    else:
        print("nothing was compared")
        for side in (engine, reference):
            print(f"  {side.name} says: {side.run(program).error if program else 'nothing'}")
    origin = failure.explanation.origin if failure else None
    if path and program and not _drawn(draw(program, engine, reference, verdict.result, origin), path):
        return ENVIRONMENT
    if failure:
        return DISAGREES
    return AGREES if verdict.numbers or verdict.refused else NOTHING


def _drawn(picture: Picture, path: Path) -> bool:
    """Whether a picture, or its source where nothing draws it, could be written."""
    from reference.report.picture import write

    try:
        written, hint = write(picture, path)
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    print(f"  picture: {written}")
    if hint:
        print(hint, file=sys.stderr)
    return True


if __name__ == "__main__":
    open_streams()
    left(main())
