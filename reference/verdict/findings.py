"""What a verdict is made of: kinds, results, findings, and the parts of an outcome that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from reference.engines import Outcome
from reference.programs import Program

SECOND_ORDER = "second-order"  # how the name of a part begins that is differentiated twice


class Kind(StrEnum):
    """In what way an outcome is wrong."""

    FORWARD = "FORWARD"
    GRADIENT = "GRADIENT"
    SHAPE = "SHAPE"
    DTYPE = "DTYPE"
    MISSING = "MISSING"
    RAISED = "RAISED"
    ACCUMULATION = "ACCUMULATION"
    ALIASED = "ALIASED"
    INPUT_MUTATED = "INPUT-MUTATED"
    NON_DETERMINISTIC = "NON-DETERMINISTIC"
    CONVENTION = "CONVENTION"
    TOO_SLOW = "TOO-SLOW"
    LEAK = "LEAK"


class Result(StrEnum):
    """What a case came to; the later, the graver."""

    AGREES = "agrees"
    CONDITIONED = "agrees within conditioning"
    UNSUPPORTED = "the reference does not support it"
    INCONCLUSIVE = "inconclusive"
    REFERENCE_WRONG = "the reference is wrong"
    CONVENTION = "conventions differ"
    ENGINE_WRONG = "the engine is wrong"

    @property
    def gravity(self) -> int:
        """Its place in the order of gravity."""
        return list(Result).index(self)

    @property
    def blames(self) -> bool:
        """Whether the engine has to be looked at."""
        return self in (Result.CONVENTION, Result.ENGINE_WRONG)

    @property
    def accuses(self) -> bool:
        """Whether one of the sides has to be looked at."""
        return self.blames or self is Result.REFERENCE_WRONG


@dataclass(frozen=True)
class Finding:
    """One thing in which an outcome is not as it should be.

    Args:
        kind: in what way.
        part: of what, as `grad[x]`.
        says: what was found, in words, where no two numbers can be set side by side.
        place: the index of the worst number.
        got: the engine's number there.
        wanted: the reference's.
        ulp: how far they are apart.
        allowed: how far they may be.
        exact: the number itself, from the witness; None where it was not asked or cannot tell.
        result: what this finding alone comes to.
        judge: the name of the judge that decided it.
        reason: why, in that judge's words.
        arrays: both sides in full, for whoever looks for a cause.
    """

    kind: Kind
    part: str
    says: str = ""
    place: tuple[int, ...] = ()
    got: Any = None
    wanted: Any = None
    ulp: float = 0.0
    allowed: float = 0.0
    exact: Any = None
    result: Result = Result.ENGINE_WRONG
    judge: str = ""
    reason: str = ""
    arrays: tuple[Any, Any] = field(default=(None, None), repr=False, compare=False)


@dataclass(frozen=True)
class Verdict:
    """What a case came to.

    Args:
        result: the outcome.
        findings: what is wrong, or could not be decided; the gravest first.
        numbers: how many were compared.
        worst: the largest distance among those that agreed at once, in ULP.
        refused: whether both sides refused, as they should.
        witnessed: whether the exact witness was asked.
        reference: the name of the reference that it is held against.
        judge: the name of the judge that decided: on the gravest finding; else the last that had to be asked.
        reason: why, in that judge's words.
    """

    result: Result
    findings: tuple[Finding, ...] = ()
    numbers: int = 0
    worst: float = 0.0
    refused: bool = False
    witnessed: bool = False
    reference: str = ""
    judge: str = ""
    reason: str = ""


class Part(NamedTuple):
    """An array of an outcome, by name."""

    name: str
    kind: Kind
    array: Any


def parts(program: Program, outcome: Outcome, *, second_order: bool = True, steps: bool = False) -> list[Part]:
    """What of an outcome is compared: the result, and each leaf's gradients.

    Args:
        program: the case.
        outcome: what an engine made of it.
        second_order: whether second-order gradients are compared, too.
        steps: whether the value of every step is, and not only the last.
    """
    leaves = [o.name for o in program.leaves]
    first = _one_each(outcome.gradients, leaves)
    second = _one_each(outcome.second, leaves) if second_order and program.directions else []
    names = program.names[len(program.operands) :]
    return [
        *(Part(f"value of {n}", Kind.FORWARD, v) for n, v in zip(names[:-1], outcome.values, strict=False) if steps),
        Part("value", Kind.FORWARD, outcome.values[-1] if outcome.values else None),
        *(Part(f"grad[{name}]", Kind.GRADIENT, g) for name, g in zip(leaves, first, strict=True)),
        *(Part(f"{SECOND_ORDER} grad[{name}]", Kind.GRADIENT, g) for name, g in zip(leaves, second, strict=False)),
    ]


def _one_each(gradients: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """A gradient for each leaf; none where an engine gave fewer."""
    return [gradients[i] if i < len(gradients) else None for i in range(len(names))]
