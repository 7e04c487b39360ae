"""Judges of an accusation: a number of which it was said that one side is wrong. They know of all other numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Result, Verdict
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence


def without_authority(evidence: Evidence, finding: Finding) -> Opinion | None:
    """What no authority settles: there is no exact number, or it stands beside infinities, NaN or kinks.

    At a kink the rules of two engines may each be right, and what they make of a program not what it is.
    """
    conventional = evidence.conventions_are_told and evidence.kinks_are_met_alike
    told = finding.exact is not None and evidence.is_finite and conventional
    return None if evidence.authority or told else Opinion(Result.INCONCLUSIVE)


def beside_a_jump(evidence: Evidence, finding: Finding, findings: Sequence[Finding]) -> Opinion | None:
    """A second derivative at a kink of which no witness can tell, and rounding makes the result jump."""
    if not _is_left_open(finding) or _is_a_reference_wrong(findings) or evidence.followed.error is not None:
        return None
    return Opinion(Result.CONDITIONED) if finding.part not in evidence.beyond_jumps else None


def beside_a_wrong_reference(evidence: Evidence, finding: Finding, findings: Sequence[Finding]) -> Opinion | None:
    """The same, and the reference is wrong elsewhere in the program."""
    del evidence
    undecided = _is_left_open(finding) and _is_a_reference_wrong(findings)
    return Opinion(Result.INCONCLUSIVE) if undecided else None


def beyond_a_wrong_step(evidence: Evidence, finding: Finding, findings: Sequence[Finding]) -> Opinion | None:
    """The same, and the reference is wrong in a step by itself."""
    del findings
    undecided = _is_left_open(finding) and evidence.reference_is_wrong_in_a_step
    return Opinion(Result.INCONCLUSIVE) if undecided else None


def borne_out(verdict: Verdict, others: Sequence[str]) -> Opinion | None:
    """One reference has something against the engine, others bear it out, and no exact number tells."""
    if not (verdict.result.blames and others) or any(map(_is_certain, verdict.findings)):
        return None
    return Opinion(Result.INCONCLUSIVE, facts={"reference": verdict.reference, "others": " and ".join(others)})


def _is_certain(finding: Finding) -> bool:
    """Whether it is, whatever references say: by an exact number, or as no number is in question."""
    return finding.exact is not None or finding.kind not in (Kind.FORWARD, Kind.GRADIENT, Kind.CONVENTION)


def _is_left_open(finding: Finding) -> bool:
    """Whether a second derivative is called wrong, though the witness cannot tell: it stands at a kink."""
    second = finding.part.startswith(SECOND_ORDER)
    return second and finding.result is Result.ENGINE_WRONG and finding.exact is None


def _is_a_reference_wrong(findings: Sequence[Finding]) -> bool:
    return any(finding.result is Result.REFERENCE_WRONG for finding in findings)
