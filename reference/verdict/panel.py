"""A verdict from several references. If they disagree, the witness decides; if it cannot, the verdict names both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference.engines import Engine, Reference
from reference.engines.references import EVERY, Scrutiny
from reference.programs import Program
from reference.verdict.bench import Bench, bench
from reference.verdict.findings import Verdict
from reference.verdict.judge import judge
from reference.verdict.table import JUDGES, Judge, Stage

By = tuple[Verdict, Reference]


def judge_by_all(
    program: Program,
    engine: Engine,
    references: Sequence[Reference],
    *,
    scrutiny: Scrutiny = EVERY,
    judges: Sequence[Judge] = JUDGES,
) -> By:
    """Judge a program against each reference; return the gravest verdict and its reference.

    Args:
        program: the case.
        engine: the engine to be judged.
        references: at least one; each supports all ops of the program.
        scrutiny: how closely the engine is looked at.
        judges: the judges, in order.
    """
    closely = [scrutiny] + [replace(scrutiny, audited=0)] * (len(references) - 1)  # one audit is enough
    each = [
        (judge(program, engine, reference, scrutiny=how, judges=judges), reference)
        for reference, how in zip(references, closely, strict=True)
    ]
    others = [reference.name for verdict, reference in each if not verdict.result.blames]
    final = [(_with_others(verdict, others, bench(judges)), reference) for verdict, reference in each]
    verdict, reference = max(final, key=lambda by: by[0].result.gravity)
    numbers = max(verdict.numbers for verdict, _ in each)
    witnessed = any(verdict.witnessed for verdict, _ in each)
    audited = max(verdict.audited for verdict, _ in each)
    return replace(verdict, numbers=numbers, witnessed=witnessed, audited=audited), reference


def _with_others(verdict: Verdict, others: Sequence[str], judges: Bench) -> Verdict:
    """Revise one reference's verdict, given the names of references that do not blame the engine."""
    ruling = judges.first(Stage.PANEL, verdict, others)
    if ruling is None:
        return verdict
    findings = tuple(replace(ruling.signed(f), says=f.says or ruling.reason) for f in verdict.findings)
    result, name, reason = ruling.opinion.result, ruling.judge.name, ruling.reason
    return replace(verdict, result=result, findings=findings, judge=name, reason=reason)
