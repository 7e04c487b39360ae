"""The page of a user's function, with the same panels as the page of ndgrad."""

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
from reference.report.page.breaking import BREAKS, Break, record_breaks
from reference.report.page.exploring import CURVES, Curve, record_curves
from reference.report.page.learning import training_panel
from reference.report.page.lessons import LESSONS, Lesson
from reference.report.page.loading import Function
from reference.report.page.render import Page
from reference.report.page.rounding import measure_rounding
from reference.report.page.stepping import walks
from reference.report.page.tracing import trace_function
from reference.report.page.walking import rule
from reference.verdict import judge

TRIED = 100  # sets of random operands
PLAIN = 0.01  # the relative difference that a reader can see in a picture
AROUND = 2.5  # the range of x on either side of the operand's own number


def records_of(function: Function, name: str, shapes: Sequence[tuple[int, ...]], seed: int) -> list[Record]:
    """Judge a function on random operands, and its ops on random programs.

    Raises:
        Untraceable: the function cannot be turned into a program.
    """
    campaign = Campaign(NdgradEngine(), TorchEngine(), ops_of(trace_function(function, shapes, seed)), seed)
    return [_judged(function, name, shapes, campaign), *campaign.run(replace(PROFILES["quick"], checks={}))]


def _judged(function: Function, name: str, shapes: Sequence[tuple[int, ...]], campaign: Campaign) -> Record:
    record = Record(name)
    for number in range(TRIED):
        program = trace_function(function, shapes, campaign.seed + number)
        trial = ProgramCase(program).run(campaign.engine, campaign.references)
        record.add(trial.verdict)
        if trial.verdict.result.blames:
            record.failures.append(campaign.explained(trial))
            break
    return record


def ops_of(program: Program) -> list[str]:
    """Return the ops of a program, each once."""
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
    """Make the page of a function.

    Args:
        function: takes a Value for each shape, and returns a Value.
        name: its name on the page.
        shapes: the shapes of its operands.
        records: the results of `records_of`.
        runs: the training runs, which every page shows.
        seed: the seed of the operands.
    """
    program = trace_function(function, shapes, seed)
    verdict = agreement(records, runs, ops_of(program), profile="quick", seed=seed)
    words = "The function of this page, at short random numbers, with a random cotangent."
    lessons = (Lesson("function", name, words, program), *LESSONS)
    breaks = (*_breaks(name, program), *BREAKS)
    curves = (*_curves(name, program), *CURVES)
    return Page(
        name,
        verdict,
        walks(lessons),
        record_breaks(breaks),
        record_curves(curves),
        training_panel(runs, ()),
        measure_rounding(),
    )


def _breaks(name: str, program: Program) -> Iterator[Break]:
    """Yield the first planted fault that shows in the function."""
    fault = next((fault for fault in FAULTS if _shows(fault, program)), None)
    if fault:
        op = next(op for op in ops_of(program) if op in fault.rows)
        words = f"One of the planted bugs shows in {name}: {fault.what}."
        yield Break("function", f"a bug in {name}", fault.name, words, f"{op}: {rule(op, 0)}", fault.what, program, op)


def _shows(fault: Fault, program: Program) -> bool:
    """Whether a fault changes a number visibly."""
    if not set(fault.rows) & set(ops_of(program)):
        return False
    with fault.plant():
        findings = judge(program, NdgradEngine(), TorchEngine(), patient=False).findings
    return any(f.got is not None and not np.allclose(f.got, f.wanted, rtol=PLAIN, atol=0) for f in findings)


def _curves(name: str, program: Program) -> Iterator[Curve]:
    """Yield the function along the first number of each operand."""
    for leaf, operand in enumerate(program.operands):
        if operand.kind == LEAF and operand.data.size:
            place = (0,) * operand.data.ndim
            at = f"{operand.name}{list(place)}" if place else operand.name
            x = float(operand.data[place])
            words = f"{name} as a function of {at} alone, weighted by the cotangent."
            yield Curve(f"function-{leaf}", f"{name} along {at}", words, program, x - AROUND, x + AROUND, leaf, place)
