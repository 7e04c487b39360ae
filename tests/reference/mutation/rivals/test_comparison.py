"""The comparison: what counts as caught, what as a false alarm, and which faults no checker can see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ndgrad.optim import SGD
from ndgrad.rules import RULES
from reference.mutation.planting import Fault, Plant, attribute, scaled
from reference.mutation.rivals import CHECKERS, Case, Checker, Row, available, compare, comparison, false_alarms, passes
from reference.mutation.rivals.composed import composed

HERE = ["gradcheck", "gradcheck, fast", "differences of sum"]  # their packages are always installed
SQUARE = Case("square", lambda x: x * x, (np.array([0.5, -1.5]),))


class Wolf(Checker):
    """A checker that rejects every case: wrong on purpose."""

    def check(self, case: Case) -> None:
        raise AssertionError(f"{case.name}: wolf!")


@pytest.fixture
def wolf(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Register a checker that rejects every case, and yield its name."""
    monkeypatch.setitem(CHECKERS, "wolf", Wolf("numpy", "none", {}))
    yield "wolf"
    comparison._trusted.cache_clear()


def row_of(plant: Plant, *ops: str, names: list[str] | None = None) -> Row:
    """Return the row of one fault."""
    (row,) = compare([Fault("planted", "wrong, on purpose", "ours", ops, plant)], names or HERE)
    return row


@pytest.mark.parametrize("name", CHECKERS)
def test_every_checker_tells_right_from_wrong(name: str) -> None:
    """Each checker passes a right square, and rejects one whose gradient lacks a tenth."""
    if not available(name):
        pytest.skip(f"{CHECKERS[name].package} is not installed")
    assert passes(name, SQUARE)
    with scaled("multiply", 0, 0.9)():
        assert not passes(name, SQUARE)
    assert CHECKERS[name].version[0].isdigit()


def test_a_gross_fault_is_caught_by_a_case() -> None:
    """A gradient of twice the size is caught, and the row names the case."""
    row = row_of(scaled("exp", 0, 2.0), "exp")
    assert row.visible
    assert all(case is not None and case.name.startswith("exp(") for case in row.caught.values())


def test_the_smallest_fault_is_caught_by_none() -> None:
    """An error of a ten-millionth is below gradcheck's tolerance and is caught by none."""
    row = row_of(scaled("exp", 0, 1 + 1e-7), "exp", names=["gradcheck, fast"])
    assert row.visible
    assert set(row.caught.values()) == {None}


def test_a_fault_of_a_row_is_tested_in_composed_functions() -> None:
    """A fault that shows only beside another op is caught by a function of several ops."""
    right = RULES["tanh"].pullbacks
    row = row_of(scaled("exp", 0, 2.0), "tanh")
    assert set(row.caught.values()) <= set(composed())
    assert RULES["tanh"].pullbacks is right


def test_a_fault_that_changes_no_function_is_not_visible() -> None:
    """An optimizer's fault changes no gradient, so no checker can see it."""
    row = row_of(attribute(SGD, "step", lambda self: None))
    assert not row.visible
    assert set(row.caught.values()) == {None}


def test_a_fault_of_the_whole_engine_is_visible() -> None:
    """A fault of the engine as a whole is visible, and is tested on the functions of several ops."""
    row = row_of(scaled("sin", 0, -1.0))
    assert row.visible
    assert all(row.caught.values())


def test_a_checker_that_always_fails_catches_nothing(wolf: str) -> None:
    """A case that fails on the right engine does not count as catching a fault."""
    assert row_of(scaled("exp", 0, 2.0), "exp", names=[wolf]).caught == {wolf: None}


def test_false_alarms_are_counted_by_group(monkeypatch: pytest.MonkeyPatch, wolf: str) -> None:
    """Each checker runs each group, and each failure on the right engine is recorded."""
    monkeypatch.setattr(comparison, "GROUPS", {"one": lambda: (SQUARE,), "two": lambda: (SQUARE, SQUARE)})
    found = {(a.group, a.checker): (a.cases, len(a.false)) for a in false_alarms(["gradcheck", wolf])}
    assert found == {
        ("one", "gradcheck"): (1, 0),
        ("one", "wolf"): (1, 1),
        ("two", "gradcheck"): (2, 0),
        ("two", "wolf"): (2, 2),
    }


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither a passing nor a failing check prints anything."""
    for name in filter(available, CHECKERS):
        passes(name, SQUARE)
        passes(name, Case("refusing", lambda x: x.reshape(7), SQUARE.arrays))
    assert capfd.readouterr() == ("", "")
