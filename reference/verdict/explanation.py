"""Why a case fails, as far as it is known: made once, when a failure is looked into. Reports only put it into words."""

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
    """Why a case fails.

    Args:
        origin: where in the program it first goes wrong.
        distance: how far the two numbers of the gravest finding are apart, and how far they may be; empty where it is
            no matter of two numbers.
        cause: what the numbers suggest; a guess, and worded as one. Empty where they suggest nothing.
        reason: why the judge decided so, where no exact number shows it; else empty.
        convention: which slope is taken at the kink of the op at fault, where conventions differ; else empty.
        known: where the reference is known to be poor, by op, for the ops of the program.
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
    """Explain a program that fails, or in which the reference does.

    Args:
        program: the case.
        verdict: what is wrong, the gravest first.
        origin: where it first goes wrong.
        known: what the reference is known to be poor at, by op.
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
    """Explain a finding of a case that is no program.

    Args:
        finding: what is wrong.
    """
    return _of(finding, {})


def at_fault(program: Program, origin: Origin) -> str:
    """Name the op that is at fault: the last one, where none is by itself.

    Args:
        program: the case.
        origin: where it first goes wrong.
    """
    return program.steps[-1 if origin.step is None else origin.step].op


def _of(finding: Finding, factors: Mapping[str, np.ndarray]) -> Explanation:
    """What a finding's own numbers tell."""
    numeric = finding.kind in (Kind.FORWARD, Kind.GRADIENT)
    return Explanation(
        distance=_distance(finding) if numeric else "",
        cause=likely_cause(*finding.arrays, factors) if numeric or finding.kind is Kind.SHAPE else "",
        reason=finding.reason if numeric and finding.exact is None else "",
    )


def _factors(program: Program) -> dict[str, np.ndarray]:
    """What may have been lost as a factor: operands, and the cotangent."""
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
