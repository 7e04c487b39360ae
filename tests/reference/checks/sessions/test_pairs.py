"""Values on both sides of a session: what arrives at them, and what they are made of."""

from __future__ import annotations

import numpy as np

from reference.checks.sessions.pairs import OptimizerPair, Pair
from reference.engines.torch.stateful import TorchStateful

TORCH = TorchStateful()


def leaf(name: str, *numbers: float) -> Pair:
    """A leaf on both sides; the engine's is not looked at."""
    return Pair(name, TORCH, TORCH.leaf(np.array(numbers)), lambda: None)


def product(name: str, *operands: Pair) -> Pair:
    """A product of two."""
    y = TORCH.apply("multiply", [p.theirs for p in operands], {})
    return Pair(name, TORCH, y, lambda: None, operands)


def test_leaves_add_up_and_inner_nodes_show_the_latest() -> None:
    """What arrives twice is twice as much in a leaf, and as much in a node; what does not arrive changes nothing."""
    a = leaf("a", 1.0)
    inner = product("b", a, a)
    for p in (a, inner):
        assert p.gradient is None
        for gradient in (np.array([3.0]), None, np.array([3.0])):
            p.accumulate(gradient)
    assert a.gradient is not None
    assert inner.gradient is not None
    assert (a.gradient.item(), inner.gradient.item()) == (6.0, 3.0)
    assert (a.is_leaf, inner.is_leaf) == (True, False)


def test_all_that_a_value_is_made_of() -> None:
    """Each once, however often it is used."""
    a = leaf("a", 1.0)
    b = product("b", a, a)
    c = product("c", b, a)
    assert sorted(p.name for p in c.ancestors()) == ["a", "b", "c"]


def test_a_step_is_told_by_the_names_of_its_parts() -> None:
    """Each parameter's numbers, and what is kept of those that moved."""
    params = leaf("a", 1.0), leaf("b", 2.0)
    theirs = TORCH.optimizer("SGD", [p.theirs for p in params], {"lr": 0.5, "momentum": 0.9})
    optimizer = OptimizerPair("opt1", "SGD", params, theirs)
    params[0].set_gradient(np.array([1.0]))
    theirs.step()
    assert optimizer.part_names() == {"value of a", "value of b", "opt1.state[0]['momentum_buffer']"}
