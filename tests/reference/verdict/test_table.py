"""Each judge is needed: without it, the case that bought it has another result."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reference.programs import parse
from reference.verdict import Verdict, judge, judge_by_all
from reference.verdict.table import JUDGES, Judge
from tests.reference.corpus import answer
from tests.reference.verdict.sides import engine, references


def verdict(row: Judge, judges: Sequence[Judge]) -> Verdict:
    """Judge the case that bought a row."""
    bought = row.bought
    program, judged, against = parse(bought.program), engine(bought.engine), references(bought.reference)
    if not bought.patient:
        return judge(program, judged, *against, patient=False, judges=judges)
    return judge_by_all(program, judged, against, judges=judges)[0]


@pytest.mark.parametrize("row", JUDGES, ids=lambda row: row.name)
def test_a_judge_that_is_deleted_is_missed(row: Judge) -> None:
    """Its case has the right result with all judges, and another answer without it."""
    right = verdict(row, JUDGES)
    without = verdict(row, [other for other in JUDGES if other is not row])
    assert right.result is row.bought.answer
    assert answer(without) != answer(right)


def test_each_judge_has_a_name_and_a_reason() -> None:
    """Names are unique, and each judge has a reason and a docstring."""
    assert len({row.name for row in JUDGES}) == len(JUDGES)
    assert all(row.reason and row.function.__doc__ for row in JUDGES)
