"""Explanations of failing cases. They are computed once per failure, and reports only print them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference.engines import Engine, Reference
from reference.engines.raised import place_raised
from reference.ops import OPS
from reference.programs import Program
from reference.verdict.cause import Mismatch, likely_cause
from reference.verdict.findings import Finding, Kind, Result, Verdict
from reference.verdict.localise import Origin
from reference.verdict.renumbering import mismatch_of, with_other_numbers

NOWHERE = Origin(None, "")
_COMPARED = (Kind.FORWARD, Kind.GRADIENT, Kind.SHAPE)  # kinds of findings that compare two arrays


@dataclass(frozen=True)
class Explanation:
    """The explanation of a failing case.

    Args:
        origin: the step that first goes wrong.
        distance: the distance of the two numbers of the gravest finding, and the allowed distance; in words if one of
            them is NaN, infinite or 0; empty if it does not compare two numbers.
        cause: the likely cause, worded as a guess; empty if the numbers suggest none.
        reason: the judge's reason, if no exact number shows it; else empty.
        convention: the convention at the kink of the op at fault, if conventions differ; else empty.
        known: known weaknesses of the reference, by op, for the ops of the program.
        raised: the line that raised the engine's error, with its file; empty if the engine raised none.
    """

    origin: Origin = NOWHERE
    distance: str = ""
    cause: str = ""
    reason: str = ""
    convention: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    raised: str = ""


def explain(
    program: Program,
    verdict: Verdict,
    origin: Origin = NOWHERE,
    known: Mapping[str, str] | None = None,
    sides: tuple[Engine, Reference] | None = None,
) -> Explanation:
    """Explain a program in which the engine or the reference fails.

    Args:
        program: the case.
        verdict: its verdict, with the gravest finding first.
        origin: the step that first goes wrong.
        known: known weaknesses of the reference, by op.
        sides: the engine and the reference, if a cause may be tried on other numbers, too.
    """
    kink = OPS[at_fault(program, origin)].kink
    ops = dict.fromkeys(step.op for step in program.steps)
    return replace(
        _of_program(program, verdict.findings[0], sides) if verdict.findings else Explanation(),
        origin=origin,
        convention=kink.convention if kink and verdict.result is Result.CONVENTION else "",
        known={op: known[op] for op in ops if op in known} if known else {},
        raised=_raised(program, sides[0]) if sides and _is_raised(verdict) else "",
    )


def explain_finding(finding: Finding, raised: str = "") -> Explanation:
    """Explain a finding of a case that is not a program, in which this line raised an error, if any did."""
    return replace(_explained(finding, Mismatch(*finding.arrays)), raised=raised)


def at_fault(program: Program, origin: Origin) -> str:
    """Return the name of the op at fault; the last op, if each step is right by itself."""
    return program.steps[-1 if origin.step is None else origin.step].op


def _is_raised(verdict: Verdict) -> bool:
    return any(finding.kind is Kind.RAISED for finding in verdict.findings[:1])


def _raised(program: Program, engine: Engine) -> str:
    """Run a program and return the line that raises."""
    place = place_raised(engine.run(program).error)
    return str(place) if place else ""


def _of_program(program: Program, finding: Finding, sides: tuple[Engine, Reference] | None) -> Explanation:
    others = with_other_numbers(program, finding, *sides) if sides and finding.kind in _COMPARED else []
    return _explained(finding, mismatch_of(program, finding), *others)


def _explained(finding: Finding, *mismatches: Mismatch) -> Explanation:
    """Explain a finding by its own numbers, and by others if there are any."""
    numeric = finding.kind in (Kind.FORWARD, Kind.GRADIENT)
    return Explanation(
        distance=_distance(finding) if numeric else "",
        cause=likely_cause(*mismatches) if finding.kind in _COMPARED else "",
        reason=finding.reason if numeric and finding.exact is None else "",
    )


def _distance(finding: Finding) -> str:
    if finding.got is None or finding.wanted is None:
        return ""
    mine, theirs = _sort(finding.got), _sort(finding.wanted)
    if mine != theirs:
        return f"the engine has {mine}, the reference {theirs}"
    return f"{finding.ulp:.2g} ULP, allowed {finding.allowed:.2g}" if math.isfinite(finding.ulp) else ""


def _sort(number: Any) -> str:
    """Describe a number between which and other sorts of numbers a distance in ULP says nothing."""
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "infinity" if number > 0 else "-infinity"
    return "a number" if number else "0"
