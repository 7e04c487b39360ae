"""The Hypothesis strategy draws the generator's programs, respects its arguments, and shrinks to readable programs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes

from reference.ops import OPS
from reference.ops.source import Seeded, Source, Unsuited
from reference.programs import Program, strategies
from reference.programs.generator import draw_program
from reference.programs.strategies import programs

# Without the explain phase, which varies the shrunk example, and keeps a variation of fewer choices without shrinking.
SAME = settings(
    max_examples=2_000, database=None, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)  # fmt: skip


def smallest(op: str, holds: Callable[[Program], bool]) -> Program:
    """Shrink a program for an op for which `holds` is true.

    The end of shrinking depends on its start: half of the starts lead to one step more, or to another shape. So this is
    the shortest line of up to five runs, and runs end with a program of one step on single numbers.
    """

    def fails(program: Program) -> bool:
        return program.cotangent is not None and holds(program)

    found: list[Program] = []
    for start in range(5):
        random = Random(start)  # noqa: S311 - repeatable, not secret
        found.append(find(programs(op), fails, settings=SAME, random=random))
        if len(found[-1].steps) == 1 and all(o.data.size <= 1 for o in found[-1].operands):
            break
    return min(found, key=lambda program: len(str(program)))


# Shrinking.


@pytest.mark.parametrize("op", ["tanh", "multiply", "power", "sum", "clip", "getitem", "concatenate", "reshape"])
def test_a_failure_of_an_op_shrinks_to_the_op(op: str) -> None:
    """It shrinks to one step, with no more operands than the op needs, and at most one number in each."""
    program = smallest(op, lambda program: any(step.op == op for step in program.steps))
    assert [step.op for step in program.steps] == [op]
    assert len(program.operands) <= (1 if op == "concatenate" else OPS[op].inputs.slots)
    assert all(operand.data.size <= 1 for operand in program.operands)


@pytest.mark.parametrize(
    ("holds", "line"),
    [
        (
            lambda p: any(o.layout == "F" and o.data.size for o in p.operands),
            'x=f8(1.0,layout="F"); a=tanh(x); back(a,f8(1.0))',
        ),
        (lambda p: any(o.data.dtype == np.float32 for o in p.operands), "x=f4(1.0); a=tanh(x); back(a,f4(1.0))"),
        (lambda p: bool(p.directions), "x=f8(1.0); a=tanh(x); back(a,f8(1.0),along=(f8(1.0),))"),
    ],
    ids=["layout", "dtype", "second order"],
)
def test_shrinking_simplifies_all_that_the_failure_does_not_need(holds: Callable[[Program], bool], line: str) -> None:
    """A layout, a dtype or directions that a failure needs stay, and the rest becomes as simple as possible."""
    assert str(smallest("tanh", holds)) == line


@pytest.mark.parametrize("number", [-1.0, 2.0, -2.0, 0.5])
def test_a_number_that_a_failure_needs_stays(number: float) -> None:
    """The other numbers shrink to 1, and the program to at most three steps."""
    program = smallest("tanh", lambda p: any((o.data == number).any() for o in p.operands))
    assert len(program.steps) <= 3
    assert {x for o in program.operands for x in o.data.ravel()} <= {1.0, number}


@pytest.mark.parametrize(
    ("low", "high", "simplest"), [(-3, 2, [0, 0, 0, 2]), (1, 300, [1, 1, 1, 2]), (0, 3, [0, 0, 0, 2])]
)
def test_many_numbers_shrink_one_by_one(low: int, high: int, simplest: list[int]) -> None:
    """Each number shrinks to 0, or to the least of its range, although one must be 2."""

    @st.composite
    def four(draw: Callable[[st.SearchStrategy[Random]], Random]) -> list[int]:
        return strategies._HypothesisSource(draw(st.randoms(use_true_random=False))).integers(low, high, 4)

    found = find(four(), lambda numbers: 2 in numbers, settings=SAME, random=Random(0))  # noqa: S311
    assert sorted(found) == simplest


# A replay.


class Recorded(Seeded):
    """A seed's choices, recorded as Hypothesis would have made them."""

    def __init__(self, *seed: object) -> None:
        super().__init__(*seed)
        self.choices: list[int | bytes] = []

    among, branch = Source.among, Source.branch

    def integer(self, low: int, high: int) -> int:
        number = super().integer(low, high)
        self.choices.append(number)
        return number

    def integers(self, low: int, high: int, count: int) -> list[int]:
        if count < 2:
            return [self.integer(low, high) for _ in range(count)]
        numbers = super().integers(low, high, count)
        order = [*range(high + 1), *range(-1, low - 1, -1)] if low < 0 <= high else range(low, high + 1)
        chosen = bytes(-(-order.index(number) * 256 // len(order)) for number in numbers)
        self.choices += [chosen[i : i + 64].ljust(64, b"\0") for i in range(0, count, 64)]
        return numbers


@pytest.mark.parametrize("op", ["tanh", "where", "getitem", "pad", None])
@pytest.mark.parametrize("number", range(4))
def test_recorded_choices_give_the_same_program(op: str | None, number: int) -> None:
    """From the choices of a campaign's program, Hypothesis draws the same program, and so can shrink it."""
    source = Recorded("replay", op, number)
    line = str(draw_program(source, op))
    database, seen = InMemoryExampleDatabase(), list[str]()

    def record(program: Program) -> bool:
        seen.append(str(program))
        return True

    database.save(b"key", choices_to_bytes(source.choices))
    again = settings(SAME, database=database, phases=[Phase.reuse])
    assert str(find(programs(op), record, settings=again, database_key=b"key")) == line
    assert seen[0] == line


# Programs.


@given(programs("tanh"))
def test_each_program_contains_the_focus(program: Program) -> None:
    """The focus is among the ops of the steps."""
    assert any(step.op == "tanh" for step in program.steps)


@given(programs(ops=["add", "subtract", "multiply", "tanh"]))
def test_only_the_given_ops_are_used(program: Program) -> None:
    """Steps use only the ops in `ops`, so that an engine with a few ops can be tested."""
    assert {step.op for step in program.steps} <= {"add", "subtract", "multiply", "tanh"}


def test_unsuited_choices_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choices that give no program are rejected, and do not fail a test."""
    program = draw_program(Seeded(0), "tanh")

    def unsuited(source: Source, focus: str | None, ops: None) -> Program:
        if source.integer(0, 1):
            raise Unsuited
        return program

    monkeypatch.setattr(strategies, "draw_program", unsuited)
    received: list[Program] = []

    @settings(SAME, max_examples=20)
    @given(st.tuples(programs(), st.integers()))
    def collect(pair: tuple[Program, int]) -> None:
        received.append(pair[0])

    collect()
    assert len(received) > 5
    assert all(one is program for one in received)


@pytest.fixture(name="sampled", scope="module")
def _sampled() -> list[Program]:
    sampled: list[Program] = []

    @settings(SAME, max_examples=400, phases=[Phase.generate])
    @given(programs())
    def collect(program: Program) -> None:
        sampled.append(program)

    collect()
    return sampled


# fmt: off
REACHED: list[tuple[str, Callable[[Program], bool], int]] = [
    # programs that                  such that                                                            at least
    ("must be refused",              lambda p: p.cotangent is None,                                              1),
    ("are of second order",          lambda p: bool(p.directions),                                              22),
    ("are in single precision",      lambda p: any(o.data.dtype == np.float32 for o in p.operands),             55),
    ("have unusual layouts",         lambda p: any(o.layout != "C" for o in p.operands),                       100),
    ("have zeros",                   lambda p: any((o.data == 0).any() for o in p.operands),                    39),
    ("have infinities or NaN",       lambda p: any(not np.isfinite(o.data).all() for o in p.operands),          19),
    ("have no uniform cotangent",    lambda p: p.cotangent is not None and np.unique(p.cotangent).size > 1,    134),
    ("have four steps or more",      lambda p: len(p.steps) >= 4,                                              115),
]
# fmt: on


@pytest.mark.parametrize(("kind", "is_such", "at_least"), REACHED, ids=[kind for kind, *_ in REACHED])
def test_hypothesis_reaches_each_kind_of_program(
    kind: str, is_such: Callable[[Program], bool], at_least: int, sampled: list[Program]
) -> None:
    """Hypothesis repeats itself, but some of 400 programs are of each kind.

    The threshold is half of the lowest count in twelve runs of 400. Programs that must be refused came 0 to 20 times.
    """
    assert sum(map(is_such, sampled)) >= at_least, kind


def test_cotangents_that_hypothesis_draws_are_seldom_ones(sampled: list[Program]) -> None:
    """Of cotangents with several numbers, at most 3 % (measured: 0 to 2) are all ones, where shrinking ends."""
    several = [p.cotangent for p in sampled if p.cotangent is not None and p.cotangent.size > 1]
    assert len(several) > 130
    assert sum(bool((cotangent == 1).all()) for cotangent in several) <= 0.03 * len(several)


def test_hypothesis_seldom_draws_a_program_twice(sampled: list[Program]) -> None:
    """Of 400 programs, at least 180 are different (measured: 225 to 255)."""
    assert len({str(program) for program in sampled}) >= 180
