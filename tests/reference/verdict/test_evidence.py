"""Evidence is computed when a judge first needs it, and only once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from reference.engines import Outcome
from reference.engines.exact import Witness
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.programs import Program, parse
from reference.verdict import judge


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
    """The calls of the witness's methods."""
    asked: list[str] = []
    for name in ("value", "slopes", "second_slopes"):
        right = getattr(Witness, name)

        def counted(self: Any, *args: Any, name: str = name, right: Any = right) -> Any:
            asked.append(name)
            return right(self, *args)

        monkeypatch.setattr(Witness, name, counted)
    return asked


def test_agreement_at_once_costs_one_run(questions: list[str]) -> None:
    """It needs no disturbed run, no run from the engine's values, and no witness."""
    reference = Counting()
    judge(parse("x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))"), NdgradEngine(), reference)
    assert reference.asked == {"as it is": 1}
    assert not questions


def test_agreement_within_rounding_costs_no_witness(questions: list[str]) -> None:
    """If another precision explains a difference, it costs one more run."""
    reference = Counting()
    judge(parse("x=f8([9.0]); a=tanh(x); back(a,f8([1.0]))"), NdgradEngine(), reference)
    assert reference.asked == {"as it is": 1, "precision": 1}
    assert not questions


def test_an_unexplained_number_is_computed_once(questions: list[str]) -> None:
    """The run from the engine's values happens once, and the witness computes each number once for each program."""
    reference = Counting()
    judge(parse("x=f8([20.5]); a=softplus(x); back(a,f8([1.0]))"), NdgradEngine(), reference)
    assert reference.asked["path"] == 1
    assert Counter(questions) == {"value": 1 + 5, "slopes": 1 + 5}
