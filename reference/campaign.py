"""Many programs: each op in turn, then expressions of all of them. What fails is shrunk, and named for the op at fault.

Program `i` of a campaign depends on the seed, the op and `i` alone. It comes from a plain source, which is faster than
Hypothesis; the choices of a program that fails are handed to Hypothesis as an example to start from, to be shrunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
from hypothesis.errors import HypothesisException

from reference.engines import Engine, TorchEngine
from reference.generator import draw_program
from reference.program import Program
from reference.source import Seeded, Unsuited
from reference.strategies import programs
from reference.verdict import Kind, Result, Verdict, judge
from reference.verdict.localise import Origin, localise, steps_alone

EXPRESSIONS = "expressions"  # where an op's name stands for programs of any ops


@dataclass(frozen=True)
class Profile:
    """How many programs a campaign runs: for each op, and of any ops."""

    for_each_op: int
    expressions: int


PROFILES = {
    "quick": Profile(for_each_op=30, expressions=200),
    "standard": Profile(for_each_op=130, expressions=2_500),
    "deep": Profile(for_each_op=3_000, expressions=60_000),
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
    found: tuple[int, str, int] | None = None


@dataclass
class Record:
    """What came of the programs drawn for one op."""

    op: str
    programs: int = 0
    numbers: int = 0
    worst: float = 0.0
    conditioned: int = 0
    inconclusive: int = 0
    reference_wrong: int = 0
    witnessed: int = 0
    refused: int = 0
    unsuited: int = 0
    failures: list[Failure] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count a verdict."""
        self.programs += 1
        self.numbers += verdict.numbers
        self.worst = max(self.worst, verdict.worst)
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
    """

    def __init__(self, engine: Engine, reference: TorchEngine, ops: Sequence[str] | None = None, seed: int = 0) -> None:
        self.engine = engine
        self.reference = reference
        self.ops = tuple(ops if ops is not None else (op for op in reference.ops if op in engine.ops))
        self.seed = seed

    def run(self, profile: Profile) -> Iterator[Record]:
        """Run programs for each op and then expressions; give the record of each as it is complete."""
        for op in self.ops:
            yield self.drawn_for(op, profile.for_each_op)
        if self.ops:
            yield self.drawn_for(EXPRESSIONS, profile.expressions)

    def drawn_for(self, op: str, number: int) -> Record:
        """Run programs for one op. They end with the first that fails, for the next would fail in the same way."""
        record = Record(op)
        for i in range(number):
            source = Seeded(self.seed, op, i)
            try:
                program = draw_program(source, _focus(op), self.ops)
            except Unsuited:
                record.unsuited += 1
                continue
            verdict = judge(program, self.engine, self.reference)
            record.add(verdict)
            if verdict.result.blames:
                small = self._smallest(program, source.choices, verdict, op)
                record.failures.append(self.explained(small, (self.seed, op, i)))
                break
        return record

    def explained(self, program: Program, found: tuple[int, str, int] | None = None) -> Failure:
        """Judge a failing program once more, and say where it goes wrong."""
        verdict = judge(program, self.engine, self.reference)
        origin = localise(program, self.engine, self.reference)
        step = program.steps[-1 if origin.step is None else origin.step]
        return Failure(step.op, program, verdict, origin, found)

    def _smallest(self, program: Program, choices: Sequence[int], verdict: Verdict, op: str) -> Program:
        """Hand the choices behind a failing program to Hypothesis, as an example of its own, to be shrunk."""
        kinds = {finding.kind for finding in verdict.findings}
        if Kind.CONVENTION in kinds:  # which only the witness tells from a wrong gradient
            kinds |= {Kind.GRADIENT}

        def fails(candidate: Program, *, patient: bool = False) -> bool:
            repeat = Kind.NON_DETERMINISTIC in kinds
            again = judge(candidate, self.engine, self.reference, repeat=repeat, patient=patient)
            return again.result.blames and bool(kinds & {f.kind for f in again.findings})

        database, key = InMemoryExampleDatabase(), b"failing"
        # One choice too many: an example that is replayed to the letter counts as shrunk, and would be left as it is.
        database.save(key, choices_to_bytes([*choices, 0]))
        try:
            drawn = programs(_focus(op), self.ops)
            shrunk: Program = find(drawn, fails, settings=_shrinking(database), database_key=key)
        except HypothesisException:  # it does not fail a second time: then it is reported as it was
            return program
        smaller = sorted([shrunk, *filter(fails, self._simpler(shrunk))], key=lambda p: len(str(p)))
        return next((p for p in smaller if fails(p, patient=True)), program)

    def _simpler(self, program: Program) -> Iterator[Program]:
        """Each of several steps by itself: what Hypothesis cannot come to, for it would have to draw other choices."""
        if len(program.steps) > 1 and program.cotangent is not None:
            for _, alone in steps_alone(program, self.reference.run(program)):
                yield alone
                yield replace(alone, cotangent=np.ones_like(alone.cotangent))


def _focus(op: str) -> str | None:
    return None if op == EXPRESSIONS else op


def _shrinking(database: InMemoryExampleDatabase) -> settings:
    return settings(
        database=database,
        phases=(Phase.reuse, Phase.shrink),
        max_examples=10_000,  # the programs tried on the way down count, too
        deadline=None,
        derandomize=False,
        suppress_health_check=tuple(HealthCheck),
    )
