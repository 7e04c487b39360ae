"""Mutation testing: the ordinary checks are run against each planted fault, and must catch it.

The cases of a seed stand in one order, drawn in rounds: each op once, and some expressions, sessions, training runs and
checks of the library, shuffled. The order knows no fault, and the cases know none: they are those that `verify` is made
of. How many of them it takes until one fails is how well the harness detects a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from ndgrad.rules import RULES
from reference.checks import EXPRESSIONS, Case, ProgramCase, draw_case
from reference.engines import Noise, Outcome
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine, one_thread
from reference.mutation import Fault, every
from reference.mutation.planting import AtPullback, Change, around, together
from reference.ops import OPS
from reference.ops.source import Seeded, Unsuited
from reference.processes.workers import Workers
from reference.programs import Program

# How often a kind of case comes in a round, beside each op once: about as in the profiles of a campaign.
A_ROUND = {EXPRESSIONS: 7, "sessions": 5, "training": 5, "library": 3}
ROUNDS = {"quick": 60, "standard": 130, "deep": 3_000}

Pullback: TypeAlias = tuple[str, int]  # of an op, towards an operand


class Numbered(NamedTuple):
    """A case of the order.

    Args:
        check: what it belongs to.
        case: the case; None where none could be drawn.
        called: the pullbacks that the right engine calls on it.
    """

    check: str
    case: Case | None
    called: frozenset[Pullback]

    def is_touched_by(self, fault: Fault) -> bool:
        """Whether a fault can change anything here. One in a pullback that is not called cannot."""
        plant = fault.plant
        return not isinstance(plant, AtPullback) or (plant.op, plant.position) in self.called


@dataclass(frozen=True)
class Catch:
    """What came of the search for one fault.

    Args:
        fault: its name.
        seed: of the cases.
        check: the check that caught it: an op's programs, expressions, sessions ...; empty if none did.
        says: what is wrong, in the words of that check.
        cases: how many cases it took, the last included.
        seconds: how long.
    """

    fault: str
    seed: int
    check: str
    says: str
    cases: int
    seconds: float


class Cases:
    """The cases of a seed, in their order. What the reference says to a program is worked out once.

    Args:
        seed: what they are drawn from.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rounds: list[list[Numbered]] = []
        self._reference = _Remembering()
        self._sides = NdgradEngine(), References([self._reference])

    def rounds(self, number: int) -> Iterator[Sequence[Numbered]]:
        """Give so many rounds. A new one is drawn, and run by the right engine: no fault may be planted then."""
        for i in range(number):
            if i >= len(self._rounds):
                self._rounds.append(self._round(i))
            yield self._rounds[i]

    def told(self, case: Case | None) -> str:
        """Run a case beside the reference, and say what is wrong; nothing if nothing is."""
        verdict = case.run(*self._sides).verdict if case else None
        return f"{verdict.findings[0].kind} {verdict.findings[0].part}" if verdict and verdict.result.blames else ""

    def _round(self, number: int) -> list[Numbered]:
        """The cases of a round. Each is numbered among those of its check: an op that is new changes no other's."""
        each = {**dict.fromkeys(OPS, 1), **A_ROUND}
        tickets = tuple(f"{check} {i}" for check, times in each.items() for i in range(times))
        cases = []
        for ticket in Seeded(self._seed, "round", number).among(tickets):
            check, _, i = ticket.partition(" ")
            cases.append(self._numbered(check, number * each[check] + int(i)))
        return cases

    def _numbered(self, check: str, number: int) -> Numbered:
        case, called = self._case(check, number), set[Pullback]()
        with _recorded(called):
            self.told(case)
        return Numbered(check, case, frozenset(called))

    def _case(self, check: str, number: int) -> Case | None:
        try:
            case = draw_case(check, self._seed, number, tuple(OPS))
        except Unsuited:
            return None
        if isinstance(case, ProgramCase):
            self._reference.remember(case.program)
        return case


@contextmanager
def _recorded(called: set[Pullback]) -> Iterator[None]:
    """Add to a set each pullback that is called inside."""

    def recording(place: Pullback) -> Change:
        def change(right: Callable[..., Any]) -> Callable[..., Any]:
            def pullback(*args: Any, **options: Any) -> Any:
                called.add(place)
                return right(*args, **options)

            return pullback

        return change

    places = [(op, i) for op, rule in RULES.items() for i, pullback in enumerate(rule.pullbacks) if pullback]
    with together(*(around(*place, recording(place)) for place in places))():
        yield


class _Remembering(TorchEngine):
    """PyTorch, which remembers what it said to programs."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[int, Outcome] = {}

    def remember(self, program: Program) -> None:
        """Run a program, and give that outcome from now on. Whoever asks must keep the program."""
        self._said[id(program)] = super().run(program)

    def run(
        self,
        program: Program,
        *,
        noise: Noise | None = None,
        precision: str | None = None,
        path: Sequence[Any] | None = None,
        inner: bool = False,
    ) -> Outcome:
        """Run a program, unless it is remembered as it stands."""
        if noise is not None or precision is not None or path is not None or inner:
            return super().run(program, noise=noise, precision=precision, path=path, inner=inner)
        return self._said.get(id(program)) or super().run(program)


def detect(fault: Fault, cases: Cases, seed: int, rounds: int) -> Catch:
    """Plant a fault, anew in each round, and run cases until one fails. Those that it cannot change are passed over."""
    start, before = time.perf_counter(), 0
    for some in cases.rounds(rounds):
        with fault.plant():
            for number, numbered in enumerate(some, before + 1):
                says = numbered.is_touched_by(fault) and cases.told(numbered.case)
                if says:
                    return Catch(fault.name, seed, numbered.check, says, number, time.perf_counter() - start)
        before += len(some)
    return Catch(fault.name, seed, "", "", before, time.perf_counter() - start)


# Several processes: each keeps the cases of the seed that it is at.

_CHUNK = 12  # faults that a process is given at a time


@lru_cache(maxsize=1)
def _cases(seed: int) -> Cases:
    return Cases(seed)


def _chunk(names: Sequence[str], seed: int, rounds: int) -> list[Catch]:
    one_thread()
    return [detect(every()[name], _cases(seed), seed, rounds) for name in names]


def detect_all(names: Sequence[str], seeds: Sequence[int], rounds: int, workers: int) -> Generator[Catch, None, None]:
    """Look for faults by name, in several processes; give each catch as it is there, seed after seed.

    Args:
        names: of faults.
        seeds: of the cases.
        rounds: how many rounds of cases each is given at the most.
        workers: how many processes.
    """
    chunks = [(names[i : i + _CHUNK], seed) for seed in seeds for i in range(0, len(names), _CHUNK)]
    with Workers(min(workers, len(chunks))) as pool:
        for catches in pool.map(_chunk, *zip(*((some, seed, rounds) for some, seed in chunks), strict=True)):
            yield from catches
