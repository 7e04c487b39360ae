"""Programs as cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reference.checks.case import Case, Trial
from reference.checks.smaller import in_order, size, smaller, with_different_numbers
from reference.engines import Engine
from reference.engines.references import References
from reference.programs import Program
from reference.verdict import Kind, Result, Verdict, judge, judge_by_all


@dataclass(frozen=True)
class ProgramCase(Case):
    """A program."""

    program: Program
    kind: str = field(default="program", init=False)

    def run(self, engine: Engine, references: References) -> Trial:
        """Judge the program by each reference that knows all its ops. If there is none, it is unsupported."""
        members = references.supporting(self.program)
        if not members:
            return Trial(self, Verdict(Result.UNSUPPORTED))
        verdict, _ = judge_by_all(self.program, engine, members, scrutiny=references.scrutiny)
        return Trial(self, verdict)

    def reproduce(self, kinds: frozenset[Kind], engine: Engine, references: References) -> Trial | None:
        """Judge it quickly by the first reference and, if that blames the engine, by all judges and references."""
        if Kind.CONVENTION in kinds:  # only the witness can tell it from a wrong gradient
            kinds |= {Kind.GRADIENT}
        reference = (references.supporting(self.program) or references.members)[0]
        repeat = Kind.NON_DETERMINISTIC in kinds
        quick = judge(self.program, engine, reference, repeat=repeat, patient=False, scrutiny=references.scrutiny)
        if not _is_wrong(quick, kinds):
            return None
        trial = self.run(engine, references)
        return trial if _is_wrong(trial.verdict, kinds) else None

    def smaller(self) -> Iterator[ProgramCase]:
        """Yield programs that are simpler in one respect."""
        return map(ProgramCase, smaller(self.program))

    @property
    def size(self) -> tuple[Any, ...]:
        """The number of steps, operands and numbers, and whatever else makes the program long."""
        return size(self.program)

    def shown(self) -> Iterator[ProgramCase]:
        """Yield the program with its operands in the order of their use, with different numbers in each array first."""
        ordered = in_order(self.program)
        return map(ProgramCase, (*with_different_numbers(ordered), ordered))

    def __str__(self) -> str:
        """Return the program's line."""
        return str(self.program)


def _is_wrong(verdict: Verdict, kinds: frozenset[Kind]) -> bool:
    return verdict.result.blames and bool(kinds & {finding.kind for finding in verdict.findings})
