"""A verdict from several references: where they part, the witness decides; where it cannot, both are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference.engines import Engine, Reference
from reference.program import Program
from reference.verdict.findings import Finding, Kind, Result, Verdict
from reference.verdict.judge import judge

Opinion = tuple[Verdict, Reference]


def judge_by_all(program: Program, engine: Engine, references: Sequence[Reference]) -> Opinion:
    """Judge a program by each reference; give the gravest verdict, and whose it is.

    Args:
        program: the case.
        engine: what is judged.
        references: those that know all its ops, at least one.
    """
    opinions = [(judge(program, engine, reference), reference) for reference in references]
    for_it = [reference.name for verdict, reference in opinions if not verdict.result.blames]
    settled = [(_undecided(verdict, reference, for_it), reference) for verdict, reference in opinions]
    verdict, reference = max(settled, key=lambda opinion: opinion[0].result.gravity)
    numbers = max(verdict.numbers for verdict, _ in opinions)
    witnessed = any(verdict.witnessed for verdict, _ in opinions)
    return replace(verdict, numbers=numbers, witnessed=witnessed), reference


def _undecided(verdict: Verdict, reference: Reference, for_it: Sequence[str]) -> Verdict:
    """What one reference has against the engine is undecided, if another bears it out and no exact number tells."""
    if not (verdict.result.blames and for_it) or any(map(_is_told, verdict.findings)):
        return verdict
    says = f"{reference.name} and {' and '.join(for_it)} part, and no exact number tells"
    findings = tuple(replace(f, says=f.says or says, result=Result.INCONCLUSIVE) for f in verdict.findings)
    return replace(verdict, result=Result.INCONCLUSIVE, findings=findings)


def _is_told(finding: Finding) -> bool:
    """Whether it is certain, whatever references say: by an exact number, or as no number is in question."""
    return finding.exact is not None or finding.kind not in (Kind.FORWARD, Kind.GRADIENT, Kind.CONVENTION)
