"""Explanations of failing cases. They are computed once per failure, and reports only print them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from reference.ops import OPS
from reference.programs import Program
from reference.verdict.cause import likely_cause
from reference.verdict.findings import Finding, Kind, Result, Verdict
from reference.verdict.localise import Origin

NOWHERE = Origin(None, "")


@dataclass(frozen=True)
class Explanation:
    """The explanation of a failing case.

    Args:
        origin: the step that first goes wrong.
        distance: the distance of the two numbers of the gravest finding, and the allowed distance; empty if it does not
            compare two numbers.
        cause: the likely cause, worded as a guess; empty if the numbers suggest none.
        reason: the judge's reason, if no exact number shows it; else empty.
        convention: the convention at the kink of the op at fault, if conventions differ; else empty.
        known: known weaknesses of the reference, by op, for the ops of the program.
    """

    origin: Origin = NOWHERE
    distance: str = ""
    cause: str = ""
    reason: str = ""
    convention: str = ""
    known: Mapping[str, str] = field(default_factory=dict)


def explain(
    program: Program, verdict: Verdict, origin: Origin = NOWHERE, known: Mapping[str, str] | None = None
) -> Explanation:
    """Explain a program in which the engine or the reference fails.

    Args:
        program: the case.
        verdict: its verdict, with the gravest finding first.
        origin: the step that first goes wrong.
        known: known weaknesses of the reference, by op.
    """
    kink = OPS[at_fault(program, origin)].kink
    ops = dict.fromkeys(step.op for step in program.steps)
    return replace(
        _of(verdict.findings[0], _factors(program)) if verdict.findings else Explanation(),
        origin=origin,
        convention=kink.convention if kink and verdict.result is Result.CONVENTION else "",
        known={op: known[op] for op in ops if op in known} if known else {},
    )


def explain_finding(finding: Finding) -> Explanation:
    """Explain a finding of a case that is not a program."""
    return _of(finding, {})


def at_fault(program: Program, origin: Origin) -> str:
    """Return the name of the op at fault; the last op, if each step is right by itself."""
    return program.steps[-1 if origin.step is None else origin.step].op


def _of(finding: Finding, factors: Mapping[str, np.ndarray]) -> Explanation:
    """Explain a finding by its own numbers."""
    numeric = finding.kind in (Kind.FORWARD, Kind.GRADIENT)
    return Explanation(
        distance=_distance(finding) if numeric else "",
        cause=likely_cause(*finding.arrays, factors) if numeric or finding.kind is Kind.SHAPE else "",
        reason=finding.reason if numeric and finding.exact is None else "",
    )


def _factors(program: Program) -> dict[str, np.ndarray]:
    """Return possible lost factors: the operands and the cotangent."""
    factors = {o.name: np.asarray(o.data, float) for o in program.operands}
    return factors if program.cotangent is None else {**factors, "the cotangent": np.asarray(program.cotangent, float)}


def _distance(finding: Finding) -> str:
    if math.isinf(finding.ulp):
        sides = [np.asarray(side) for side in (finding.got, finding.wanted)]
        for what, holds in (("NaN", np.isnan), ("infinite", np.isinf)):
            if sum(bool(holds(side)) for side in sides) == 1:
                return f"one side is {what}, the other is not"
        return f"infinitely many ULP, allowed {finding.allowed:.2g}"
    return f"{finding.ulp:.2g} ULP, allowed {finding.allowed:.2g}"
