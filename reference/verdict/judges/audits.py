"""Judges of what an audit finds, where both sides agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reference.verdict.exactness import error_of, nearest
from reference.verdict.findings import Finding, Kind, Result
from reference.verdict.opinion import Opinion
from reference.verdict.rounding import MARGIN

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence
    from reference.verdict.truth import WrongValue


def of_a_value(evidence: Evidence, wrong: WrongValue) -> Opinion | None:
    """A step's value is off, by more than rounding of its operands explains."""
    program, exact = evidence.program, nearest(wrong.exact, wrong.got)
    name = program.names[len(program.operands) + wrong.step]
    part = "value" if wrong.step == len(program.steps) - 1 else f"value of {name}"
    wanted = evidence.wanted.values[wrong.step][wrong.place]
    finding = Finding(Kind.FORWARD, part, "", wrong.place, wrong.got, wanted, exact=exact)
    half = math.sqrt(evidence.mine.unit) * abs(float(wrong.exact))
    inside = MARGIN * evidence.mine.unit * wrong.inner  # what sums inside the op round
    if np.isfinite(wrong.got) and error_of(wrong.got, wrong.exact) <= max(half, inside):
        return Opinion(Result.IMPRECISE, finding)
    theirs = evidence.theirs.wrong_value
    both = theirs is not None and theirs.step == wrong.step
    return Opinion(Result.BOTH_WRONG if both else Result.ENGINE_WRONG, finding)
