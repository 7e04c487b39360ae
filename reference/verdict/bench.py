"""The bench asks the judges of a table in their order, and combines their opinions into a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from reference.engines import Engine, Reference
from reference.engines.references import NO_AUDIT, Scrutiny
from reference.programs import Program
from reference.verdict.audit import Audit
from reference.verdict.comparison import Comparison, Pair, worst
from reference.verdict.evidence import Evidence, Open
from reference.verdict.findings import Finding, Result, Verdict
from reference.verdict.number import Number
from reference.verdict.opinion import Opinion
from reference.verdict.table import FEW_PLACES, JUDGES, PLACES, Judge, Stage

UNEXPLAINED = "rounding does not explain it"
UNDECIDED = "no judge has an opinion"


class Ruling(NamedTuple):
    """An opinion with its judge."""

    judge: Judge
    opinion: Opinion

    @property
    def reason(self) -> str:
        """The judge's reason, with the opinion's facts filled in."""
        return self.judge.reason.format(**self.opinion.facts)

    def signed(self, finding: Finding) -> Finding:
        """Return the finding with this opinion's result, and the judge's name and reason."""
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
class Examination:
    """The result of a comparison before the witness is asked.

    Args:
        comparison: both sides, part by part.
        findings: errors of parts as a whole.
        open: for each part with unexplained numbers, a mask of these.
        last: the opinion of the latest judge in the table's order that was needed.
        numbers: how many numbers were compared.
        worst: the largest distance in the parts that are explained completely, in ULP.
    """

    comparison: Comparison
    findings: list[Finding] = field(default_factory=list)
    open: Open = field(default_factory=dict)
    last: Ruling | None = None
    numbers: int = 0
    worst: float = 0.0

    @property
    def pairs(self) -> list[Pair]:
        """The parts with unexplained numbers."""
        return [pair for pair in self.comparison.pairs if pair.name in self.open]

    def accusations(self) -> Iterator[Finding]:
        """Give the worst unexplained number of each part as a finding that the engine is wrong."""
        for pair in self.pairs:
            finding = worst(pair, self.open[pair.name], self.comparison.error(pair))
            yield replace(finding, reason=UNEXPLAINED)


class Bench:
    """The judges in their order.

    Args:
        judges: rows, as in the table.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._order = {judge.name: place for place, judge in enumerate(judges)}
        self._at = {stage: [judge for judge in judges if judge.stage is stage] for stage in Stage}

    def verdict(
        self,
        program: Program,
        engine: Engine,
        reference: Reference,
        *,
        repeat: bool,
        patient: bool,
        scrutiny: Scrutiny,
    ) -> Verdict:
        """Judge a program.

        Args:
            program: the case.
            engine: the engine to be judged.
            reference: the reference.
            repeat: whether the engine may be run twice.
            patient: whether to continue if rounding does not explain a difference.
            scrutiny: how closely the engine is looked at.
        """

        def alone(step: Program) -> Verdict:
            return self.verdict(step, engine, reference, repeat=False, patient=True, scrutiny=NO_AUDIT)

        def examine(comparison: Comparison) -> tuple[Sequence[Finding], Open]:
            found = self.examine(comparison)
            return found.findings, found.open

        evidence = Evidence(program, engine, reference, judge=alone, examine=examine, repeat=repeat)
        ruling = self.first(Stage.RUN, evidence)
        if ruling:
            return _run_verdict(ruling)
        if not evidence.can_be_compared:
            return Verdict(Result.INCONCLUSIVE, reason=UNDECIDED)
        laws = [*self._breaches(evidence)]
        found = self.examine(evidence.compared)
        audited = evidence.is_chosen(scrutiny.audited)
        if patient:
            self._own_way(evidence, found)
        decided = [*(self._decide(evidence, found) if patient else found.accusations())]
        verdict = summarize(found, [*laws, *found.findings, *decided], witnessed=patient and bool(found.open))
        audited = audited and evidence.has_values and not verdict.result.accuses
        return self._audited(evidence, found, verdict) if audited else verdict

    def _audited(self, evidence: Evidence, found: Examination, verdict: Verdict) -> Verdict:
        """Audit a program on which both sides agree, and return the verdict that this gives."""
        findings = []
        if (wrong := evidence.mine.wrong_value) is not None:
            ruling = self.first(Stage.AUDIT, evidence, wrong)
            findings += [ruling.signed(ruling.opinion.finding)] if ruling and ruling.opinion.finding else []
        audit = Audit(evidence.program, evidence.got, evidence.mine)
        pairs = {pair.name: pair for pair in found.comparison.pairs}
        for suspect in audit.suspects():
            pair = pairs.get(suspect.part)
            if pair is not None and (pair.fits or pair.got is None):
                pair = pair.with_zeros(evidence.program.leaves[evidence.mine.leaf(suspect.part)].data)
                error = float(np.broadcast_to(evidence.compared.error(pair), pair.got.shape)[suspect.place])
                findings.append(self._decided(evidence, pair, suspect.place, error))
        findings = [finding for finding in findings if finding.result.doubts]
        if not findings:
            return replace(verdict, audited=audit.numbers)
        summary = summarize(found, [*verdict.findings, *findings], witnessed=verdict.witnessed)
        return replace(summary, audited=audit.numbers, by_audit=True)

    def examine(self, comparison: Comparison) -> Examination:
        """Ask the judges of parts about each part, and the judges of rounding about its numbers.

        Args:
            comparison: both sides, part by part.
        """
        found = Examination(comparison)
        for pair in comparison.pairs:
            found.numbers += pair.numbers
            ruling = self.first(Stage.PART, pair)
            if ruling and ruling.opinion.finding:
                found.findings.append(ruling.signed(ruling.opinion.finding))
            elif ruling is None and pair.fits:
                self._explain(Stage.ROUNDING, found, pair, np.ones(pair.got.shape, bool), comparison)
        return found

    def _own_way(self, evidence: Evidence, found: Examination) -> None:
        for pair in found.pairs:
            self._explain(Stage.OWN_WAY, found, pair, found.open.pop(pair.name), evidence)

    def _explain(self, stage: Stage, found: Examination, pair: Pair, unexplained: np.ndarray, evidence: Any) -> None:
        """Ask judges about the open numbers of a part until all are explained."""
        for judge in self._at[stage]:
            opinion = judge.function(evidence, pair, unexplained)
            if opinion is None:
                continue
            if found.last is None or self._order[judge.name] > self._order[found.last.judge.name]:
                found.last = Ruling(judge, opinion)
            if opinion.where is True:
                found.worst = max(found.worst, pair.worst)
                return
            unexplained = unexplained & ~opinion.where
            if not unexplained.any():
                return
        if unexplained.any():
            found.open[pair.name] = unexplained

    def _decide(self, evidence: Evidence, found: Examination) -> list[Finding]:
        """Decide each part with numbers that rounding does not explain."""
        findings = [self._gravest(evidence, pair, found.open[pair.name]) for pair in found.pairs]
        return [self._appeal(Stage.PART_APPEAL, finding, evidence, findings) for finding in findings]

    def _gravest(self, evidence: Evidence, pair: Pair, where: np.ndarray) -> Finding:
        """Decide the open numbers of a part, those with the largest distance first, and return the gravest finding."""
        error = evidence.error(pair)
        findings: list[Finding] = []
        for place in pair.furthest(where, PLACES if evidence.authority else FEW_PLACES):
            findings.append(self._decided(evidence, pair, place, float(error[place])))
            if findings[-1].result is Result.ENGINE_WRONG:
                break  # no other number is graver
        return max(findings, key=lambda finding: finding.result.gravity)

    def _decided(self, evidence: Evidence, pair: Pair, place: tuple[int, ...], error: float) -> Finding:
        number = Number(pair, place, error, evidence)
        ruling = self.first(Stage.NUMBER, evidence, number)
        finding = replace(number.finding, exact=number.rounded, result=Result.INCONCLUSIVE, reason=UNDECIDED)
        finding = ruling.signed(finding) if ruling else finding
        return self._appeal(Stage.APPEAL, finding, evidence)

    def _appeal(self, stage: Stage, finding: Finding, evidence: Evidence, *others: Any) -> Finding:
        """Ask the judges of appeals about a finding that accuses a side; return it with their opinion, if any."""
        ruling = self.first(stage, evidence, finding, *others) if finding.result.accuses else None
        return ruling.signed(finding) if ruling else finding

    def first(self, stage: Stage, *arguments: Any) -> Ruling | None:
        """Ask the judges of a stage in their order, until one has an opinion.

        Args:
            stage: the stage.
            arguments: the arguments of the stage's judges.
        """
        for judge in self._at[stage]:
            opinion = judge.function(*arguments)
            if opinion is not None:
                return Ruling(judge, opinion)
        return None

    def _breaches(self, evidence: Evidence) -> Iterator[Finding]:
        for judge in self._at[Stage.LAW]:
            for finding in judge.function(evidence):
                yield replace(finding, judge=judge.name, reason=judge.reason)


def _run_verdict(ruling: Ruling) -> Verdict:
    result, finding, *_ = ruling.opinion
    findings = (ruling.signed(finding),) if finding else ()
    name, reason = ruling.judge.name, ruling.reason
    return Verdict(result, findings, refused=finding is None, judge=name, reason=reason)


def summarize(found: Examination, findings: Sequence[Finding], *, witnessed: bool = False) -> Verdict:
    """Combine findings into a verdict: the result of the gravest one; without findings, that of the last judge.

    Args:
        found: the examination of the comparison.
        findings: errors and undecided numbers, with their results.
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
    reported = tuple(finding for finding in ordered if finding.result is not Result.CONDITIONED)
    return Verdict(result, reported, found.numbers, found.worst, witnessed=witnessed, judge=name, reason=reason)


def bench(judges: Sequence[Judge]) -> Bench:
    """Return the bench of these judges; that of the table is made once.

    Args:
        judges: the rows.
    """
    return _BENCH if judges is JUDGES else Bench(judges)


_BENCH = Bench(JUDGES)
