"""Rounding is estimated until it explains a difference, and no longer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reference.engines import Noise
from reference.verdict import Kind, Part, Result, compare
from reference.verdict.bench import bench
from reference.verdict.comparison import Comparison
from reference.verdict.rounding import DISTURBANCE, RUNS
from reference.verdict.table import JUDGES

WANTED = 1.0
OFF = 1e-13  # some 450 ULP, which does not agree at once


def part(value: float) -> list[Part]:
    """Make the parts of an outcome with one number."""
    return [Part("value", Kind.FORWARD, np.array(value))]


def reruns(asked: list[Noise | None], *, alone: float, disturbed: Callable[[int], float]) -> Callable[..., list[Part]]:
    """Make a reference with the error `alone` in the other precision, and the moves `disturbed` in disturbed runs."""

    def rerun(noise: Noise | None, wide: bool | None) -> list[Part]:  # noqa: FBT001 - as the verdict asks
        asked.append(noise)
        return part(WANTED + (alone if noise is None else disturbed(len(asked) - 2)))

    return rerun


@pytest.mark.parametrize(
    ("alone", "explains_in", "runs"),
    [(1e-3, None, 0), (0.0, 0, 1), (0.0, 3, 4), (0.0, RUNS - 1, RUNS), (0.0, RUNS, RUNS), (0.0, None, RUNS)],
)
def test_the_reference_is_disturbed_until_a_run_explains(alone: float, explains_in: int | None, runs: int) -> None:
    """If no run explains the difference, all allowed runs are made."""
    asked: list[Noise | None] = []
    moved = OFF * DISTURBANCE * 2.0**53  # the move for which rounding explains OFF
    rerun = reruns(asked, alone=alone, disturbed=lambda run: moved if run == explains_in else 0.0)
    found = bench(JUDGES).examine(Comparison(part(WANTED + OFF), part(WANTED), rerun))
    assert not found.findings
    assert bool(found.open) != (runs < RUNS or explains_in == RUNS - 1)
    assert len(asked) == 1 + runs


def test_agreement_at_once_needs_no_run() -> None:
    """If all numbers agree at once, the reference is not run again."""
    asked: list[Noise | None] = []
    verdict = compare(part(WANTED), part(WANTED), reruns(asked, alone=0.0, disturbed=lambda _: 0.0))
    assert verdict.result is Result.AGREES
    assert not asked
