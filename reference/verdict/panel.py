"""A verdict from several references: where they part, the witness decides; where it cannot, both are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference.engines import Engine, Reference
from reference.programs import Program
from reference.verdict.bench import Bench, bench
from reference.verdict.findings import Verdict
from reference.verdict.judge import judge
from reference.verdict.table import JUDGES, Judge, Stage

Held = tuple[Verdict, Reference]


def judge_by_all(
    program: Program, engine: Engine, references: Sequence[Reference], *, judges: Sequence[Judge] = JUDGES
) -> Held:
    """Judge a program by each reference; give the gravest verdict, and whose it is.

    Args:
        program: the case.
        engine: what is judged.
        references: those that know all its ops, at least one.
        judges: who is asked, in order.
    """
    each = [(judge(program, engine, reference, judges=judges), reference) for reference in references]
    others = [reference.name for verdict, reference in each if not verdict.result.blames]
    settled = [(_settled(verdict, others, bench(judges)), reference) for verdict, reference in each]
    verdict, reference = max(settled, key=lambda held: held[0].result.gravity)
    numbers = max(verdict.numbers for verdict, _ in each)
    witnessed = any(verdict.witnessed for verdict, _ in each)
    return replace(verdict, numbers=numbers, witnessed=witnessed), reference


def _settled(verdict: Verdict, others: Sequence[str], seated: Bench) -> Verdict:
    """What one reference has against the engine, when those that have nothing are known."""
    ruling = seated.first(Stage.PANEL, verdict, others)
    if ruling is None:
        return verdict
    findings = tuple(replace(ruling.signed(f), says=f.says or ruling.reason) for f in verdict.findings)
    result, name, reason = ruling.opinion.result, ruling.judge.name, ruling.reason
    return replace(verdict, result=result, findings=findings, judge=name, reason=reason)
