"""The results of cases: a tally for each shard, merged into a record for each focus, in whatever order they ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reference.checks import Trial
from reference.verdict import Result, Verdict

if TYPE_CHECKING:
    from reference.campaign.campaign import Failure

Found: TypeAlias = tuple[int, str, int]  # the seed, the op or check, and the number of a case


class Failing(NamedTuple):
    """The trial of a failing case, and the case's number."""

    trial: Trial
    number: int


@dataclass(kw_only=True)
class Counts:
    """Counts over cases.

    Args:
        programs: how many cases were judged.
        numbers: how many numbers were compared.
        worst: the largest distance that agreed at once, in ULP.
        widest: the number of the case with this distance, if it was drawn.
        conditioned: cases that agree within conditioning.
        inconclusive: cases that could not be decided.
        audits: cases in which numbers were audited.
        audited: how many numbers were audited.
        imprecise: cases in which the engine is imprecise.
        reference_imprecise: cases in which a reference is imprecise.
        reference_wrong: cases in which a reference is wrong.
        whose: the number of these cases for each reference, by name.
        unsupported: cases that the engine or all references do not support.
        witnessed: cases in which the exact witness was asked.
        refused: cases that both sides refused, as they should.
        unsuited: draws that gave no program.
    """

    programs: int = 0
    numbers: int = 0
    worst: float = 0.0
    widest: int | None = None
    conditioned: int = 0
    inconclusive: int = 0
    audits: int = 0
    audited: int = 0
    imprecise: int = 0
    reference_imprecise: int = 0
    reference_wrong: int = 0
    whose: dict[str, int] = field(default_factory=dict)
    unsupported: int = 0
    witnessed: int = 0
    refused: int = 0
    unsuited: int = 0

    def add(self, verdict: Verdict, number: int | None = None) -> None:
        """Count a verdict. `number` is the case's number if it was drawn."""
        self.programs += 1
        self.numbers += verdict.numbers
        if verdict.worst > self.worst:
            self.worst, self.widest = verdict.worst, number
        self.conditioned += verdict.result is Result.CONDITIONED
        self.inconclusive += verdict.result is Result.INCONCLUSIVE
        self.audits += verdict.audited > 0
        self.audited += verdict.audited
        self.imprecise += verdict.result is Result.IMPRECISE
        self.reference_imprecise += verdict.result is Result.REFERENCE_IMPRECISE
        if verdict.result is Result.REFERENCE_WRONG:
            self.reference_wrong += 1
            self.whose[verdict.reference] = self.whose.get(verdict.reference, 0) + 1
        self.unsupported += verdict.result is Result.UNSUPPORTED
        self.witnessed += verdict.witnessed
        self.refused += verdict.refused

    def count(self, other: Counts) -> None:
        """Add the counts of later cases."""
        if other.worst > self.worst:
            self.worst, self.widest = other.worst, other.widest
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, number in other.whose.items():
            self.whose[name] = self.whose.get(name, 0) + number


_ADDED = [f.name for f in fields(Counts) if f.name not in ("worst", "widest", "whose")]


@dataclass
class Tally(Counts):
    """The results of a shard.

    Args:
        failing: the first case that the engine is wrong on, which ended the shard. If there is none, the first case
            that differs by a convention, which does not end the shard.
    """

    failing: Failing | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the engine was found wrong, so that later cases would show nothing new."""
        return self.failing is not None and self.failing.trial.verdict.result.condemns


@dataclass
class Record(Counts):
    """The results of one focus: an op's programs, expressions, or another check's cases.

    Args:
        op: the name of the op or check.
        told: the op at fault in a case that failed, if an earlier record tells of its failure; else empty.
        left_out: why nothing was run, or which calls were skipped; empty if all was run.
        failures: the failures.
    """

    op: str
    told: str = ""
    left_out: str = ""
    failures: list[Failure] = field(default_factory=list)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The other ops or checks under whose names the failures of this record are told."""
        ops = dict.fromkeys((*(failure.op for failure in self.failures), self.told))
        return tuple(op for op in ops if op not in ("", self.op))


def merged(op: str, tallies: Iterable[Tally]) -> tuple[Record, Failing | None]:
    """Merge the tallies of a focus, in the order of their cases, up to the first that ended.

    Later tallies are dropped, since another runner might not have run them. So the record depends on the cases alone.

    Returns:
        The record, and the failing case to shrink, if any.
    """
    record, failing = Record(op), None
    for tally in tallies:
        record.count(tally)
        failing = tally.failing if tally.is_ended else failing or tally.failing
        if tally.is_ended:
            break
    return record, failing
