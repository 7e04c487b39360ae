"""The amount of work of the engine: nodes, forwards, pullbacks, arrays. No figure depends on the computer.

A change that increases one of these makes every user's step slower, whatever a benchmark says on the day.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from ndgrad import MLP, Value, cross_entropy, lean, trace
from ndgrad.engine import attach
from ndgrad.rules import RULES

Step = Callable[[], Value]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the calls of every forward and every pullback."""
    calls: Counter[str] = Counter()
    right = {name: (rule.forward, rule.pullbacks) for name, rule in RULES.items()}

    def counting(what: str, function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            calls[what] += 1
            return function(*args, **options)

        return function and call

    try:
        for name, rule in RULES.items():
            rule.forward = counting("forward", rule.forward)
            rule.pullbacks = tuple(counting("pullback", pullback) for pullback in rule.pullbacks)
            attach(name, rule)
        yield calls
    finally:
        for name, rule in RULES.items():
            rule.forward, rule.pullbacks = right[name]
            attach(name, rule)


def article() -> Value:
    """Compute the loss of the article's network on its four points, at once."""
    model = MLP(3, [4, 4, 1], rng=0)
    x = np.array([[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]])
    return ((model(x) - np.array([1.0, -1.0, -1.0, 1.0])) ** 2).sum()


def classifier() -> Value:
    """Compute the cross-entropy of a network with two hidden layers."""
    model = MLP(8, [6, 5, 4], "relu", output_activation="linear", rng=0)
    loss: Value = cross_entropy(model(np.linspace(-1.0, 1.0, 24).reshape(3, 8)), np.array([0, 3, 1]))
    return loss


def chain() -> Value:
    """Compute a hundred times `y * 0.999 + x`, and the sum."""
    x = Value(np.linspace(0.0, 1.0, 4))
    y = x
    for _ in range(100):
        y = y * 0.999 + x
    return y.sum()


# fmt: off
WORK = [
    # program     nodes  forwards  pullbacks
    (article,       19,       13,        18),
    (classifier,    16,       10,        15),
    (chain,        202,      201,       301),
]
# fmt: on


@pytest.mark.parametrize(("step", "nodes", "forwards", "pullbacks"), WORK)
def test_a_step_does_no_more_work_than_it_did(step: Step, nodes: int, forwards: int, pullbacks: int) -> None:
    """A step has so many nodes, one forward for each op, and one pullback for each operand that requires a gradient."""
    with counted() as calls:
        y = step()
        y.backward()
    made = [value for value in trace(y)[0] if value.requires_grad]
    assert (len(made), calls["forward"], calls["pullback"]) == (nodes, forwards, pullbacks)


def test_nothing_is_computed_towards_data() -> None:
    """For a product of data and weights one pullback is called, not two."""
    with counted() as calls:
        (np.ones((4, 3)) @ Value(np.ones((3, 2)))).sum().backward()
    assert calls == {"forward": 2, "pullback": 2}


def arrays(run: Callable[[], Any]) -> int:
    """Count the arrays of 2,400 bytes that a function leaves while its result is referenced."""
    run()  # the first call fills caches
    gc.collect()
    tracemalloc.start()
    try:
        held = run()
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    assert held is not None
    ours = [t for t in snapshot.traces if t.domain == np.lib.tracemalloc_domain and t.size >= SIZE]
    return len(ours)


NUMBERS = 300  # more than NumPy keeps in its own cache
SIZE = NUMBERS * 8


def built() -> Value:
    """Compute ten times `y * 0.5 + x`, and the sum of its tanh."""
    x = Value(np.linspace(0.0, 1.0, NUMBERS))
    y = x
    for _ in range(10):
        y = y * 0.5 + x
    return y.tanh().sum()


def passed() -> Value:
    """Compute the same, with its backward pass."""
    y = built()
    y.backward()
    return y


def test_a_graph_keeps_one_array_a_node() -> None:
    """A graph keeps the array of the leaf, and one for each of 21 ops."""
    assert arrays(built) == 22


def test_a_pass_keeps_one_array_for_each_new_gradient() -> None:
    """A pass keeps the gradients of tanh, nine products and the leaf: additions pass arrays on, and sums make views."""
    assert arrays(passed) == 22 + 11


def test_a_lean_graph_keeps_what_pullbacks_read() -> None:
    """A lean graph keeps the arrays of the leaf and of tanh; after the pass also the leaf's gradient."""
    with lean():
        assert (arrays(built), arrays(passed)) == (2, 3)


def test_a_leaf_takes_the_array_that_nobody_else_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves take the new arrays of a product's gradients; a sum passes one array to both, which copy it."""
    made: list[int] = []
    monkeypatch.setattr(RULES["matmul"], "pullbacks", tuple(_noting(made, p) for p in RULES["matmul"].pullbacks))
    a, b = Value(np.ones((2, 3))), Value(np.ones((3, 2)))
    (a @ b).backward(np.ones((2, 2)))
    assert [id(a.grad), id(b.grad)] == made
    x, y = Value(np.ones(2)), Value(np.ones(2))
    (x + y).backward([3.0, 4.0])
    assert not np.shares_memory(x.grad, y.grad)


def test_a_debugger_at_import_makes_no_two_gradients_share_memory() -> None:
    """A debugger that keeps the variables of frames alive at import does not make two gradients share memory."""
    script = """
import sys
def look(frame, event, argument):
    frame.f_locals
    return look
sys.settrace(look)
import ndgrad
sys.settrace(None)
x = ndgrad.Value([1.0, 2.0])
p = +x
(p * 3).sum().backward()
x.grad[...] = 0.0
assert p.grad.tolist() == [3.0, 3.0], p.grad
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def _noting(made: list[int], pullback: Any) -> Any:
    """Return the pullback, with the ids of its arrays noted, and no further references to them."""

    def noted(*args: Any) -> Any:
        h = pullback(*args)
        made.append(id(h))
        return h

    return noted


@pytest.mark.parametrize("step", [article, classifier, chain])
def test_nothing_outlives_the_loss(step: Step) -> None:
    """With the garbage collector off, all Values and arrays of a pass are freed with the loss."""
    step().backward()
    gc.collect()
    gc.disable()
    try:
        before = sum(type(o) is Value for o in gc.get_objects())
        tracemalloc.start()
        y = step()
        y.backward()
        del y
        left = [t for t in tracemalloc.take_snapshot().traces if t.domain == np.lib.tracemalloc_domain]
        assert sum(type(o) is Value for o in gc.get_objects()) == before
        assert sum(t.size for t in left) < 1_000
    finally:
        tracemalloc.stop()
        gc.enable()
