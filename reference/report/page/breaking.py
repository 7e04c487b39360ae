"""The third panel: bugs planted in ndgrad, their effects, and how the harness finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from reference.campaign import Campaign, Profile
from reference.checks import EXPRESSIONS, ProgramCase
from reference.engines import Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine
from reference.mutation import FAULTS, Fault
from reference.programs import LEAF, Operand, Program, Step, parse
from reference.report import text
from reference.report.page.comparing import draw_comparison
from reference.report.page.lessons import LESSONS

CASES = 650  # the most cases of a check, as in the standard profile
DEPTHS = (10, 100, 1_000, 10_000)
_PROGRAMS = {lesson.name: lesson.program for lesson in LESSONS}


@dataclass(frozen=True)
class Break:
    """A bug to show.

    Args:
        name: its name in links.
        title: its title for readers.
        fault: the planted fault's name.
        words: what is wrong, and the effect.
        right: the idea in code.
        wrong: the same with the bug.
        program: a program that shows it; None if only depth shows it.
        check: the check that is run until it fails: an op's programs, or sessions.
    """

    name: str
    title: str
    fault: str
    words: str
    right: str
    wrong: str
    program: Program | None
    check: str


# fmt: off
BREAKS = (
    Break("unbroadcast", "broadcasting is not undone", "b001-engine",
          "x has one column and is used for each of three columns. Its gradient must be summed over those uses. Here it is not, "
          "and has three columns: more numbers than x.",
          "x.grad += (g * y).sum(axis=1, keepdims=True)", "x.grad += g * y",
          _PROGRAMS["broadcast"], "multiply"),
    Break("assign", "= in place of +=", "b035-engine",
          "a is used twice and gets two contributions. Here the second replaces the first.",
          "a.grad += contribution", "a.grad = contribution",
          _PROGRAMS["reused"], "add"),
    Break("recursion", "a naive recursion", "b019-engine",
          "The walk is a function that calls itself for each operand. That is right for every small graph, "
          "but fails for a deep one, such as a loop of a thousand steps makes.",
          "for node in reversed(order): ...", "def visit(node): ... visit(operand)",
          None, "sessions"),
    Break("buffer", "a shared buffer", "pass-others-written",
          "An addition passes the same array to both operands. Here the engine adds the next contribution to x into that array, in place: "
          "y gets no further contribution, but its gradient changes.",
          "x.grad = x.grad + contribution", "x.grad += contribution  # the array is y's as well",
          parse("x=f8([1.0,2.0]); y=f8([3.0,4.0]); z=f8([5.0,6.0]); a=multiply(x,z); b=add(x,y); c=add(a,b); back(c,f8([1.0,2.0]))"),
          EXPRESSIONS),
    Break("factor", "a factor lost", "tanh-square-lost",
          "The slope of tanh is 1 − tanh². Here the square is forgotten. If tanh is 0, 1 or −1, nobody would notice.",
          "g * (1 - y * y)", "g * (1 - abs(y))",
          _PROGRAMS["neuron"], "tanh"),
)
# fmt: on


@dataclass(frozen=True)
class Depth:
    """The result of a chain of so many ops: with the bug, without it, and in PyTorch."""

    ops: int
    broken: str
    mine: str
    theirs: str


@dataclass(frozen=True)
class BreakResult:
    """The effects of a bug.

    Args:
        shown: the bug.
        fault: the planted fault.
        picture: the program with both sides' numbers; empty if only depth shows the bug.
        first: where it first goes wrong, in words.
        depths: chains, if only depth shows the bug.
        cases: how many cases of the check it took.
        case: the harness's output.
    """

    shown: Break
    fault: Fault
    picture: Markup
    first: str
    depths: Sequence[Depth]
    cases: int
    case: str


def record_breaks(breaks: Sequence[Break] = BREAKS) -> list[BreakResult]:
    """Plant each bug and record its effects."""
    return [_broken(shown) for shown in breaks]


def _broken(shown: Break) -> BreakResult:
    fault = next(fault for fault in FAULTS if fault.name == shown.fault)
    picture, first = _draw(shown, fault)
    cases, case = _caught(shown, fault)
    depths = list(_depths(fault)) if shown.program is None else []
    return BreakResult(shown, fault, picture, first, depths, cases, case)


def _draw(shown: Break, fault: Fault) -> tuple[Markup, str]:
    """Draw the program with both sides' numbers, and say where it first goes wrong."""
    if shown.program is None:
        return Markup(""), "Every number is right, up to a depth at which an error is raised."
    engine, reference = NdgradEngine(), TorchEngine()
    with fault.plant():
        mine = engine.run(shown.program)
        trial = ProgramCase(shown.program).run(engine, References([reference]))
        origin = Campaign(engine, reference).explained(trial).explanation.origin
    theirs = reference.run(shown.program, inner=True)
    names = shown.program.names[len(shown.program.operands) :]
    where = "" if origin.step is None else f"in {names[origin.step]}: "
    return draw_comparison(f"break-{shown.name}", shown.program, mine, theirs, origin), f"{where}{origin.says}"


def _caught(shown: Break, fault: Fault) -> tuple[int, str]:
    """Run the check until a case fails; return the number of cases, and the shrunk failure as the harness prints it."""
    engine, reference = NdgradEngine(), TorchEngine()
    ops, profile = _campaign(shown.check, reference.ops)
    with fault.plant():
        record = next(r for r in Campaign(engine, reference, ops).run(profile) if r.programs)
    if not record.failures:
        return record.programs, ""
    return record.programs, text.failure(record.failures[0], engine.name, reference.name)


def _campaign(check: str, known: Sequence[str]) -> tuple[Sequence[str], Profile]:
    """Return the ops and the profile of a campaign that runs only this check."""
    if check == EXPRESSIONS:
        return known, Profile(0, CASES)
    return ([check], Profile(CASES, 0)) if check in known else ([], Profile(0, 0, {check: CASES}))


def _depths(fault: Fault) -> Iterator[Depth]:
    for ops in DEPTHS:
        chain = _chain(ops)
        with fault.plant():
            broken = _outcome_text(NdgradEngine().run(chain))
        yield Depth(ops, broken, _outcome_text(NdgradEngine().run(chain)), _outcome_text(TorchEngine().run(chain)))


def _chain(ops: int) -> Program:
    """Make the program x + y + y + ... + y."""
    operands = (Operand("x", np.asarray(1.0), LEAF), Operand("y", np.asarray(0.5), LEAF))
    steps = (Step("add", (0, 1)), *(Step("add", (1 + k, 1)) for k in range(1, ops)))
    return Program(operands, steps, np.asarray(1.0))


def _outcome_text(outcome: Outcome) -> str:
    """Return the gradient of y, which is the number of ops, or the error."""
    return type(outcome.error).__name__ if outcome.error else f"{float(outcome.gradients[1]):,.0f}"
