"""The data of verdicts: kinds, results, findings, and the parts of an outcome that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from reference.engines import Outcome
from reference.programs import Program

SECOND_ORDER = "second-order"  # the prefix of a second-order gradient's name


class Kind(StrEnum):
    """The kind of an error."""

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
    """The result of a case, in the order of gravity."""

    AGREES = "agrees"
    CONDITIONED = "agrees within conditioning"
    UNSUPPORTED = "the reference does not support it"
    INCONCLUSIVE = "inconclusive"
    REFERENCE_IMPRECISE = "the reference is imprecise"
    REFERENCE_WRONG = "the reference is wrong"
    IMPRECISE = "the engine is imprecise"
    CONVENTION = "conventions differ"
    BOTH_WRONG = "both are wrong"
    ENGINE_WRONG = "the engine is wrong"

    @property
    def gravity(self) -> int:
        """Its place in the order of gravity."""
        return list(Result).index(self)

    @property
    def blames(self) -> bool:
        """Whether the engine has to be looked at."""
        return self is Result.CONVENTION or self.condemns

    @property
    def condemns(self) -> bool:
        """Whether the engine is wrong, whatever the reference is."""
        return self in (Result.BOTH_WRONG, Result.ENGINE_WRONG)

    @property
    def doubts(self) -> bool:
        """Whether the engine is wrong or imprecise."""
        return self is Result.IMPRECISE or self.condemns

    def sentence(self, engine: str, reference: str) -> str:
        """Return who is wrong or imprecise, by name."""
        return {
            Result.REFERENCE_IMPRECISE: f"{reference} is imprecise",
            Result.REFERENCE_WRONG: f"{reference} is wrong",
            Result.IMPRECISE: f"{engine} is imprecise",
            Result.BOTH_WRONG: "Both are wrong",
        }.get(self, f"{engine} is wrong")

    @property
    def accuses(self) -> bool:
        """Whether one of the sides has to be looked at."""
        return self.blames or self in (Result.REFERENCE_IMPRECISE, Result.REFERENCE_WRONG, Result.IMPRECISE)


@dataclass(frozen=True)
class Finding:
    """One error of an outcome.

    Args:
        kind: the kind of the error.
        part: the part that is wrong, such as `grad[x]`.
        says: the error in words, if it is not a difference of two numbers.
        place: the index of the worst number.
        got: the engine's number there.
        wanted: the reference's number there.
        ulp: their distance in ULP.
        allowed: the allowed distance in ULP.
        exact: the exact number; None if the witness was not asked or cannot tell.
        result: the result of this finding alone.
        judge: the name of the judge that decided it.
        reason: that judge's reason.
        arrays: the arrays of both sides, for finding a cause.
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
    """The verdict on a case.

    Args:
        result: the result.
        findings: errors and undecided numbers, the gravest first.
        numbers: how many numbers were compared.
        worst: the largest distance in the parts that are explained completely, in ULP.
        refused: whether both sides refused the program, as they should.
        witnessed: whether the exact witness was asked.
        audited: how many numbers were audited.
        by_audit: whether an audit found what is wrong: the reference agrees with it.
        reference: the name of the reference.
        judge: the name of the judge that decided the gravest finding; without findings, that of the last judge needed.
        reason: that judge's reason.
    """

    result: Result
    findings: tuple[Finding, ...] = ()
    numbers: int = 0
    worst: float = 0.0
    refused: bool = False
    witnessed: bool = False
    audited: int = 0
    by_audit: bool = False
    reference: str = ""
    judge: str = ""
    reason: str = ""


class Part(NamedTuple):
    """An array of an outcome, by name."""

    name: str
    kind: Kind
    array: Any


def parts(program: Program, outcome: Outcome, *, second_order: bool = True, steps: bool = False) -> list[Part]:
    """Return the parts of an outcome that are compared: the result and each leaf's gradients.

    Args:
        program: the case.
        outcome: an engine's outcome.
        second_order: whether to include second-order gradients.
        steps: whether to include the value of every step, and not only of the last.
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
    """Return a gradient for each leaf; None if the engine gave fewer."""
    return [gradients[i] if i < len(gradients) else None for i in range(len(names))]
