"""Each judge is needed: the case that it was bought by answers otherwise without it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reference.programs import parse
from reference.verdict import Verdict, judge, judge_by_all
from reference.verdict.table import JUDGES, Judge
from tests.reference.corpus import answer
from tests.reference.verdict.sides import engine, references


def verdict(row: Judge, judges: Sequence[Judge]) -> Verdict:
    """What the case of a judge comes to before these judges."""
    bought = row.bought
    program, judged, against = parse(bought.program), engine(bought.engine), references(bought.reference)
    if not bought.patient:
        return judge(program, judged, *against, patient=False, judges=judges)
    return judge_by_all(program, judged, against, judges=judges)[0]


@pytest.mark.parametrize("row", JUDGES, ids=lambda row: row.name)
def test_a_judge_that_is_deleted_is_missed(row: Judge) -> None:
    """Its case answers as it should with all judges, and otherwise without it."""
    right = verdict(row, JUDGES)
    without = verdict(row, [other for other in JUDGES if other is not row])
    assert right.result is row.bought.answer
    assert answer(without) != answer(right)


def test_each_judge_says_why() -> None:
    """No two have one name, and each has its reason and what it is at the least."""
    assert len({row.name for row in JUDGES}) == len(JUDGES)
    assert all(row.reason and row.function.__doc__ for row in JUDGES)
