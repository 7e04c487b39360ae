"""Folds: they contain the results of a layer, and the folded graph is acyclic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ndgrad
from ndgrad import MLP, Value, mean_squared_error
from ndgrad.graph import trace
from ndgrad.graph.folds import Fold, folds


def found(root: Value) -> list[tuple[list[str], int, int]]:
    """Return for each fold its ops, how often it was used, and how many of its results are used outside."""
    return [(fold.ops, fold.times, len(fold.seen)) for fold in folds(trace(root)[0])]


X = np.linspace(-1.0, 1.0, 12).reshape(4, 3)


def test_layers_of_an_mlp() -> None:
    """Each layer of an MLP is a fold, up to its activation; the ops of the loss are not."""
    network = MLP(3, [4, 2], rng=0)
    assert found(mean_squared_error(network(X), np.zeros((4, 2)))) == [(["@", "+", "tanh"], 1, 1)] * 2


def test_rows_one_by_one() -> None:
    """Rows that are passed through a layer one by one are one fold, used as often."""
    network = MLP(3, [4, 1], rng=0)
    loss = np.stack([network(row) - 1.0 for row in X]).sum()
    assert found(loss) == [(["@", "+", "tanh"], 4, 4), (["@", "+", "tanh", "reshape"], 4, 4)]


def test_one_parameter_used_over_and_over() -> None:
    """A recurrent layer is a fold at each step, since a single fold would make a cycle."""
    weight, h = Value(np.eye(3)), Value(X[0])
    for _ in range(3):
        h = (h @ weight).tanh()
    assert found(h) == [(["@", "tanh"], 1, 1)] * 3


@pytest.mark.parametrize(
    "made",
    [
        lambda a, b: a * b,
        lambda a, b: (a * 2.0 + b * 3.0).tanh(),
        lambda a, b: (a + b).exp().tanh().sum(),
        lambda a, b: ((a + 0.0) * (b + 0.0)).tanh(),
    ],
)
def test_what_is_no_layer(made: Callable[[Value, Value], Value]) -> None:
    """A product alone, a sum of two, and ops without a product or without a parameter are not folded."""
    assert found(made(Value(1.0), Value(2.0))) == []


def test_residual() -> None:
    """A residual connection is not folded into the layer."""
    x, weight = Value(X) + 0.0, Value(np.eye(3))
    assert found((x + (x @ weight).tanh()).exp()) == [(["@", "tanh"], 1, 1)]


def graph_between(members: list[Fold], root: Value) -> dict[Any, set[Any]]:
    """Return the graph in which each fold is one node, as the operands of each node."""
    name: dict[int, Any] = {id(node): fold for fold in members for node in fold.members}
    nodes, edges = trace(root)
    made: dict[Any, set[Any]] = {name.get(id(node), id(node)): set() for node in nodes}
    for operand, result in edges:
        a, b = (name.get(id(node), id(node)) for node in (operand, result))
        if a != b:
            made[b].add(a)
    return made


@pytest.mark.parametrize("seed", range(20))
def test_folding_makes_no_circle(seed: int) -> None:
    """However layers are stacked, tied and joined, the folded graph has a topological order."""
    rng = np.random.default_rng(seed)
    weights = [Value(rng.normal(size=(3, 3))) for _ in range(3)]
    values = [Value(X), Value(X) + 1.0]
    for _ in range(15):
        a, b, w = values[rng.integers(len(values))], values[-1], weights[rng.integers(3)]
        values.append([a @ w, a @ w + w[0], b.tanh(), a + b, a * b, (b @ w).tanh() + a][rng.integers(6)])
    root = ndgrad.stack(values[1:]).sum()
    left = graph_between(folds(trace(root)[0]), root)
    while left:
        ready = {node for node, made in left.items() if not made & left.keys()}
        assert ready
        left = {node: made for node, made in left.items() if node not in ready}
