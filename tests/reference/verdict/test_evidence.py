"""Evidence is made when a judge first asks for it, and only once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from reference.engines import Outcome
from reference.engines.exact import ExactEngine
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.programs import Program, parse
from reference.verdict import judge


class Counting(TorchEngine):
    """PyTorch that counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def run(self, program: Program, **options: Any) -> Outcome:
        self.asked[" ".join(sorted(name for name, value in options.items() if value is not None)) or "as it is"] += 1
        return super().run(program, **options)


@pytest.fixture
def witnessed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the witness was asked for."""
    asked: list[str] = []
    for name in ("value", "slopes", "second_slopes"):
        right = getattr(ExactEngine, name)

        def counted(self: Any, *args: Any, name: str = name, right: Any = right) -> Any:
            asked.append(name)
            return right(self, *args)

        monkeypatch.setattr(ExactEngine, name, counted)
    return asked


def test_what_agrees_at_once_costs_one_run(witnessed: list[str]) -> None:
    """Neither a disturbed run, nor one on the engine's own way, nor the witness."""
    reference = Counting()
    judge(parse("x=f8([1.5,-2.0]); a=square(x); back(a,f8([1.0,3.0]))"), NdgradEngine(), reference)
    assert reference.asked == {"as it is": 1}
    assert not witnessed


def test_what_rounding_explains_costs_no_witness(witnessed: list[str]) -> None:
    """Where another precision explains it, that is one further run."""
    reference = Counting()
    judge(parse("x=f8([9.0]); a=tanh(x); back(a,f8([1.0]))"), NdgradEngine(), reference)
    assert reference.asked == {"as it is": 1, "precision": 1}
    assert not witnessed


def test_what_nobody_explains_is_shown_once(witnessed: list[str]) -> None:
    """The engine's own way is gone but once, and the witness gives each number once, and once for each copy nearby."""
    reference = Counting()
    judge(parse("x=f8([20.5]); a=softplus(x); back(a,f8([1.0]))"), NdgradEngine(), reference)
    assert reference.asked["path"] == 1
    assert Counter(witnessed) == {"value": 1 + 5, "slopes": 1 + 5}
