"""The page of a user's own function: judged, stepped through, broken and explored like everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from reference.campaign import PROFILES, Campaign, Record
from reference.checks import ProgramCase
from reference.checks.training import TrainingRecord
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import FAULTS, Fault
from reference.programs import LEAF, Program
from reference.report.page.agreeing import agreement
from reference.report.page.bits import measured
from reference.report.page.breaking import BREAKS, Break, broken
from reference.report.page.exploring import CURVES, Curve, explored
from reference.report.page.learning import learned
from reference.report.page.lessons import LESSONS, Lesson
from reference.report.page.loading import Function
from reference.report.page.render import Page
from reference.report.page.stepping import walks
from reference.report.page.tracing import traced
from reference.report.page.walking import rule
from reference.verdict import judge

TRIED = 100  # sets of random operands
PLAIN = 0.01  # by which a number is off, relatively, when a reader sees it in a picture
AROUND = 2.5  # how far x goes on either side of the operand's own number


def records_of(function: Function, name: str, shapes: Sequence[tuple[int, ...]], seed: int) -> list[Record]:
    """Judge a function on random operands, and the ops that it is made of on random programs.

    Raises:
        Untraceable: no program can be made of it.
    """
    campaign = Campaign(NdgradEngine(), TorchEngine(), ops_of(traced(function, shapes, seed)), seed)
    return [_judged(function, name, shapes, campaign), *campaign.run(replace(PROFILES["quick"], checks={}))]


def _judged(function: Function, name: str, shapes: Sequence[tuple[int, ...]], campaign: Campaign) -> Record:
    record = Record(name)
    for number in range(TRIED):
        program = traced(function, shapes, campaign.seed + number)
        trial = ProgramCase(program).run(campaign.engine, campaign.references)
        record.add(trial.verdict)
        if trial.verdict.result.blames:
            record.failures.append(campaign.explained(trial))
            break
    return record


def ops_of(program: Program) -> list[str]:
    """The ops of a program, each once."""
    return list(dict.fromkeys(step.op for step in program.steps))


def page_of_function(
    function: Function,
    name: str,
    shapes: Sequence[tuple[int, ...]],
    records: Sequence[Record],
    runs: Sequence[TrainingRecord],
    *,
    seed: int,
) -> Page:
    """Put the page of a function together.

    Args:
        function: takes a Value for each shape, and gives a Value.
        name: what the page calls it.
        shapes: of its operands.
        records: what `records_of` found.
        runs: training runs, which every page shows.
        seed: what operands are drawn from.
    """
    program = traced(function, shapes, seed)
    found = agreement(records, runs, ops_of(program), profile="quick", seed=seed)
    words = "The function that this page is about, at short random numbers; random numbers arrive at its result, too."
    lessons = (Lesson("function", name, words, program), *LESSONS)
    breaks = (*_breaks(name, program), *BREAKS)
    curves = (*_curves(name, program), *CURVES)
    return Page(name, found, walks(lessons), broken(breaks), explored(curves), learned(runs, ()), measured())


def _breaks(name: str, program: Program) -> Iterator[Break]:
    """The first of the planted faults that shows in the function."""
    fault = next((fault for fault in FAULTS if _shows(fault, program)), None)
    if fault:
        op = next(op for op in ops_of(program) if op in fault.rows)
        words = f"One of the bugs that were planted shows in {name}: {fault.what}."
        yield Break("function", f"a bug in {name}", fault.name, words, f"{op}: {rule(op, 0)}", fault.what, program, op)


def _shows(fault: Fault, program: Program) -> bool:
    """Whether a number goes wrong by so much that it is seen."""
    if not set(fault.rows) & set(ops_of(program)):
        return False
    with fault.plant():
        findings = judge(program, NdgradEngine(), TorchEngine(), patient=False).findings
    return any(f.got is not None and not np.allclose(f.got, f.wanted, rtol=PLAIN, atol=0) for f in findings)


def _curves(name: str, program: Program) -> Iterator[Curve]:
    """The function along the first number of each of its operands."""
    for leaf, operand in enumerate(program.operands):
        if operand.kind == LEAF and operand.data.size:
            place = (0,) * operand.data.ndim
            at = f"{operand.name}{list(place)}" if place else operand.name
            x = float(operand.data[place])
            words = f"{name} while x stands for {at} and all else stays; what arrives at the result weighs it."
            yield Curve(f"function-{leaf}", f"{name} along {at}", words, program, x - AROUND, x + AROUND, leaf, place)
