"""Mutation testing: cases depend on the seed alone, a right engine passes them, and they catch planted faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from itertools import chain, islice

import numpy as np
import pytest

from ndgrad import Value, exp
from reference.checks import EXPRESSIONS, SCRIPTED
from reference.mutation import TABLES, Fault, every, generic
from reference.mutation.detection import A_ROUND, ROUNDS, Cases, Catch, Numbered, detect, detect_all, recorded
from reference.mutation.planting import Plant, Seam, attribute, forward, scaled
from reference.ops import OPS
from reference.ops.source import Seeded, shuffled

LENGTH = len(OPS) + sum(A_ROUND.values())  # of a round
NOTHING = Fault("nothing", "nothing is wrong", "ours", (), Plant(nullcontext))

SEED = 0
FAMILIES = {**{module.__name__: module.FAULTS for module in TABLES}, "generic": generic()}
SAMPLE = [fault for name, family in FAMILIES.items() for fault in shuffled(Seeded("sample", name), family)[:2]]
SOON = [
    every()[name] for name in ("unbroadcast-mean", "grad-thrice", "exp-0-factor")
]  # these are caught within two rounds


@cache
def cases() -> Cases:
    """Return the cases of the seed, drawn once for all tests."""
    return Cases(SEED)


# The stream of cases.


def stream(source: Cases, rounds: int) -> list[tuple[str, str]]:
    """Return each case's check and line, in order."""
    return [(one.check, str(one.case)) for one in in_order(source, rounds)]


def in_order(source: Cases, rounds: int) -> Iterator[Numbered]:
    """Return all cases of some rounds."""
    return chain.from_iterable(source.rounds(rounds))


def test_a_seed_decides_the_cases() -> None:
    """A seed gives the same cases in the same order, however many are drawn at a time."""
    at_once, little_by_little = Cases(7), Cases(7)
    next(little_by_little.rounds(3))
    list(little_by_little.rounds(2))
    assert stream(at_once, 3) == stream(little_by_little, 3)
    assert stream(at_once, 2) == stream(at_once, 3)[: 2 * LENGTH]
    assert stream(at_once, 1) != stream(Cases(8), 1)


def test_a_fault_does_not_change_the_cases() -> None:
    """Cases drawn while a fault is planted are the same as without it."""
    with every()["exp-0-factor"].plant():
        planted = stream(Cases(7), 1)
    assert planted == stream(Cases(7), 1)


def test_each_op_occurs_once_a_round() -> None:
    """A round has each op once and the other checks as often as stated, in an order that differs by round."""
    checks = [one.check for one in in_order(cases(), 3)]
    rounds = [checks[i * LENGTH : (i + 1) * LENGTH] for i in range(3)]
    assert [Counter(names) for names in rounds] == [Counter(dict.fromkeys(OPS, 1) | A_ROUND)] * 3
    assert len({tuple(names) for names in rounds}) == 3


def test_all_checks_are_included() -> None:
    """Mutation testing runs all checks that `verify` runs."""
    assert set(A_ROUND) == {EXPRESSIONS, *SCRIPTED}
    assert ROUNDS["quick"] < ROUNDS["standard"] < ROUNDS["deep"]


def test_no_case_occurs_twice() -> None:
    """No case occurs twice, except unsuited draws."""
    lines = [what for check, what in stream(cases(), 3) if check in OPS and what != "None"]
    assert len(set(lines)) == len(lines) > 2.5 * len(OPS)


def test_the_right_engine_passes() -> None:
    """No case of two rounds fails on the right engine."""
    failures = [(one.check, cases().failure_in(one.case)) for one in in_order(cases(), 2)]
    assert [(check, says) for check, says in failures if says] == []
    assert len(failures) == 2 * LENGTH


# Catching faults.


@pytest.mark.parametrize("fault", SAMPLE, ids=lambda fault: fault.name)
def test_a_fault_is_caught(fault: Fault) -> None:
    """Two random faults of each family are caught within the cases of the quick profile."""
    catch = detect(fault, cases(), SEED, ROUNDS["quick"])
    assert (catch.fault, catch.seed) == (fault.name, SEED)
    assert catch.check in {*OPS, *A_ROUND}
    assert catch.says
    assert 1 <= catch.cases <= ROUNDS["quick"] * LENGTH
    assert catch.seconds > 0


def test_nothing_is_caught_where_nothing_is_wrong() -> None:
    """A fault that changes nothing passes all rounds and is not caught."""
    catch = detect(NOTHING, cases(), SEED, 1)
    assert (catch.fault, catch.check, catch.says, catch.cases) == ("nothing", "", "", LENGTH)


@pytest.mark.parametrize("fault", SOON, ids=lambda fault: fault.name)
def test_the_first_case_that_fails_is_counted(fault: Fault) -> None:
    """The number of cases is the place of the first failing case in the order. The skipped ones do not fail either."""
    catch = detect(fault, cases(), SEED, ROUNDS["quick"])
    first = list(islice(in_order(cases(), ROUNDS["quick"]), catch.cases))
    with fault.plant():
        failures = [(one.check, cases().failure_in(one.case)) for one in first]
    assert failures[-1] == (catch.check, catch.says)
    assert not any(says for _, says in failures[:-1])


# Cases that cannot show a fault.


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("exp-0-factor", {"exp", EXPRESSIONS}),  # a pullback
        ("exp-clipped", {"exp", EXPRESSIONS}),  # a forward, which is NumPy's own
        ("where-condition-shared", {"where"}),  # the function that binds its arguments
        ("sigmoid-keep", {"sigmoid"}),  # the function that recomputes a residual
        ("b165-losses", {"training"}),  # a function
        ("b213-square", {"training"}),  # a method
        ("assigned-shares", {"sessions"}),  # a setter
    ],
)
def test_a_case_is_passed_over_where_no_seam_is_called(name: str, checks: set[str]) -> None:
    """The cases that call what a fault replaces are among those of its checks. Most others are passed over."""
    some = list(in_order(cases(), 3))
    touched = [one for one in some if one.can_show(every()[name])]
    assert {one.check for one in touched} >= checks
    assert 3 <= len(touched) < len(some) / 4


@pytest.mark.parametrize("fault", SAMPLE, ids=lambda fault: fault.name)
def test_cases_that_are_passed_over_do_not_fail(fault: Fault) -> None:
    """Cases that call no seam of a fault pass with it."""
    untouched = [one for one in in_order(cases(), 2) if not one.can_show(fault)]
    with fault.plant():
        some = shuffled(Seeded("untouched", fault.name), untouched)[:10]
        assert [(one.check, says) for one in some if (says := cases().failure_in(one.case))] == []


@pytest.mark.parametrize("name", ["b036-tan", "layer-leaky-relu", "operator-exchanged", "modes-do-not-nest"])
def test_a_fault_without_seams_is_sought_everywhere(name: str) -> None:
    """No case is passed over for a fault that replaces no callable, or that shows in later cases."""
    assert all(one.can_show(every()[name]) for one in in_order(cases(), 2))


def test_calls_in_threads_are_recorded() -> None:
    """A call is recorded in whichever thread it is made, and what is not called is not."""
    both, others = [scaled("exp", 0, 2.0), forward("exp", np.expm1)], [scaled("tan", 0, 2.0), forward("tan", np.sin)]
    with recorded(seams(*both, *others)) as called, ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: exp(Value(1.0)).backward()).result()
    assert called == seams(*both)


def test_a_recorder_does_not_remove_another() -> None:
    """An operator is recorded, and also the forward function that it is made from."""
    both = seams(attribute(Value, "__matmul__", lambda a, b: a), forward("matmul", np.multiply))
    with recorded(both) as called:
        assert (Value([1.0, 2.0]) @ [3.0, 5.0]).data == 13.0
    assert called == both


def test_the_right_engine_passes_while_it_is_recorded() -> None:
    """Recording changes no result: a case that failed would end before it has called all that it calls."""
    with recorded(seams(*(fault.plant for fault in every().values()))):
        failures = [(one.check, cases().failure_in(one.case)) for one in in_order(cases(), 1)]
    assert [(check, says) for check, says in failures if says] == []


def seams(*plants: Plant) -> set[Seam]:
    """Return the seams of all plants."""
    return {seam for plant in plants for seam in plant.seams or ()}


def test_faults_outside_of_rounds_are_not_planted_while_cases_are_drawn() -> None:
    """The right engine runs each case first: what it calls does not depend on which fault is sought."""
    fresh = Cases(SEED)
    detect(every()["exp-0-factor"], fresh, SEED, 1)
    assert [one.called for one in in_order(fresh, 1)] == [one.called for one in in_order(cases(), 1)]


def without_time(catches: Iterator[Catch]) -> list[Catch]:
    """Return the catches with their times removed."""
    return [replace(catch, seconds=0.0) for catch in catches]


def test_the_order_of_faults_does_not_matter() -> None:
    """Each fault is caught by the same case with the same finding, on fresh and on used cases, in any order."""
    fresh = Cases(SEED)
    used = without_time(detect(fault, cases(), SEED, ROUNDS["quick"]) for fault in SOON)
    backwards = without_time(detect(fault, fresh, SEED, ROUNDS["quick"]) for fault in reversed(SOON))
    assert used == backwards[::-1]


def test_another_process_gives_the_same_catches() -> None:
    """Another process gives the same catches, seed after seed, in the order of the names."""
    names = [fault.name for fault in SOON[:2]]
    found = without_time(detect_all(names, [SEED, 1], ROUNDS["quick"], workers=1))
    assert [(catch.fault, catch.seed) for catch in found] == [(name, seed) for seed in (SEED, 1) for name in names]
    assert found[:2] == without_time(detect(fault, cases(), SEED, ROUNDS["quick"]) for fault in SOON[:2])
