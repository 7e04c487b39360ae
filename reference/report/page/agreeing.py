"""The first panel: a campaign's results by op, with the worst case of each, and every failure with a picture."""

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
from reference.report.page.comparing import draw_comparison
from reference.report.page.numbers import full, ulp_text
from reference.verdict import AT_ONCE, ulps
from reference.verdict.distance import worst_place
from reference.verdict.findings import parts

LONGEST = 1_500  # the most characters of a program that are shown


@dataclass(frozen=True)
class Worst:
    """The case with an op's largest difference: its line, and the numbers at that place.

    If the case agrees only within conditioning, the difference may be larger than what agrees at once.
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
class FailureText:
    """A failure: its description, and its picture if it is a program."""

    name: str
    description: str
    picture: Markup


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    record: Record
    worst: Worst | None

    @property
    def verdict(self) -> str:
        """The verdict in words, with a sign."""
        if not self.record.failures and not self.record.told:
            return "✓ agrees"
        return f"✗ wrong, see {' and '.join(self.record.elsewhere)}" if self.record.elsewhere else "✗ wrong"


@dataclass(frozen=True)
class Agreement:
    """The contents of the panel."""

    versions: dict[str, str]
    seed: int
    profile: str
    last_line: str
    agrees: bool
    rows: Sequence[Row]
    failures: Sequence[FailureText]


def agreement(
    records: Sequence[Record], runs: Sequence[TrainingRecord], ops: Sequence[str], *, profile: str, seed: int
) -> Agreement:
    """Make the panel from the results of a campaign and of training runs.

    Args:
        records: the campaign's records.
        runs: the training runs in lock-step.
        ops: the ops that programs may contain.
        profile: the campaign's profile.
        seed: the campaign's seed.
    """
    names = (NdgradEngine().name, TorchEngine().name)
    failures = [
        *(_describe(failure, *names) for record in records for failure in record.failures),
        *(FailureText(run.name, text.training_failure(run, *names), Markup("")) for run in runs if not run.agrees),
    ]
    last = text.last_line(records, runs, len(ops), *names)
    rows = [Row(record, _worst(record, ops, seed)) for record in records]
    return Agreement(versions(), seed, profile, last, not failures, rows, failures)


def _describe(failure: Failure, engine: str, reference: str) -> FailureText:
    description = text.failure(failure, engine, reference)
    if not isinstance(failure.case, ProgramCase):
        return FailureText(failure.op, description, Markup(""))
    program = failure.case.program
    mine, theirs = NdgradEngine().run(program), TorchEngine().run(program, inner=True)
    picture = draw_comparison(f"failure-{failure.op}", program, mine, theirs, failure.explanation.origin)
    return FailureText(failure.op, description, picture)


def _worst(record: Record, ops: Sequence[str], seed: int) -> Worst | None:
    """Draw and rerun the case with the largest distance, whose number the campaign recorded."""
    if record.widest is None or not record.worst:
        return None
    case = draw_case(record.op, seed, record.widest, ops)
    if not isinstance(case, ProgramCase):
        return None
    program = case.program
    mine, theirs = NdgradEngine().run(program), TorchEngine().run(program)
    worst = max(_distances(program, mine, theirs), key=lambda worst: worst[0], default=None)
    if worst is None:
        return None
    distance, part, place, a, b = worst
    at = f"{part}{list(place)}" if place else part
    line = str(program)
    return Worst(line if len(line) <= LONGEST else f"{line[:LONGEST]} …", at, full(a), full(b), ulp_text(distance))


def _distances(program: Program, mine: Any, theirs: Any) -> Iterator[tuple[float, str, tuple[int, ...], Any, Any]]:
    """Yield each part's largest difference, with its place and numbers."""
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


def remarks(op: str) -> str:
    """Return an op's slope at its kinks, and the known limits of PyTorch."""
    kink = OPS[op].kink if op in OPS else None
    return " ".join(filter(None, (kink.convention if kink else "", TorchEngine.known.get(op))))
