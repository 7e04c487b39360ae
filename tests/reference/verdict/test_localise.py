"""The origin of a failure is found: a step with a wrong value or a wrong pullback, or none by itself."""

from __future__ import annotations

import numpy as np
import pytest

from ndgrad.rules import RULES
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation import BY_NAME, planting
from reference.programs import parse
from reference.verdict.localise import Origin, localise

LINE = "x=f8([1.0,2.0]); y=f8([3.0,0.5]); a=multiply(x,y); b=tanh(a); c=exp(b); d=add(c,x); back(d,f8([2.0,-1.0]))"
right = RULES["tanh"].forward

# fmt: off
PLANTED = [
    (planting.pullback("tanh", 0, lambda g, y, x: g * (1 - y)),               1,    "what it passes back to a"),
    (planting.pullback("multiply", 1, lambda g, y, a, b: g * b),              0,    "what it passes back to x and y"),
    (planting.forward("tanh", lambda x: right(x) * (1 + 1e-9)),               1,    "the value of b"),
    (BY_NAME["b035-engine"].plant,
     None, "each step alone is right; contributions to x do not meet as they should"),
]
# fmt: on


@pytest.mark.parametrize(("plant", "step", "says"), PLANTED)
def test_the_step_at_fault_is_found(plant: planting.Plant, step: int | None, says: str) -> None:
    """A wrong value, a wrong pullback and a wrong sum of contributions are distinguished."""
    with plant():
        origin = localise(parse(LINE), NdgradEngine(), TorchEngine())
    assert (origin.step, origin.says) == (step, says)


def test_a_step_that_raises_is_found() -> None:
    """If a step raises, it is the origin."""

    def refuses(x: np.ndarray) -> np.ndarray:
        raise RuntimeError

    with planting.forward("tanh", refuses)():
        assert localise(parse(LINE), NdgradEngine(), TorchEngine()) == Origin(1, "it is not computed")


class Unseen(NdgradEngine):
    """An engine that does not give gradients of steps, like most engines."""

    def inner_gradient(self, value: object) -> None:
        """Give nothing."""


def test_contributions_are_localised_without_gradients_of_steps() -> None:
    """Unknown gradients are not taken for wrong, and the leaf where contributions meet is found."""
    with BY_NAME["b035-engine"].plant():
        origin = localise(parse(LINE), Unseen(), TorchEngine())
    assert origin.says == "each step alone is right; contributions to x do not meet as they should"
