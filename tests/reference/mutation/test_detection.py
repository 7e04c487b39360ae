"""Cases that a seed alone decides: a right engine passes them, and they catch what is planted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from itertools import islice

import pytest

from reference.checks import EXPRESSIONS, SCRIPTED
from reference.mutation import TABLES, Fault, every, generic
from reference.mutation.detection import A_ROUND, ROUNDS, Cases, Catch, detect, detect_all
from reference.ops import OPS
from reference.ops.source import Seeded, shuffled

LENGTH = len(OPS) + sum(A_ROUND.values())  # of a round
NOTHING = Fault("nothing", "nothing is wrong", "ours", (), nullcontext)

SEED = 0
FAMILIES = {**{module.__name__: module.FAULTS for module in TABLES}, "generic": generic()}
SAMPLE = [fault for name, family in FAMILIES.items() for fault in shuffled(Seeded("sample", name), family)[:2]]
SOON = [every()[name] for name in ("unbroadcast-mean", "grad-thrice", "exp-0-factor")]  # are caught in a round or two


@cache
def cases() -> Cases:
    """The cases of the seed, drawn once for all tests."""
    return Cases(SEED)


# The stream of cases.


def stream(given: Cases, rounds: int) -> list[tuple[str, str]]:
    """The check that each case belongs to, and its line, in their order."""
    return [(check, str(case)) for check, case in given.up_to(rounds)]


def test_a_seed_decides_the_cases() -> None:
    """Whoever draws them, and however many at a time: the same programs and numbers in the same order."""
    at_once, little_by_little = Cases(7), Cases(7)
    list(islice(little_by_little.up_to(1), 5))
    list(little_by_little.up_to(2))
    assert stream(at_once, 3) == stream(little_by_little, 3)
    assert stream(at_once, 2) == stream(at_once, 3)[: 2 * LENGTH]
    assert stream(at_once, 1) != stream(Cases(8), 1)


def test_a_fault_does_not_change_the_cases() -> None:
    """Drawn while one is planted, they are what they would be without."""
    with every()["unbroadcast-mean"].plant():
        planted = stream(Cases(7), 1)
    assert planted == stream(Cases(7), 1)


def test_each_op_comes_once_a_round() -> None:
    """And of the other checks as many as are said, in an order that is another in each round."""
    checks = [check for check, _ in cases().up_to(3)]
    rounds = [checks[i * LENGTH : (i + 1) * LENGTH] for i in range(3)]
    assert [Counter(names) for names in rounds] == [Counter(dict.fromkeys(OPS, 1) | A_ROUND)] * 3
    assert len({tuple(names) for names in rounds}) == 3


def test_all_checks_are_among_them() -> None:
    """What `verify` looks at, mutation testing looks at."""
    assert set(A_ROUND) == {EXPRESSIONS, *SCRIPTED}
    assert ROUNDS["quick"] < ROUNDS["standard"] < ROUNDS["deep"]


def test_no_two_cases_are_one() -> None:
    """Each round draws others; but for what cannot be drawn, which comes to nothing."""
    lines = [what for check, what in stream(cases(), 3) if check in OPS and what != "None"]
    assert len(set(lines)) == len(lines) > 2.5 * len(OPS)


def test_the_right_engine_passes() -> None:
    """No case of two rounds says that anything is wrong."""
    failures = [(check, cases().failure_in(case)) for check, case in cases().up_to(2)]
    assert [(check, says) for check, says in failures if says] == []
    assert len(failures) == 2 * LENGTH


# What is caught.


@pytest.mark.parametrize("fault", SAMPLE, ids=lambda fault: fault.name)
def test_a_fault_is_caught(fault: Fault) -> None:
    """Two of each family, chosen by lot, within the cases of the quick profile."""
    catch = detect(fault, cases(), SEED, ROUNDS["quick"])
    assert (catch.fault, catch.seed) == (fault.name, SEED)
    assert catch.check in {*OPS, *A_ROUND}
    assert catch.says
    assert 1 <= catch.cases <= ROUNDS["quick"] * LENGTH
    assert catch.seconds > 0


def test_nothing_is_caught_where_nothing_is_wrong() -> None:
    """A fault that changes nothing goes through all rounds, and no check is said to have caught it."""
    catch = detect(NOTHING, cases(), SEED, 1)
    assert (catch.fault, catch.check, catch.says, catch.cases) == ("nothing", "", "", LENGTH)


def test_the_first_case_that_fails_is_counted() -> None:
    """The number of cases is its place in the order, and those before it say nothing."""
    (fault,) = [fault for fault in SOON if fault.name == "exp-0-factor"]
    catch = detect(fault, cases(), SEED, ROUNDS["quick"])
    with fault.plant():
        failures = [
            (check, cases().failure_in(case)) for check, case in islice(cases().up_to(ROUNDS["quick"]), catch.cases)
        ]
    assert failures[-1] == (catch.check, catch.says)
    assert not any(says for _, says in failures[:-1])


def without_time(catches: Iterator[Catch]) -> list[Catch]:
    """Catches without the time that they took."""
    return [replace(catch, seconds=0.0) for catch in catches]


def test_who_was_sought_before_does_not_matter() -> None:
    """Each fault is caught by the same case in the same words, on fresh cases and on used ones, in any order."""
    fresh = Cases(SEED)
    used = without_time(detect(fault, cases(), SEED, ROUNDS["quick"]) for fault in SOON)
    backwards = without_time(detect(fault, fresh, SEED, ROUNDS["quick"]) for fault in reversed(SOON))
    assert used == backwards[::-1]


def test_another_process_catches_what_this_one_does() -> None:
    """Seed after seed, in the order of the names."""
    names = [fault.name for fault in SOON[:2]]
    found = without_time(detect_all(names, [SEED, 1], ROUNDS["quick"], workers=1))
    assert [(catch.fault, catch.seed) for catch in found] == [(name, seed) for seed in (SEED, 1) for name in names]
    assert found[:2] == without_time(detect(fault, cases(), SEED, ROUNDS["quick"]) for fault in SOON[:2])
