"""Evidence is computed when a judge first needs it, and only once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from reference.engines import Outcome
from reference.engines.exact import Chain
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import NO_AUDIT
from reference.engines.torch import TorchEngine
from reference.mutation import planting
from reference.programs import Program, parse
from reference.verdict import Result, judge


class Counting(TorchEngine):
    """PyTorch that counts its runs by their options."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def run(self, program: Program, **options: Any) -> Outcome:
        self.asked[" ".join(sorted(name for name, value in options.items() if value is not None)) or "as it is"] += 1
        return super().run(program, **options)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The witness's questions: each is the name of a method of its chains."""
    asked: list[str] = []
    for name in ("value", "sides", "mixed"):
        right = getattr(Chain, name)

        def counted(self: Any, *args: Any, name: str = name, right: Any = right) -> Any:
            asked.append(name)
            return right(self, *args)

        monkeypatch.setattr(Chain, name, counted)
    return asked


def test_agreement_at_once_costs_one_run(questions: list[str]) -> None:
    """It needs no disturbed run, no run from the engine's values, and no witness."""
    reference = Counting()
    judge(parse("x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))"), NdgradEngine(), reference, scrutiny=NO_AUDIT)
    assert reference.asked == {"as it is": 1}
    assert not questions


def test_agreement_within_rounding_costs_no_witness(questions: list[str]) -> None:
    """If another precision explains a difference, it costs one more run."""
    reference = Counting()
    judge(parse("x=f8([9.0]); a=tanh(x); back(a,f8([1.0]))"), NdgradEngine(), reference, scrutiny=NO_AUDIT)
    assert reference.asked == {"as it is": 1, "precision": 1}
    assert not questions


def test_an_audit_costs_a_derivative_along_one_direction(questions: list[str]) -> None:
    """An audit that finds nothing takes each step's value, and one derivative for all numbers of a program."""
    audited = judge(parse("x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))"), NdgradEngine(), Counting())
    assert audited.audited == 4
    assert Counter(questions) == {"value": 1, "sides": 1}


def test_exact_slopes_of_a_program_are_computed_once(questions: list[str]) -> None:
    """If a program fails with one fault after the other, only the first verdict computes exact slopes."""
    program = parse("x=f8([20.5]); a=softplus(x); back(a,f8([1.0]))")
    counts = []
    for factor in (1.001, 0.999):
        with planting.scaled("softplus", 0, factor)():
            assert judge(program, NdgradEngine(), TorchEngine()).result is Result.BOTH_WRONG
        counts.append(questions.count("sides"))
    assert 0 < counts[0] < 2 * counts[0] > counts[1]
