"""Entry points of the verdict: judge a program, or compare two outcomes without a witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference.engines import Engine, Reference
from reference.engines.references import EVERY, Scrutiny
from reference.programs import Program
from reference.verdict.bench import bench, summarize
from reference.verdict.comparison import Comparison
from reference.verdict.findings import Part, Verdict
from reference.verdict.rounding import Rerun
from reference.verdict.table import JUDGES, Judge


def judge(
    program: Program,
    engine: Engine,
    reference: Reference,
    *,
    repeat: bool = True,
    patient: bool = True,
    scrutiny: Scrutiny = EVERY,
    judges: Sequence[Judge] = JUDGES,
) -> Verdict:
    """Run a program in an engine and in a reference, and judge the engine's outcome.

    Args:
        program: the case.
        engine: the engine to be judged.
        reference: the reference.
        repeat: whether the engine runs twice, to check that both runs are equal to the bit.
        patient: whether to continue if rounding does not explain a difference. Without it the verdict is quick and may
            be wrong: the shrinker uses it to try smaller programs.
        scrutiny: how closely the engine is looked at; by default each program is audited.
        judges: the judges, in order.
    """
    verdict = bench(judges).verdict(program, engine, reference, repeat=repeat, patient=patient, scrutiny=scrutiny)
    return replace(verdict, reference=reference.name)


def compare(
    got: Sequence[Part], wanted: Sequence[Part], rerun: Rerun, *, single: bool = False, seed: int = 0
) -> Verdict:
    """Compare two outcomes part by part, without a witness.

    Args:
        got: the engine's parts.
        wanted: the reference's parts, in the same order.
        rerun: runs the reference again, disturbed or in another precision, and returns its parts.
        single: whether some of the computation is in single precision, whose rounding then counts.
        seed: the seed of the disturbances.
    """
    found = bench(JUDGES).examine(Comparison(got, wanted, rerun, single=single, seed=seed, scale=1.0))
    return summarize(found, [*found.findings, *found.accusations()])
