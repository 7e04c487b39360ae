"""The first panel: what a campaign found, op by op, with the worst case of each; and every failure, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from reference.campaign import Failure, Record
from reference.checks import ProgramCase, draw_case
from reference.checks.training import TrainingRecord
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.ops import OPS
from reference.programs import Program
from reference.report import text
from reference.report.json import versions
from reference.report.page.comparing import compared
from reference.report.page.numbers import full, ulp_text
from reference.verdict import AT_ONCE, ulps
from reference.verdict.distance import worst_place
from reference.verdict.findings import parts

LONGEST = 1_500  # characters of a program that are shown


@dataclass(frozen=True)
class Worst:
    """The case in which an op's numbers lie furthest apart: its line, and the numbers at that place.

    They may lie further apart than what agrees at once, in a case that agrees within conditioning.
    """

    line: str
    part: str
    mine: str
    theirs: str
    ulp: str

    @property
    def conditioned(self) -> bool:
        """Whether the numbers did not agree at once."""
        return float(self.ulp) > AT_ONCE


@dataclass(frozen=True)
class Failed:
    """A failure: how it is told, and its picture, if it is a program's."""

    name: str
    told: str
    picture: Markup


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    record: Record
    worst: Worst | None

    @property
    def verdict(self) -> str:
        """In a word, with a sign."""
        if self.record.failures:
            return "✗ wrong"
        return "✗ wrong for an op above" if self.record.repeats else "✓ agrees"


@dataclass(frozen=True)
class Agreement:
    """What was found."""

    versions: dict[str, str]
    seed: int
    profile: str
    last_line: str
    agrees: bool
    rows: Sequence[Row]
    failures: Sequence[Failed]


def agreement(
    records: Sequence[Record], runs: Sequence[TrainingRecord], ops: Sequence[str], *, profile: str, seed: int
) -> Agreement:
    """Put together what a campaign and training runs found.

    Args:
        records: of the campaign.
        runs: in lock-step.
        ops: that programs were made of.
        profile: of the campaign.
        seed: of the campaign.
    """
    names = (NdgradEngine().name, TorchEngine().name)
    failures = [
        *(_failed(failure, *names) for record in records for failure in record.failures),
        *(Failed(run.name, text.training_failure(run, *names), Markup("")) for run in runs if not run.agrees),
    ]
    last = text.last_line(records, runs, len(ops), *names)
    rows = [Row(record, _worst(record, ops, seed)) for record in records]
    return Agreement(versions(), seed, profile, last, not failures, rows, failures)


def _failed(failure: Failure, engine: str, reference: str) -> Failed:
    told = text.failure(failure, engine, reference)
    if not isinstance(failure.case, ProgramCase):
        return Failed(failure.op, told, Markup(""))
    program = failure.case.program
    mine, theirs = NdgradEngine().run(program), TorchEngine().run(program, inner=True)
    picture = compared(f"failure-{failure.op}", program, mine, theirs, failure.explanation.origin)
    return Failed(failure.op, told, picture)


def _worst(record: Record, ops: Sequence[str], seed: int) -> Worst | None:
    """The program that the campaign noted, drawn and run once more."""
    if record.widest is None or not record.worst:
        return None
    case = draw_case(record.op, seed, record.widest, ops)
    if not isinstance(case, ProgramCase):
        return None
    program = case.program
    mine, theirs = NdgradEngine().run(program), TorchEngine().run(program)
    found = max(_distances(program, mine, theirs), key=lambda found: found[0], default=None)
    if found is None:
        return None
    distance, part, place, a, b = found
    at = f"{part}{list(place)}" if place else part
    line = str(program)
    return Worst(line if len(line) <= LONGEST else f"{line[:LONGEST]} …", at, full(a), full(b), ulp_text(distance))


def _distances(program: Program, mine: Any, theirs: Any) -> Iterator[tuple[float, str, tuple[int, ...], Any, Any]]:
    """How far apart each part is at its worst place."""
    for a, b in zip(parts(program, mine), parts(program, theirs), strict=True):
        x, y = a.array, b.array
        if (
            isinstance(x, np.ndarray)
            and isinstance(y, np.ndarray)
            and x.size
            and (x.shape, x.dtype) == (y.shape, y.dtype)
        ):
            place, p, q = worst_place(x, y)
            yield float(ulps(np.asarray(p), np.asarray(q))), a.name, place, p, q


def known(op: str) -> str:
    """Which slope an op has at its kinks, and where PyTorch is known to be poor."""
    kink = OPS[op].kink if op in OPS else None
    return " ".join(filter(None, (kink.convention if kink else "", TorchEngine.known.get(op))))
