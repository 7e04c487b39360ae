"""What came of cases: of a shard, and of all shards of a focus together, in whatever order they were run."""

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
    """A case that the engine is wrong on, as it was run, and its number."""

    trial: Trial
    number: int


@dataclass(kw_only=True)
class Counts:
    """What is counted of cases.

    Args:
        programs: how many were judged.
        numbers: how many were compared.
        worst: the largest distance that agreed at once, in ULP.
        widest: the number of the case that had it, if one was drawn.
        conditioned: those that agree within conditioning.
        inconclusive: those that nobody could decide.
        reference_wrong: those in which a reference is wrong.
        whose: which reference, by its name, and in how many of them.
        unsupported: those that no reference, or not the engine, supports.
        witnessed: those in which the exact witness was asked.
        refused: those that both sides refused, as they should.
        unsuited: choices that no program came of.
    """

    programs: int = 0
    numbers: int = 0
    worst: float = 0.0
    widest: int | None = None
    conditioned: int = 0
    inconclusive: int = 0
    reference_wrong: int = 0
    whose: dict[str, int] = field(default_factory=dict)
    unsupported: int = 0
    witnessed: int = 0
    refused: int = 0
    unsuited: int = 0

    def add(self, verdict: Verdict, number: int | None = None) -> None:
        """Count a verdict; on the case of this number, if it was drawn."""
        self.programs += 1
        self.numbers += verdict.numbers
        if verdict.worst > self.worst:
            self.worst, self.widest = verdict.worst, number
        self.conditioned += verdict.result is Result.CONDITIONED
        self.inconclusive += verdict.result is Result.INCONCLUSIVE
        if verdict.result is Result.REFERENCE_WRONG:
            self.reference_wrong += 1
            self.whose[verdict.reference] = self.whose.get(verdict.reference, 0) + 1
        self.unsupported += verdict.result is Result.UNSUPPORTED
        self.witnessed += verdict.witnessed
        self.refused += verdict.refused

    def count(self, other: Counts) -> None:
        """Count what another has counted, of cases that come after these."""
        if other.worst > self.worst:
            self.worst, self.widest = other.worst, other.widest
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, number in other.whose.items():
            self.whose[name] = self.whose.get(name, 0) + number


_ADDED = [f.name for f in fields(Counts) if f.name not in ("worst", "widest", "whose")]


@dataclass
class Tally(Counts):
    """What came of a shard.

    Args:
        failing: the case that ended it: the first that the engine is wrong on. Or else the first that fails by a
            convention, which ends nothing.
    """

    failing: Failing | None = None

    @property
    def is_ended(self) -> bool:
        """Whether the engine was found wrong, so that cases after it have nothing new to say."""
        return self.failing is not None and self.failing.trial.verdict.result is Result.ENGINE_WRONG


@dataclass
class Record(Counts):
    """What came of the cases of one focus: an op's programs, expressions, or another check's cases.

    Args:
        op: the op's name, or the check's.
        repeats: whether a case failed for an op that a record before has a failure for.
        left_out: why nothing was run, if that is so, or what was not.
        failures: what is wrong.
    """

    op: str
    repeats: bool = False
    left_out: str = ""
    failures: list[Failure] = field(default_factory=list)


def merged(op: str, tallies: Iterable[Tally]) -> tuple[Record, Failing | None]:
    """Put the tallies of a focus together, in the order of their cases, up to the first that ended.

    What was run beyond that is left out, for another runner might not have run it: so the record depends on the cases
    alone.

    Returns:
        The record, and the case to look into.
    """
    record, failing = Record(op), None
    for tally in tallies:
        record.count(tally)
        failing = tally.failing if tally.is_ended else failing or tally.failing
        if tally.is_ended:
            break
    return record, failing
