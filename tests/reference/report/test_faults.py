"""The words of mutation testing: rows, what was missed, the last line, the comparison with other checkers."""

from __future__ import annotations

from reference.mutation import FAULTS
from reference.mutation.detection import Catch
from reference.mutation.rivals import Alarms, Row
from reference.report import faults as words

FIRST, SECOND = FAULTS[0], FAULTS[1]


def test_a_row_tells_what_caught_a_fault() -> None:
    """The check, the median and the worst of the cases, and what was wrong; under the names of the columns."""
    catches = [Catch(FIRST.name, seed, "exp", "GRADIENT grad[x]", cases, 0.5) for seed, cases in enumerate((7, 30, 9))]
    head = words.heading(range(3), "quick").splitlines()[-1]
    row = words.row(FIRST, catches)
    assert row.split() == [FIRST.name, "exp", "9", "30", "0.50", "GRADIENT", "grad[x]"]
    for column, shown in (("cases", "9"), ("worst", "30"), ("seconds", "0.50")):
        end = head.index(column) + len(column)
        assert row[:end].endswith(shown)


def test_a_fault_that_is_missed_stands_out() -> None:
    """A seed in which a fault was not caught is told in its row, and the last line does not count the fault."""
    caught, missed = Catch(FIRST.name, 0, "exp", "x", 7, 0.5), Catch(FIRST.name, 1, "", "", 900, 2.0)
    assert words.row(FIRST, [caught, missed]).endswith("NOT CAUGHT in 1 of 2")
    assert words.row(FIRST, [missed]).endswith(f"{FIRST.what}  NOT CAUGHT in 1 of 1")
    lines = words.last_lines({FIRST.name: [caught, missed], SECOND.name: [caught, caught]}).splitlines()
    assert lines == ["cases to catch a fault: median 7, 95th percentile 7, most 7", "1 / 2 caught"]


def test_the_checkers_stand_side_by_side() -> None:
    """What each caught of what is theirs to see, and how often it complained about the right engine."""
    rows = [Row(FIRST, visible=True, caught={"a": None}), Row(SECOND, visible=False, caught={"a": None})]
    alarms = [Alarms("ordinary", "a", 20, ())]
    table = words.comparison(rows, {FIRST.name: True, SECOND.name: True}, alarms, {"a": "a (numpy 2)"}).splitlines()
    assert table[1].split() == ["checker", "caught", "/", "planted", "ordinary"]
    assert table[2].split() == ["a", "(numpy", "2)", "0", "/", "1", "0", "/", "20"]
    assert table[3].split() == ["this", "harness", "1", "/", "1"]
    assert table[4].startswith("1 faults more")
