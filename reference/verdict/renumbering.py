"""The mismatch of a failing program, and that of the same program with other numbers."""

from __future__ import annotations

import numpy as np

from reference.engines import Engine, Reference
from reference.programs import Program
from reference.programs.refilling import Fill, refilled
from reference.verdict.cause import COTANGENT, Mismatch
from reference.verdict.findings import Finding, parts

# The ranges of the other numbers. Nearly every op is smooth in one of them, and they are no round numbers, so that
# equal sums or products are no coincidence.
_RANGES = ((0.2, 0.9), (1.2, 2.9))


def mismatch_of(program: Program, finding: Finding) -> Mismatch:
    """Return the arrays of a finding, with the operands and the cotangent."""
    known = {o.name: o.data for o in program.operands}
    return Mismatch(*finding.arrays, known if program.cotangent is None else {**known, COTANGENT: program.cotangent})


def with_other_numbers(program: Program, finding: Finding, engine: Engine, reference: Reference) -> list[Mismatch]:
    """Return the same mismatch for other numbers; none if the part is wrong only for the program's own numbers."""
    for other in (refilled(program, _uniform(low, high)) for low, high in _RANGES):
        mine, theirs = (parts(other, side.run(other)) for side in (engine, reference))
        for got, wanted in zip(mine, theirs, strict=True):
            mismatch = mismatch_of(other, Finding(finding.kind, finding.part, arrays=(got.array, wanted.array)))
            if got.name == finding.part and wanted.array is not None and not mismatch.is_equal:
                return [mismatch]
    return []


def _uniform(low: float, high: float) -> Fill:
    rng = np.random.default_rng(0)
    return lambda array: rng.uniform(low, high, array.shape)
