"""Mutation testing: the ordinary checks are run against each planted fault and must catch it.

A seed determines a sequence of cases in rounds. A round holds each op once, and some expressions, sessions, training
runs and checks of the library, shuffled. Neither the order nor the cases depend on the faults: they are the cases that
`verify` runs. The number of cases until one fails measures how well the harness detects a fault.

The right engine runs each case first, and its calls of all callables that faults replace are recorded. A case is
skipped for a fault if it calls none that the fault replaces: with the fault it would run in just the same way. Skipped
cases count like all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, NamedTuple

from reference.checks import EXPRESSIONS, Case, ProgramCase, draw_case
from reference.engines import Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine, one_thread
from reference.mutation import Fault, every
from reference.mutation.planting import Change, Seam
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from reference.processes.workers import Workers
from reference.programs import Program

# How often each kind of case occurs in a round, beside each op once: about as in a campaign's profiles.
A_ROUND = {EXPRESSIONS: 7, "sessions": 5, "training": 5, "library": 3}
ROUNDS = {"quick": 60, "standard": 130, "deep": 3_000}


class Numbered(NamedTuple):
    """One case of the order.

    Args:
        check: the check that it belongs to.
        case: the case; None if the draw was unsuited.
        called: the seams of faults that the right engine calls on it.
    """

    check: str
    case: Case | None
    called: frozenset[Seam]

    def can_show(self, fault: Fault) -> bool:
        """Whether a fault can change anything here. It cannot if it has seams and none of them is called."""
        seams = fault.plant.seams
        return seams is None or not seams.isdisjoint(self.called)


@dataclass(frozen=True)
class Catch:
    """The result of running cases against one fault.

    Args:
        fault: the fault's name.
        seed: the seed of the cases.
        check: the check that caught it: an op's programs, expressions, sessions ...; empty if it was not caught.
        says: the first finding.
        cases: how many cases were run, including the one that caught it.
        seconds: how long it took.
    """

    fault: str
    seed: int
    check: str
    says: str
    cases: int
    seconds: float


class Cases:
    """The cases of a seed, in order. The reference's outcome of a program is computed once.

    Args:
        seed: the seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rounds: list[list[Numbered]] = []
        self._reference = _CachedTorch()
        self._sides = NdgradEngine(), References([self._reference])

    def rounds(self, number: int) -> Iterator[Sequence[Numbered]]:
        """Yield this many rounds. A new one is drawn, and run by the right engine: no fault may be planted then."""
        for i in range(number):
            if i >= len(self._rounds):
                self._rounds.append(self._round(i))
            yield self._rounds[i]

    def failure_in(self, case: Case | None) -> str:
        """Run a case and return the first finding; empty if there is none."""
        verdict = case.run(*self._sides).verdict if case else None
        return f"{verdict.findings[0].kind} {verdict.findings[0].part}" if verdict and verdict.result.blames else ""

    def _round(self, number: int) -> list[Numbered]:
        """Draw the cases of a round. They are numbered by check, so that a new op changes no other op's cases."""
        each = {**dict.fromkeys(OPS, 1), **A_ROUND}
        tickets = tuple(f"{check} {i}" for check, times in each.items() for i in range(times))
        cases = []
        with recorded(_all_seams()) as called:
            for ticket in Seeded(self._seed, "round", number).among(tickets):
                check, _, i = ticket.partition(" ")
                case = self._case(check, number * each[check] + int(i))
                called.clear()  # what drawing calls does not count: no fault is planted then
                self.failure_in(case)
                cases.append(Numbered(check, case, frozenset(called)))
        return cases

    def _case(self, check: str, number: int) -> Case | None:
        try:
            case = draw_case(check, self._seed, number, tuple(OPS))
        except Unsuited:
            return None
        if isinstance(case, ProgramCase):
            self._reference.cache(case.program)
        return case


@contextmanager
def recorded(seams: Iterable[Seam]) -> Iterator[set[Seam]]:
    """Add to a set each of these seams that is called inside, in any thread. Results stay the same."""
    called: set[Seam] = set()
    with ExitStack() as stack:
        for seam in sorted(seams, key=lambda seam: not seam.remakes_operators):
            stack.enter_context(seam.replaced(_recording(called, seam)))
        yield called


def _recording(called: set[Seam], seam: Seam) -> Change:
    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(right)  # `lean()` reads signatures
        def recording(*args: Any, **options: Any) -> Any:
            called.add(seam)
            return right(*args, **options)

        return recording

    return change


def _all_seams() -> frozenset[Seam]:
    return frozenset().union(*(fault.plant.seams or () for fault in every().values()))


class _CachedTorch(TorchEngine):
    """PyTorch with a cache of outcomes."""

    def __init__(self) -> None:
        super().__init__()
        self._outcomes: dict[int, Outcome] = {}

    def cache(self, program: Program) -> None:
        """Run a program and cache the outcome under its id. The caller must keep the program alive."""
        self._outcomes[id(program)] = super().run(program)

    def run(self, program: Program, **options: Any) -> Outcome:
        """Run a program, unless its plain outcome is cached."""
        plain = None if any(options.values()) else self._outcomes.get(id(program))
        return plain or super().run(program, **options)


def detect(fault: Fault, cases: Cases, seed: int, rounds: int) -> Catch:
    """Plant a fault, anew in each round, and run cases until one fails. Cases that cannot show it are skipped."""
    start, before = time.perf_counter(), 0
    for some in cases.rounds(rounds):
        with fault.plant():
            for number, numbered in enumerate(some, before + 1):
                says = numbered.can_show(fault) and cases.failure_in(numbered.case)
                if says:
                    return Catch(fault.name, seed, numbered.check, says, number, time.perf_counter() - start)
        before += len(some)
    return Catch(fault.name, seed, "", "", before, time.perf_counter() - start)


# Several processes: each caches the cases of its current seed.

_CHUNK = 12  # faults in a task


@lru_cache(maxsize=1)
def _cases_of(seed: int) -> Cases:
    return Cases(seed)


def _chunk(names: Sequence[str], seed: int, rounds: int) -> list[Catch]:
    one_thread()
    return [detect(every()[name], _cases_of(seed), seed, rounds) for name in names]


def detect_all(names: Sequence[str], seeds: Sequence[int], rounds: int, workers: int) -> Generator[Catch, None, None]:
    """Run cases against faults in several processes; yield the catches seed after seed.

    Args:
        names: the names of the faults.
        seeds: the seeds of the cases.
        rounds: the most rounds of cases for each fault.
        workers: the number of processes.
    """
    chunks = [(names[i : i + _CHUNK], seed) for seed in seeds for i in range(0, len(names), _CHUNK)]
    with Workers(min(workers, len(chunks))) as pool:
        for catches in pool.map(_chunk, *zip(*((some, seed, rounds) for some, seed in chunks), strict=True)):
            yield from catches
