"""Judges a program, or two outcomes of which no witness can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference.engines import Engine, Reference
from reference.programs import Program
from reference.verdict.bench import bench, summed
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
    judges: Sequence[Judge] = JUDGES,
) -> Verdict:
    """Run a program in both, and say what came of it.

    Args:
        program: the case.
        engine: what is judged.
        reference: what is believed.
        repeat: whether the engine runs twice, to see that it answers the same to the bit.
        patient: whether to go on where rounding does not explain a difference. A verdict without it may be wrong, and
            is quick: it serves to try what a wrong program could be reduced to.
        judges: who is asked, in order.
    """
    verdict = bench(judges).verdict(program, engine, reference, repeat=repeat, patient=patient)
    return replace(verdict, reference=reference.name)


def compare(
    got: Sequence[Part], wanted: Sequence[Part], rerun: Rerun, *, single: bool = False, seed: int = 0
) -> Verdict:
    """Compare two outcomes part by part, where no witness can be asked.

    Args:
        got: the engine's.
        wanted: the reference's, in the same order.
        rerun: gives the reference's parts again, disturbed or in another precision.
        single: whether some of the computation is in single precision, whose rounding then counts.
        seed: of the disturbances.
    """
    found = bench(JUDGES).examined(Comparison(got, wanted, rerun, single=single, seed=seed, scale=1.0))
    return summed(found, [*found.findings, *found.accused()])
