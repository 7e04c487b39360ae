"""Pairs of values in a session: their gradients and their ancestors."""

from __future__ import annotations

import numpy as np

from reference.checks.sessions.pairs import OptimizerPair, Pair
from reference.engines.torch.stateful import TorchStateful

TORCH = TorchStateful()


def leaf(name: str, *numbers: float) -> Pair:
    """Make a leaf; the engine's side is not used."""
    return Pair(name, TORCH, TORCH.leaf(np.array(numbers)), lambda: None)


def product(name: str, *operands: Pair) -> Pair:
    """Make a product of two values."""
    y = TORCH.apply("multiply", [p.theirs for p in operands], {})
    return Pair(name, TORCH, y, lambda: None, operands)


def test_leaves_add_up_and_inner_nodes_show_the_latest() -> None:
    """A gradient that arrives twice doubles in a leaf, but not in an inner node; a missing one changes nothing."""
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


def test_the_ancestors_of_a_value() -> None:
    """Each ancestor is listed once, however often it is used."""
    a = leaf("a", 1.0)
    b = product("b", a, a)
    c = product("c", b, a)
    assert sorted(p.name for p in c.ancestors()) == ["a", "b", "c"]


def test_the_parts_of_a_step() -> None:
    """The parts of a step are each parameter's numbers, and the states of those that have moved."""
    params = leaf("a", 1.0), leaf("b", 2.0)
    theirs = TORCH.optimizer("SGD", [p.theirs for p in params], {"lr": 0.5, "momentum": 0.9})
    optimizer = OptimizerPair("opt1", "SGD", params, theirs)
    params[0].set_gradient(np.array([1.0]))
    theirs.step()
    assert optimizer.part_names() == {"value of a", "value of b", "opt1.state[0]['momentum_buffer']"}
