"""Many programs: each op in turn, then expressions of all of them. What fails is shrunk, and named for the op at fault.

Program `i` of a campaign depends on the seed, the op and `i` alone, so several processes can share a campaign, and find
what one would find. It comes from a plain source, which is faster than Hypothesis; what fails is made small by
`shrinking`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from reference.checks import CHECKS, Looked, left_out, look, without
from reference.engines import Engine, Reference
from reference.engines.references import References
from reference.generator import draw_program
from reference.kept import Kept
from reference.program import Program
from reference.shrinking import shrink
from reference.sides import Sides
from reference.signals import held
from reference.source import Seeded, Unsuited
from reference.verdict import Kind, Result, Verdict, judge, judge_by_all
from reference.verdict.localise import Origin, localise
from reference.workers import Workers

Found: TypeAlias = tuple[int, str, int]  # the seed, the op or check, and the number of a case
Failing: TypeAlias = tuple[Program, Verdict, Found]

EXPRESSIONS = "expressions"  # where an op's name stands for programs of any ops
KEPT = "kept"  # and for those that failed the last time


@dataclass(frozen=True)
class Profile:
    """How many programs a campaign runs, for each op and of any ops, and how many cases of the other checks."""

    for_each_op: int
    expressions: int
    checks: Mapping[str, int] = field(default_factory=dict)

    def programs(self, ops: int) -> int:
        """How many programs and cases there are in all, of so many ops."""
        return self.for_each_op * ops + self.expressions + sum(self.checks.values())


PROFILES = {
    "quick": Profile(60, 400, {"sessions": 300, "training": 300, "library": 180}),
    "standard": Profile(130, 2_500, {"sessions": 650, "training": 650, "library": 390}),
    "deep": Profile(3_000, 60_000, {"sessions": 5_000, "training": 5_000, "library": 3_000}),
}


@dataclass(frozen=True)
class Failure:
    """A program that an engine is wrong on, as small as it could be made.

    Args:
        op: the op that is at fault, as far as one alone shows it.
        program: the smallest that fails in the same way.
        verdict: what is wrong with it.
        origin: where in the program it first goes wrong.
        found: the seed, the op drawn for and the number of the program that it was found as; None if it was given.
    """

    op: str
    program: Program
    verdict: Verdict
    origin: Origin
    found: Found | None = None


@dataclass(frozen=True)
class CheckFailure:
    """A case of another check that went wrong.

    Args:
        op: the check's name.
        looked: what came of it.
        found: the seed, the check and the number of the case.
    """

    op: str
    looked: Looked
    found: Found


@dataclass
class Record:
    """What came of the programs drawn for one op, or of the cases of another check.

    Args:
        op: the op's name or the check's.
        programs: how many were judged.
        numbers: how many were compared.
        worst: the largest distance that agreed at once, in ULP.
        widest: the number of the program that had it, if one was drawn.
        conditioned: programs that agree within conditioning.
        inconclusive: those that nobody could decide.
        reference_wrong: those in which a reference is wrong.
        whose: which reference, by its name, and in how many of them.
        unsupported: those that no reference supports.
        witnessed: those in which the exact witness was asked.
        refused: those that both sides refused, as they should.
        unsuited: choices that no program came of.
        repeats: whether a program failed for an op that a record before has a failure for.
        left_out: why nothing was run, if that is so, or what was not.
        failures: what is wrong.
    """

    op: str
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
    repeats: bool = False
    left_out: str = ""
    failures: list[Failure | CheckFailure] = field(default_factory=list)

    def add(self, verdict: Verdict, number: int | None = None) -> None:
        """Count a verdict; on the program of this number, if it was drawn."""
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


class Campaign:
    """Programs for an engine beside the reference.

    Args:
        engine: what is judged.
        reference: what is believed, one reference or several.
        ops: what programs are made of; by default all that the engine knows and the reference have.
        seed: what they are drawn from.
        kept: the file of programs that failed before; they are tried first.

    Attributes:
        records: what there is so far, the one that is being worked at included: a run may be cut short.
    """

    def __init__(
        self,
        engine: Engine,
        reference: Reference | References,
        ops: Sequence[str] | None = None,
        seed: int = 0,
        kept: Path | None = None,
    ) -> None:
        self.engine = engine
        self.references = reference if isinstance(reference, References) else References([reference])
        self.ops = tuple(ops if ops is not None else (op for op in reference.ops if op in engine.ops))
        self.seed = seed
        self.records: list[Record] = []
        self._kept = Kept(kept)
        self._failed: dict[str, Program] = {}  # the ops that have a failure, and what it is

    def run(self, profile: Profile, pool: Workers | None = None) -> Generator[Record, None, None]:
        """Run what failed before, programs for each op, expressions and the other checks; give each record in turn.

        A check that the engine or the references do not offer is left out, and its record says so.

        Args:
            profile: how many of each.
            pool: processes that run them; by default this one. What fails is made small here.

        Raises:
            TravelError: there is a pool, and the engine or the reference cannot be sent to another process.
        """
        sides = Sides(self.engine, self.references) if pool else (self.engine, self.references)
        before = self._kept.programs()
        try:
            yield from self._again(before)
            yield from self._run(self._numbers(profile), sides, pool)
            yield from self._left_out(profile)
        finally:
            with held():
                self._kept.keep([*self._failed.values(), *self._failing_programs()])

    def _failing_programs(self) -> list[Program]:
        return [f.program for record in self.records for f in record.failures if isinstance(f, Failure)]

    def rows(self, profile: Profile) -> int:
        """How many records there will be, but for that of what failed before."""
        return len(self._numbers(profile)) + len(list(self._left_out(profile)))

    def _numbers(self, profile: Profile) -> dict[str, int]:
        """How many programs or cases there are of what."""
        programs = dict.fromkeys(self.ops, profile.for_each_op)
        if programs:
            programs[EXPRESSIONS] = profile.expressions
        return {**programs, **{check: n for check, n in profile.checks.items() if not self._why_left_out(check)}}

    def _left_out(self, profile: Profile) -> Iterator[Record]:
        for check in profile.checks:
            why = self._why_left_out(check)
            if why:
                yield Record(check, left_out=why)

    def _why_left_out(self, check: str) -> str:
        """Why another check is left out; empty if it is not."""
        return left_out(check, self.engine, for_check(check, self.engine, self.references))

    def _run(
        self, numbers: Mapping[str, int], sides: tuple[Engine, References] | Sides, pool: Workers | None
    ) -> Iterator[Record]:
        run = partial(_one, sides, self.ops, self.seed)
        if pool is None:
            for what, number in numbers.items():
                record = self._begun(Record(what))
                yield self._explained(*run(what, number, record=record))
            return
        try:
            for record, failing in pool.map(run, numbers, numbers.values()):
                yield self._explained(self._begun(record), failing)
        except BaseException:
            for record, failing in pool.left():
                self._begun(record).failures += [as_found(*failing)] if failing else []
            raise

    def _begun(self, record: Record) -> Record:
        self.records.append(record)
        return record

    def _again(self, programs: Sequence[Program]) -> Iterator[Record]:
        """Run programs that failed the last time: those that are of ops that are asked for."""
        for program in programs:  # until its turn has come, each is kept
            self._failed[str(program)] = program
        record = Record(KEPT)
        for program in programs:
            if all(step.op in self.ops for step in program.steps):
                if not record.programs:
                    self._begun(record)
                verdict, _ = self._judged(program)
                record.add(verdict)
                if verdict.result.blames:
                    self._note(record, self.explained(program))
                del self._failed[str(program)]
        if record.programs:
            yield record

    def _note(self, record: Record, failure: Failure) -> None:
        self._failed[failure.op] = failure.program
        record.failures.append(failure)

    def _explained(self, record: Record, failing: Failing | None) -> Record:
        """Make what failed small."""
        if failing:
            self._failing(record, *failing)
        for place, failure in enumerate(record.failures):
            if isinstance(failure, CheckFailure):
                seed, check, number = failure.found
                sides = self.engine, for_check(check, self.engine, self.references)
                record.failures[place] = CheckFailure(
                    check, look(check, seed, number, *sides, short=True), failure.found
                )
        return record

    def _failing(self, record: Record, program: Program, verdict: Verdict, found: Found) -> None:
        """Make a failing program small, unless its op has failed before: then it has nothing new to say."""
        failure = as_found(program, verdict, found)
        try:
            failure = self.explained(program, found, verdict)
            if failure.op in self._failed:
                record.repeats = True
                return
            failure = self.explained(self._smallest(program, verdict), found, verdict)
        except BaseException:  # the run is cut short: what was found is told as it is
            self._note(record, failure)
            raise
        self._note(record, failure)

    def _judged(self, program: Program) -> tuple[Verdict, Reference]:
        return judge_by_all(program, self.engine, self.references.that_know(program) or self.references.members[:1])

    def explained(self, program: Program, found: Found | None = None, before: Verdict | None = None) -> Failure:
        """Judge a failing program once more, and say where it goes wrong. What is seen but once is told by `before`."""
        verdict, reference = self._judged(program)
        verdict = verdict if verdict.result.blames or before is None else before
        origin = localise(program, self.engine, reference)
        step = program.steps[-1 if origin.step is None else origin.step]
        return Failure(step.op, program, verdict, origin, found)

    def _smallest(self, program: Program, verdict: Verdict) -> Program:
        """The smallest program that is wrong in the same way: first by a quick look, and then by all tiers."""
        kinds = {finding.kind for finding in verdict.findings}
        named = [reference for reference in self.references.members if reference.name == verdict.reference]
        reference = (named or self.references.members)[0]
        if Kind.CONVENTION in kinds:  # which only the witness tells from a wrong gradient
            kinds |= {Kind.GRADIENT}

        def looks_wrong(candidate: Program, *, patient: bool) -> bool:
            repeat = Kind.NON_DETERMINISTIC in kinds
            again = judge(candidate, self.engine, reference, repeat=repeat, patient=patient)
            return again.result.blames and bool(kinds & {f.kind for f in again.findings})

        def fails(candidate: Program) -> bool:
            return looks_wrong(candidate, patient=False) and looks_wrong(candidate, patient=True)

        return shrink(program, fails)


def as_found(program: Program, verdict: Verdict, found: Found) -> Failure:
    """A failure that nobody has looked into: the run was cut short."""
    return Failure(
        program.steps[-1].op, program, verdict, Origin(None, "the run ended before it was made small"), found
    )


def _one(
    sides: tuple[Engine, References] | Sides,
    ops: Sequence[str],
    seed: int,
    what: str,
    number: int,
    *,
    record: Record | None = None,
) -> tuple[Record, Failing | None]:
    """Run programs of an op or expressions, or the cases of another check, wherever this is."""
    both = sides.both if isinstance(sides, Sides) else sides
    if what in CHECKS:
        return checked(both, seed, what, number, record), None
    return drawn(both, ops, seed, what, number, record=record)


def for_check(check: str, engine: Engine, references: References) -> Reference:
    """The first of the references that another check can be held against; the first of all, if there is none."""
    able = (reference for reference in references.members if not left_out(check, engine, reference))
    return next(able, references.members[0])


def drawn(
    sides: tuple[Engine, References],
    ops: Sequence[str],
    seed: int,
    op: str,
    number: int,
    *,
    record: Record | None = None,
) -> tuple[Record, Failing | None]:
    """Run programs for one op. They end with the first that fails, for the next would fail in the same way.

    A convention ends nothing: it must not hide what is wrong.
    """
    record = record or Record(op)
    another: Failing | None = None
    try:
        for i in range(number):
            failing = _judged(sides, ops, (seed, op, i), record)
            if failing and failing[1].result is Result.ENGINE_WRONG:
                return record, failing
            another = another or failing
    except BaseException:
        record.failures += [as_found(*another)] if another else []
        raise
    return record, another


def _judged(sides: tuple[Engine, References], ops: Sequence[str], found: Found, record: Record) -> Failing | None:
    """Judge and count one program; give it if it fails."""
    seed, op, number = found
    engine, references = sides
    try:
        program = drawn_again(seed, op, number, ops, few_shapes=references.few_shapes)
    except Unsuited:
        record.unsuited += 1
        return None
    members = references.that_know(program)
    if not members:
        record.unsupported += 1
        return None
    verdict, _ = judge_by_all(program, engine, members)
    record.add(verdict, number)
    return (program, verdict, found) if verdict.result.blames else None


def drawn_again(seed: int, op: str, number: int, ops: Sequence[str], *, few_shapes: bool = False) -> Program:
    """Draw a program of a campaign by its number: the same each time."""
    return draw_program(Seeded(seed, op, number), None if op == EXPRESSIONS else op, ops, few_shapes=few_shapes)


def checked(
    sides: tuple[Engine, References], seed: int, check: str, number: int, record: Record | None = None
) -> Record:
    """Run cases of another check. They end with the first that goes wrong."""
    record = record or Record(check)
    engine, reference = sides[0], for_check(check, *sides)
    lacking = without(check, engine, reference)
    record.left_out = f"the calls {', '.join(lacking)}" if lacking else ""
    for i in range(number):
        looked = look(check, seed, i, engine, reference)
        record.programs += 1
        record.numbers += looked.numbers
        record.worst = max(record.worst, looked.worst)
        if looked.findings:
            record.failures.append(CheckFailure(check, looked, (seed, check, i)))
            break
    return record
