"""`repro`: replays one case from the line that a failure prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ndgrad.graph import Picture
from reference.campaign import Campaign
from reference.checks import Case, NotACase, ProgramCase, parse_case
from reference.commands.status import AGREES, DISAGREES, ENVIRONMENT, NOTHING, USAGE
from reference.commands.validation import load_sides, select_ops
from reference.engines import Engine
from reference.engines.references import References
from reference.engines.torch.sizes import TooLarge, check_sizes
from reference.programs import NotAProgram, Program
from reference.report import text
from reference.report.picture import draw, write
from reference.report.script import script
from reference.verdict import Result
from reference.verdict.explanation import explain


def run(options: argparse.Namespace) -> int:
    """Replay the case or print its script, and return the status."""
    try:
        case = parse_case(options.case)
    except (NotAProgram, NotACase) as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    if not isinstance(case, ProgramCase) and (options.python or options.picture):
        print(
            f"error: --python and --picture are for programs, but this case is of the kind {case.kind}", file=sys.stderr
        )
        return USAGE
    sides = load_sides(options)
    if isinstance(sides, int):
        return sides
    if isinstance(case, ProgramCase):
        if select_ops(",".join(step.op for step in case.program.steps), sides[1].ops) is None:
            return USAGE
        if options.python:
            print(script(case.program), end="")
            return AGREES
        if not _is_small(case.program):
            return USAGE
    return _replay(case, *sides, options)


def _is_small(program: Program) -> bool:
    """Whether a program is small enough to run; if not, print an error."""
    try:
        check_sizes(program)
    except TooLarge as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _replay(case: Case, engine: Engine, references: References, options: argparse.Namespace) -> int:
    """Replay a case and print the result; if a picture is asked for, draw the program to its file.

    A program is reported as it was given. A failing case of another kind is shrunk first, since a line with its number
    alone has not been shrunk yet.
    """
    references = references.auditing_all()
    trial, campaign = case.run(engine, references), Campaign(engine, references)
    verdict, reference = trial.verdict, references.by_name(trial.verdict.reference)
    program = case.program if isinstance(case, ProgramCase) else None
    failure = None
    if verdict.result.blames:
        failure = campaign.explained(trial if program else campaign.smallest(trial))
    if failure:
        print(text.failure(failure, engine.name, reference.name, options.engine))
    elif program and verdict.result.accuses:
        explanation = explain(program, verdict, known=reference.known)
        print(text.reference_failure(program, verdict, engine.name, reference.name, explanation))
    elif verdict.numbers or verdict.refused:
        print(f"{engine.name} and {reference.name}: {verdict.result} ({verdict.numbers:,} numbers)")
        if program and verdict.result is not Result.AGREES:
            print(f"  {verdict.reason}")
    else:
        print("nothing was compared")
        for side in (engine, reference):
            print(f"  {side.name} says: {side.run(program).error if program else 'nothing'}")
    origin = failure.explanation.origin if failure else None
    if options.picture and program:
        picture = draw(program, engine, reference, verdict.result, origin)
        if not _write_picture(picture, options.picture):
            return ENVIRONMENT
    if failure:
        return DISAGREES
    return AGREES if verdict.numbers or verdict.refused else NOTHING


def _write_picture(picture: Picture, path: Path) -> bool:
    """Write a picture, or its source if nothing can draw it. Return whether that succeeded."""
    try:
        written, hint = write(picture, path)
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror}", file=sys.stderr)
        return False
    print(f"  picture: {written}")
    if hint:
        print(hint, file=sys.stderr)
    return True
