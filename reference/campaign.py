"""Many programs: each op in turn, then expressions of all of them. What fails is shrunk, and named for the op at fault.

Program `i` of a campaign depends on the seed, the op and `i` alone, so several processes can share a campaign, and find
what one would find. It comes from a plain source, which is faster than Hypothesis; what fails is made small by
`shrinking`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from reference.checks import Looked, look
from reference.engines import Engine, NdgradEngine, TorchEngine
from reference.engines.torch import one_thread
from reference.generator import draw_program
from reference.kept import Kept
from reference.program import Program
from reference.shrinking import shrink
from reference.source import Seeded, Unsuited
from reference.verdict import Kind, Result, Verdict, judge
from reference.verdict.localise import Origin, localise

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
        reference_wrong: those in which the reference is wrong.
        witnessed: those in which the exact witness was asked.
        refused: those that both sides refused, as they should.
        unsuited: choices that no program came of.
        repeats: whether a program failed for an op that a record before has a failure for.
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
    witnessed: int = 0
    refused: int = 0
    unsuited: int = 0
    repeats: bool = False
    failures: list[Failure | CheckFailure] = field(default_factory=list)

    def add(self, verdict: Verdict, number: int | None = None) -> None:
        """Count a verdict; on the program of this number, if it was drawn."""
        self.programs += 1
        self.numbers += verdict.numbers
        if verdict.worst > self.worst:
            self.worst, self.widest = verdict.worst, number
        self.conditioned += verdict.result is Result.CONDITIONED
        self.inconclusive += verdict.result is Result.INCONCLUSIVE
        self.reference_wrong += verdict.result is Result.REFERENCE_WRONG
        self.witnessed += verdict.witnessed
        self.refused += verdict.refused


class Campaign:
    """Programs for an engine beside the reference.

    Args:
        engine: what is judged.
        reference: what is believed.
        ops: what programs are made of; by default all that the engine knows and the catalogue has.
        seed: what they are drawn from.
        kept: the file of programs that failed before; they are tried first.
    """

    def __init__(
        self,
        engine: Engine,
        reference: TorchEngine,
        ops: Sequence[str] | None = None,
        seed: int = 0,
        kept: Path | None = None,
    ) -> None:
        self.engine = engine
        self.reference = reference
        self.ops = tuple(ops if ops is not None else (op for op in reference.ops if op in engine.ops))
        self.seed = seed
        self._kept = Kept(kept)
        self._failed: dict[str, Program] = {}  # the ops that have a failure, and what it is

    def run(self, profile: Profile, pool: ProcessPoolExecutor | None = None) -> Iterator[Record]:
        """Run what failed before, programs for each op, expressions and the other checks; give each record in turn.

        Args:
            profile: how many of each.
            pool: processes that run them; by default this one. They judge ndgrad as it is installed, whatever engine
                this campaign has. What fails is made small here.
        """
        programs = dict.fromkeys(self.ops, profile.for_each_op)
        if programs:
            programs[EXPRESSIONS] = profile.expressions
        before = self._again(self._kept.programs())
        if before.programs:
            yield before
        sides = None if pool else (self.engine, self.reference)
        through = pool.map if pool else map
        records = through(partial(drawn, sides, self.ops, self.seed), programs, programs.values())
        looked = through(partial(checked, self.seed), profile.checks, profile.checks.values())
        for record, failing in records:
            if failing:
                self._failing(record, *failing)
            yield record
        self._kept.keep(self._failed.values())
        yield from looked

    def _again(self, programs: Sequence[Program]) -> Record:
        """Run programs that failed the last time: those that are of ops that are asked for."""
        record = Record(KEPT)
        for program in programs:
            if all(step.op in self.ops for step in program.steps):
                verdict = judge(program, self.engine, self.reference)
                record.add(verdict)
                if verdict.result.blames:
                    self._note(record, self.explained(program))
            else:
                self._failed.setdefault(str(program), program)  # it waits for its turn
        return record

    def _note(self, record: Record, failure: Failure) -> None:
        self._failed[failure.op] = failure.program
        record.failures.append(failure)

    def _failing(self, record: Record, program: Program, verdict: Verdict, found: Found) -> None:
        """Make a failing program small, unless its op has failed before: then it has nothing new to say."""
        if self.explained(program, found, verdict).op in self._failed:
            record.repeats = True
            return
        self._note(record, self.explained(self._smallest(program, verdict), found, verdict))

    def explained(self, program: Program, found: Found | None = None, before: Verdict | None = None) -> Failure:
        """Judge a failing program once more, and say where it goes wrong. What is seen but once is told by `before`."""
        verdict = judge(program, self.engine, self.reference)
        verdict = verdict if verdict.result.blames or before is None else before
        origin = localise(program, self.engine, self.reference)
        step = program.steps[-1 if origin.step is None else origin.step]
        return Failure(step.op, program, verdict, origin, found)

    def _smallest(self, program: Program, verdict: Verdict) -> Program:
        """The smallest program that is wrong in the same way: first by a quick look, and then by all tiers."""
        kinds = {finding.kind for finding in verdict.findings}
        if Kind.CONVENTION in kinds:  # which only the witness tells from a wrong gradient
            kinds |= {Kind.GRADIENT}

        def looks_wrong(candidate: Program, *, patient: bool) -> bool:
            repeat = Kind.NON_DETERMINISTIC in kinds
            again = judge(candidate, self.engine, self.reference, repeat=repeat, patient=patient)
            return again.result.blames and bool(kinds & {f.kind for f in again.findings})

        def fails(candidate: Program) -> bool:
            return looks_wrong(candidate, patient=False) and looks_wrong(candidate, patient=True)

        return shrink(program, fails, self.reference)


def drawn(
    sides: tuple[Engine, TorchEngine] | None, ops: Sequence[str], seed: int, op: str, number: int
) -> tuple[Record, Failing | None]:
    """Run programs for one op. They end with the first that fails, for the next would fail in the same way.

    A convention ends nothing: it must not hide what is wrong.
    """
    engine, reference = sides or (NdgradEngine(), TorchEngine())
    record = Record(op)
    another: Failing | None = None
    for i in range(number):
        try:
            program = drawn_again(seed, op, i, ops)
        except Unsuited:
            record.unsuited += 1
            continue
        verdict = judge(program, engine, reference)
        record.add(verdict, i)
        if verdict.result is Result.ENGINE_WRONG:
            return record, (program, verdict, (seed, op, i))
        if verdict.result is Result.CONVENTION and another is None:
            another = (program, verdict, (seed, op, i))
    return record, another


def drawn_again(seed: int, op: str, number: int, ops: Sequence[str]) -> Program:
    """Draw a program of a campaign by its number: the same each time."""
    return draw_program(Seeded(seed, op, number), _focus(op), ops)


def checked(seed: int, check: str, number: int) -> Record:
    """Run cases of another check. They end with the first that goes wrong."""
    record = Record(check)
    for i in range(number):
        looked = look(check, seed, i)
        record.programs += 1
        record.numbers += looked.numbers
        record.worst = max(record.worst, looked.worst)
        if looked.findings:
            found = look(check, seed, i, short=True)
            record.failures.append(CheckFailure(check, found, (seed, check, i)))
            break
    return record


def processes(workers: int) -> ProcessPoolExecutor:
    """Processes for a campaign."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=ready)


def ready() -> None:
    """Make this process fit to run many small programs.

    PyTorch's threads would wait for each other, and the collector would go again and again through the hundreds of
    thousands of objects that importing it made: a tenth of the time.
    """
    one_thread()
    gc.collect()
    gc.freeze()


def _focus(op: str) -> str | None:
    return None if op == EXPRESSIONS else op
