"""The third panel: a bug is planted in ndgrad; what goes wrong and where, and how the harness finds it, is recorded."""

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
from reference.report.page.comparing import compared
from reference.report.page.lessons import LESSONS

CASES = 650  # of a check, at most: as many as in the standard profile
DEPTHS = (10, 100, 1_000, 10_000)
_PROGRAMS = {lesson.name: lesson.program for lesson in LESSONS}


@dataclass(frozen=True)
class Break:
    """A bug to be shown.

    Args:
        name: what links call it.
        title: what readers do.
        fault: the planted fault's name.
        words: what is wrong, and what comes of it.
        right: the idea, as one would write it.
        wrong: the same with the bug.
        program: where it shows; None where only depth shows it.
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
          "x has one column and is used once for each of three. Its gradient must be added up over those uses. Here it is not, "
          "and comes out with three columns: more numbers than x has.",
          "x.grad += (g * y).sum(axis=1, keepdims=True)", "x.grad += g * y",
          _PROGRAMS["broadcast"], "multiply"),
    Break("assign", "= in place of +=", "b035-engine",
          "a is used twice. Of the two contributions that come back to it, the second replaces the first.",
          "a.grad += contribution", "a.grad = contribution",
          _PROGRAMS["reused"], "add"),
    Break("recursion", "a naive recursion", "b019-engine",
          "The walk is a function that calls itself for each operand. That is right for every small graph, "
          "and ends with an error for a deep one, such as a loop of a thousand steps makes.",
          "for node in reversed(order): ...", "def visit(node): ... visit(operand)",
          None, "sessions"),
    Break("buffer", "a shared buffer", "pass-others-written",
          "An addition passes the same array to both its operands. Here the engine adds what x gets next into that array, in place: "
          "y is never touched, and its gradient changes all the same.",
          "x.grad = x.grad + contribution", "x.grad += contribution  # the array is y's as well",
          parse("x=f8([1.0,2.0]); y=f8([3.0,4.0]); z=f8([5.0,6.0]); a=multiply(x,z); b=add(x,y); c=add(a,b); back(c,f8([1.0,2.0]))"),
          EXPRESSIONS),
    Break("factor", "a factor lost", "tanh-square-lost",
          "The slope of tanh is 1 − tanh². Here the square is forgotten. Where tanh is 0, 1 or −1 nobody would notice.",
          "g * (1 - y * y)", "g * (1 - abs(y))",
          _PROGRAMS["neuron"], "tanh"),
)
# fmt: on


@dataclass(frozen=True)
class Depth:
    """What becomes of a chain of so many ops: with the bug, without it, and in PyTorch."""

    ops: int
    broken: str
    mine: str
    theirs: str


@dataclass(frozen=True)
class Broken:
    """What came of a bug.

    Args:
        shown: the bug.
        fault: what is planted.
        picture: the program, with both sides' numbers; empty where only depth shows it.
        first: where the first number goes wrong, in words.
        depths: chains, where only depth shows it.
        cases: how many cases of the check it took.
        case: what the harness prints.
    """

    shown: Break
    fault: Fault
    picture: Markup
    first: str
    depths: Sequence[Depth]
    cases: int
    case: str


def broken(breaks: Sequence[Break] = BREAKS) -> list[Broken]:
    """Plant each bug, and record what comes of it."""
    return [_broken(shown) for shown in breaks]


def _broken(shown: Break) -> Broken:
    fault = next(fault for fault in FAULTS if fault.name == shown.fault)
    picture, first = _drawn(shown, fault)
    cases, case = _caught(shown, fault)
    depths = list(_depths(fault)) if shown.program is None else []
    return Broken(shown, fault, picture, first, depths, cases, case)


def _drawn(shown: Break, fault: Fault) -> tuple[Markup, str]:
    """The program with both sides' numbers, and where it first goes wrong."""
    if shown.program is None:
        return Markup(""), "Every number is right, up to a depth at which there is none."
    engine, reference = NdgradEngine(), TorchEngine()
    with fault.plant():
        mine = engine.run(shown.program)
        trial = ProgramCase(shown.program).run(engine, References([reference]))
        origin = Campaign(engine, reference).explained(trial).explanation.origin
    theirs = reference.run(shown.program, inner=True)
    names = shown.program.names[len(shown.program.operands) :]
    where = "" if origin.step is None else f"in {names[origin.step]}: "
    return compared(f"break-{shown.name}", shown.program, mine, theirs, origin), f"{where}{origin.says}"


def _caught(shown: Break, fault: Fault) -> tuple[int, str]:
    """How many cases of the check it takes until one fails, and what the harness then prints: the smallest such."""
    engine, reference = NdgradEngine(), TorchEngine()
    ops, profile = _campaign(shown.check, reference.ops)
    with fault.plant():
        record = next(r for r in Campaign(engine, reference, ops).run(profile) if r.programs)
    if not record.failures:
        return record.programs, ""
    return record.programs, text.failure(record.failures[0], engine.name, reference.name)


def _campaign(check: str, known: Sequence[str]) -> tuple[Sequence[str], Profile]:
    """What programs are made of, and how many there are, so that there is this check alone."""
    if check == EXPRESSIONS:
        return known, Profile(0, CASES)
    return ([check], Profile(CASES, 0)) if check in known else ([], Profile(0, 0, {check: CASES}))


def _depths(fault: Fault) -> Iterator[Depth]:
    for ops in DEPTHS:
        chain = _chain(ops)
        with fault.plant():
            told = _told(NdgradEngine().run(chain))
        yield Depth(ops, told, _told(NdgradEngine().run(chain)), _told(TorchEngine().run(chain)))


def _chain(ops: int) -> Program:
    """The program x + y, plus y, plus y, and so on."""
    operands = (Operand("x", np.asarray(1.0), LEAF), Operand("y", np.asarray(0.5), LEAF))
    steps = (Step("add", (0, 1)), *(Step("add", (1 + k, 1)) for k in range(1, ops)))
    return Program(operands, steps, np.asarray(1.0))


def _told(outcome: Outcome) -> str:
    """The gradient of y, which is the number of ops; or the error."""
    return type(outcome.error).__name__ if outcome.error else f"{float(outcome.gradients[1]):,.0f}"
