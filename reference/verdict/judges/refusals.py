"""Judges of a whole run: both sides must refuse what NumPy refuses, and nothing else.

If both sides refuse or accept a program against the generator's intention, nothing is decided. If one side alone
refuses, the definitions of the op table are a third opinion: they refuse what NumPy refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.programs.forward import is_refused
from reference.verdict.findings import Finding, Kind, Result
from reference.verdict.opinion import Opinion

if TYPE_CHECKING:
    from reference.engines import Outcome
    from reference.programs import Program
    from reference.verdict.evidence import Evidence


def as_meant(evidence: Evidence) -> Opinion | None:
    """Both sides refuse a program that was meant to be refused."""
    refused = evidence.wanted.error is not None and evidence.got.error is not None
    return Opinion(Result.AGREES) if refused and evidence.is_meant_to_be_refused else None


def by_both(evidence: Evidence) -> Opinion | None:
    """Both sides refuse a program that should run: nothing is compared."""
    if evidence.wanted.error is None or evidence.got.error is None:
        return None
    says = f"is refused by both sides: {evidence.wanted.error}"
    return _raised(Result.INCONCLUSIVE, evidence.program, evidence.wanted, says)


def by_neither(evidence: Evidence) -> Opinion | None:
    """Both sides accept a program that should be refused: nothing is compared."""
    if not evidence.is_meant_to_be_refused or evidence.wanted.error or evidence.got.error:
        return None
    says = "was meant to be refused, but both sides accept it"
    return _raised(Result.INCONCLUSIVE, evidence.program, evidence.wanted, says)


def rightly_by_the_engine(evidence: Evidence) -> Opinion | None:
    """The engine and NumPy refuse the program, and the reference accepts it."""
    error = evidence.got.error
    if error is None or not _refused_in_a_step(evidence.program, evidence.got):
        return None
    says = f"is refused by NumPy and by the engine ({error}), but the reference accepts it"
    return _raised(Result.REFERENCE_WRONG, evidence.program, evidence.got, says)


def by_the_engine(evidence: Evidence) -> Opinion | None:
    """The engine alone refuses the program."""
    error = evidence.got.error
    if error is None:
        return None
    says = f"raised {type(error).__name__}: {error}"
    return _raised(Result.ENGINE_WRONG, evidence.program, evidence.got, says)


def not_supported(evidence: Evidence) -> Opinion | None:
    """The reference raises NotImplementedError."""
    error = evidence.wanted.error
    if not isinstance(error, NotImplementedError):
        return None
    says = f"is not supported by the reference, which says {type(error).__name__}: {error}"
    return _raised(Result.UNSUPPORTED, evidence.program, evidence.wanted, says)


def accepted_by_the_engine(evidence: Evidence) -> Opinion | None:
    """The reference and NumPy refuse the program, and the engine accepts it."""
    error = evidence.wanted.error
    if error is None or not _refused_in_a_step(evidence.program, evidence.wanted):
        return None
    says = f"was accepted, but must be refused; the reference says {type(error).__name__}: {error}"
    return _raised(Result.ENGINE_WRONG, evidence.program, evidence.wanted, says)


def by_the_reference(evidence: Evidence) -> Opinion | None:
    """The reference alone refuses the program."""
    error = evidence.wanted.error
    if error is None:
        return None
    says = f"is right, but the reference says {type(error).__name__}: {error}"
    return _raised(Result.REFERENCE_WRONG, evidence.program, evidence.wanted, says)


def _refused_in_a_step(program: Program, outcome: Outcome) -> bool:
    return len(outcome.values) < len(program.steps) and is_refused(program)


def _raised(result: Result, program: Program, outcome: Outcome, says: str) -> Opinion:
    return Opinion(result, Finding(Kind.RAISED, _step(program, outcome), says))


def _step(program: Program, outcome: Outcome) -> str:
    done = len(outcome.values)
    return f"step {done + 1} ({program.steps[done].op})" if done < len(program.steps) else "the backward pass"
