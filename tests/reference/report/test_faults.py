"""The texts of mutation testing: rows, missed faults, the last line, the comparison with other checkers."""

from __future__ import annotations

from reference.mutation import FAULTS
from reference.mutation.detection import Catch
from reference.mutation.rivals import Alarms, Row
from reference.report import faults as words

FIRST, SECOND = FAULTS[0], FAULTS[1]


def test_a_row_shows_what_caught_a_fault() -> None:
    """A row has the check, the median and largest number of cases, and the finding, under the columns' names."""
    catches = [Catch(FIRST.name, seed, "exp", "GRADIENT grad[x]", cases, 0.5) for seed, cases in enumerate((7, 30, 9))]
    head = words.heading(range(3), "quick").splitlines()[-1]
    row = words.row(FIRST, catches)
    assert row.split() == [FIRST.name, "exp", "9", "30", "0.50", "GRADIENT", "grad[x]"]
    for column, shown in (("cases", "9"), ("worst", "30"), ("seconds", "0.50")):
        end = head.index(column) + len(column)
        assert row[:end].endswith(shown)


def test_a_fault_that_is_missed_stands_out() -> None:
    """A fault that one seed missed is marked in its row and not counted in the last line."""
    caught, missed = Catch(FIRST.name, 0, "exp", "x", 7, 0.5), Catch(FIRST.name, 1, "", "", 900, 2.0)
    assert words.row(FIRST, [caught, missed]).endswith("NOT CAUGHT in 1 of 2")
    assert words.row(FIRST, [missed]).endswith(f"{FIRST.what}  NOT CAUGHT in 1 of 1")
    lines = words.last_lines({FIRST.name: [caught, missed], SECOND.name: [caught, caught]}).splitlines()
    assert lines == ["cases to catch a fault: median 7, 95th percentile 7, most 7", "1 / 2 caught"]


def test_the_checkers_are_compared() -> None:
    """The comparison shows how many visible faults each checker caught, and its false alarms."""
    rows = [Row(FIRST, visible=True, caught={"a": None}), Row(SECOND, visible=False, caught={"a": None})]
    alarms = [Alarms("ordinary", "a", 20, ())]
    table = words.comparison(rows, {FIRST.name: True, SECOND.name: True}, alarms, {"a": "a (numpy 2)"}).splitlines()
    assert table[1].split() == ["checker", "caught", "/", "planted", "ordinary"]
    assert table[2].split() == ["a", "(numpy", "2)", "0", "/", "1", "0", "/", "20"]
    assert table[3].split() == ["this", "harness", "1", "/", "1"]
    assert table[4].startswith("1 more faults concern ")
