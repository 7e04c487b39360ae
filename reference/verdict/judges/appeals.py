"""Judges of findings that accuse a side. They know the findings of all other parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reference.verdict.findings import SECOND_ORDER, Finding, Kind, Result, Verdict
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.verdict.evidence import Evidence


def without_authority(evidence: Evidence, finding: Finding) -> Opinion | None:
    """Nothing decides: the reference is no authority, and an exact number is missing, or hangs on NaN, inf or kinks.

    At a kink each engine's rule may be right, and yet give a program a gradient that is not its exact slope.
    """
    conventional = evidence.conventions_are_told and evidence.kinks_are_met_alike
    decided = finding.exact is not None and evidence.is_finite and conventional
    return None if evidence.authority or decided else Opinion(Result.INCONCLUSIVE)


def beside_a_jump(evidence: Evidence, finding: Finding, findings: Sequence[Finding]) -> Opinion | None:
    """The finding is a second derivative at a kink, the witness cannot tell, and rounding makes the result jump."""
    if not _is_left_open(finding) or _is_a_reference_wrong(findings) or evidence.followed.error is not None:
        return None
    return Opinion(Result.CONDITIONED) if finding.part not in evidence.beyond_jumps else None


def beside_a_wrong_reference(evidence: Evidence, finding: Finding, findings: Sequence[Finding]) -> Opinion | None:
    """The finding is a second derivative at a kink, and the reference is wrong elsewhere in the program."""
    del evidence
    undecided = _is_left_open(finding) and _is_a_reference_wrong(findings)
    return Opinion(Result.INCONCLUSIVE) if undecided else None


def beyond_a_wrong_step(evidence: Evidence, finding: Finding, findings: Sequence[Finding]) -> Opinion | None:
    """The finding is a second derivative at a kink, and the reference is wrong in a step by itself."""
    del findings
    undecided = _is_left_open(finding) and evidence.reference_is_wrong_in_a_step
    return Opinion(Result.INCONCLUSIVE) if undecided else None


def borne_out(verdict: Verdict, others: Sequence[str]) -> Opinion | None:
    """One reference blames the engine, others agree with it, and no exact number decides."""
    if not (verdict.result.blames and others) or any(map(_is_certain, verdict.findings)):
        return None
    return Opinion(Result.INCONCLUSIVE, facts={"reference": verdict.reference, "others": " and ".join(others)})


def _is_certain(finding: Finding) -> bool:
    """Whether a finding holds whatever references say: by an exact number, or because it is not about a number."""
    return finding.exact is not None or finding.kind not in (Kind.FORWARD, Kind.GRADIENT, Kind.CONVENTION)


def _is_left_open(finding: Finding) -> bool:
    """Whether a finding calls a second derivative wrong without an exact number, as at a kink."""
    second = finding.part.startswith(SECOND_ORDER)
    return second and finding.result.condemns and finding.exact is None


def _is_a_reference_wrong(findings: Sequence[Finding]) -> bool:
    return any(finding.result is Result.REFERENCE_WRONG for finding in findings)
