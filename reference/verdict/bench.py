"""The bench: asks the judges of a table in their order, and puts their opinions together into a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from reference.engines import Engine, Reference
from reference.programs import Program
from reference.verdict.comparison import Comparison, Pair, worst
from reference.verdict.evidence import Evidence, Open
from reference.verdict.findings import Finding, Result, Verdict
from reference.verdict.number import Number
from reference.verdict.opinion import Opinion
from reference.verdict.table import FEW_PLACES, JUDGES, PLACES, Judge, Stage

UNEXPLAINED = "rounding does not explain it"
UNDECIDED = "no judge has an opinion"


class Ruling(NamedTuple):
    """An opinion, and whose it is."""

    judge: Judge
    opinion: Opinion

    @property
    def reason(self) -> str:
        """Why, with the facts filled in."""
        return self.judge.reason.format(**self.opinion.facts)

    def signed(self, finding: Finding) -> Finding:
        """The finding as the opinion has it, with the judge's name."""
        result, _, kind, says, *_ = self.opinion
        return replace(
            finding,
            result=result,
            kind=kind or finding.kind,
            says=says or finding.says,
            judge=self.judge.name,
            reason=self.reason,
        )


@dataclass
class Examined:
    """What is seen of a comparison before a witness is asked.

    Args:
        comparison: both sides, part by part.
        findings: what is wrong with parts as a whole.
        open: of parts, which numbers are not explained.
        last: the opinion of the judge that had to be asked last.
        numbers: how many were compared.
        worst: the largest distance among the parts that agreed at once, in ULP.
    """

    comparison: Comparison
    findings: list[Finding] = field(default_factory=list)
    open: Open = field(default_factory=dict)
    last: Ruling | None = None
    numbers: int = 0
    worst: float = 0.0

    @property
    def pairs(self) -> list[Pair]:
        """The parts of which numbers are not explained."""
        return [pair for pair in self.comparison.pairs if pair.name in self.open]

    def accused(self) -> Iterator[Finding]:
        """Take what is not explained to be wrong: the worst number of each part."""
        for pair in self.pairs:
            finding = worst(pair, self.open[pair.name], self.comparison.error(pair))
            yield replace(finding, reason=UNEXPLAINED)


class Bench:
    """Judges in their order.

    Args:
        judges: the rows of the table, or others.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._order = {judge.name: place for place, judge in enumerate(judges)}
        self._at = {stage: [judge for judge in judges if judge.stage is stage] for stage in Stage}

    def verdict(
        self, program: Program, engine: Engine, reference: Reference, *, repeat: bool, patient: bool
    ) -> Verdict:
        """Ask all judges of a program.

        Args:
            program: the case.
            engine: what is judged.
            reference: what is believed.
            repeat: whether the engine may be run twice.
            patient: whether to go on where rounding does not explain a difference.
        """

        def alone(step: Program) -> Verdict:
            return self.verdict(step, engine, reference, repeat=False, patient=True)

        def examine(comparison: Comparison) -> tuple[Sequence[Finding], Open]:
            found = self.examined(comparison)
            return found.findings, found.open

        evidence = Evidence(program, engine, reference, judge=alone, examine=examine, repeat=repeat)
        ruling = self.first(Stage.RUN, evidence)
        if ruling:
            return _of_a_run(ruling)
        if not evidence.can_be_compared:
            return Verdict(Result.INCONCLUSIVE, reason=UNDECIDED)
        laws = [*self._breaches(evidence)]
        found = self.examined(evidence.compared)
        if not patient:
            return summed(found, [*laws, *found.findings, *found.accused()])
        self._own_way(evidence, found)
        return summed(found, [*laws, *found.findings, *self._settled(evidence, found)], witnessed=bool(found.open))

    def examined(self, comparison: Comparison) -> Examined:
        """Ask of each part, and then of all its numbers.

        Args:
            comparison: both sides, part by part.
        """
        found = Examined(comparison)
        for pair in comparison.pairs:
            found.numbers += pair.numbers
            ruling = self.first(Stage.PART, pair)
            if ruling and ruling.opinion.finding:
                found.findings.append(ruling.signed(ruling.opinion.finding))
            elif ruling is None and pair.fits:
                self._explain(Stage.ROUNDING, found, pair, np.ones(pair.got.shape, bool), comparison)
        return found

    def _own_way(self, evidence: Evidence, found: Examined) -> None:
        for pair in found.pairs:
            self._explain(Stage.OWN_WAY, found, pair, found.open.pop(pair.name), evidence)

    def _explain(self, stage: Stage, found: Examined, pair: Pair, still: np.ndarray, evidence: Any) -> None:
        """Ask of the numbers of a part that are still open, until none is."""
        for judge in self._at[stage]:
            opinion = judge.function(evidence, pair, still)
            if opinion is None:
                continue
            if found.last is None or self._order[judge.name] > self._order[found.last.judge.name]:
                found.last = Ruling(judge, opinion)
            if opinion.where is True:
                found.worst = max(found.worst, pair.worst)
                return
            still = still & ~opinion.where
            if not still.any():
                return
        if still.any():
            found.open[pair.name] = still

    def _settled(self, evidence: Evidence, found: Examined) -> list[Finding]:
        """What each part comes to whose numbers rounding does not explain."""
        settled = [self._gravest(evidence, pair, found.open[pair.name]) for pair in found.pairs]
        return [self._appealed(Stage.PART_APPEAL, finding, evidence, settled) for finding in settled]

    def _gravest(self, evidence: Evidence, pair: Pair, where: np.ndarray) -> Finding:
        """What a part comes to: the gravest that any of its numbers comes to, the worst ones asked first."""
        error = evidence.error(pair)
        settled: list[Finding] = []
        for place in pair.furthest(where, PLACES if evidence.authority else FEW_PLACES):
            known = any(f.result is Result.REFERENCE_WRONG for f in settled)
            number = Number(pair, place, float(error[place]), evidence.witnessed, known=known)
            ruling = self.first(Stage.NUMBER, evidence, number)
            finding = replace(number.finding, exact=number.shown, result=Result.INCONCLUSIVE, reason=UNDECIDED)
            finding = ruling.signed(finding) if ruling else finding
            settled.append(self._appealed(Stage.APPEAL, finding, evidence))
        return max(settled, key=lambda finding: finding.result.gravity)

    def _appealed(self, stage: Stage, finding: Finding, evidence: Evidence, *others: Any) -> Finding:
        """What a finding comes to if a judge speaks for the side that it accuses."""
        ruling = self.first(stage, evidence, finding, *others) if finding.result.accuses else None
        return ruling.signed(finding) if ruling else finding

    def first(self, stage: Stage, *asked: Any) -> Ruling | None:
        """Ask the judges of a stage in their order, until one has an opinion.

        Args:
            stage: which of them.
            asked: what they are asked of, as the stage says.
        """
        for judge in self._at[stage]:
            opinion = judge.function(*asked)
            if opinion is not None:
                return Ruling(judge, opinion)
        return None

    def _breaches(self, evidence: Evidence) -> Iterator[Finding]:
        for judge in self._at[Stage.LAW]:
            for finding in judge.function(evidence):
                yield replace(finding, judge=judge.name, reason=judge.reason)


def _of_a_run(ruling: Ruling) -> Verdict:
    result, finding, *_ = ruling.opinion
    findings = (ruling.signed(finding),) if finding else ()
    name, reason = ruling.judge.name, ruling.reason
    return Verdict(result, findings, refused=finding is None, judge=name, reason=reason)


def summed(found: Examined, findings: Sequence[Finding], *, witnessed: bool = False) -> Verdict:
    """Sum findings up: the verdict is the gravest one's; if there is none, that of the judge that was asked last.

    Args:
        found: what was seen of the comparison.
        findings: what is wrong or undecided, and what it comes to.
        witnessed: whether the witness was asked.
    """
    ordered = sorted(findings, key=lambda finding: -finding.result.gravity)
    last = found.last
    if ordered:
        result, name, reason = ordered[0].result, ordered[0].judge, ordered[0].reason
    elif last:
        result, name, reason = last.opinion.result, last.judge.name, last.reason
    else:
        result, name, reason = Result.AGREES, "", ""
    left = tuple(finding for finding in ordered if finding.result is not Result.CONDITIONED)
    return Verdict(result, left, found.numbers, found.worst, witnessed=witnessed, judge=name, reason=reason)


def bench(judges: Sequence[Judge]) -> Bench:
    """Seat judges in their order; those of the table sit already.

    Args:
        judges: the rows.
    """
    return _BENCH if judges is JUDGES else Bench(judges)


_BENCH = Bench(JUDGES)
