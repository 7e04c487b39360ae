"""Graphs in several threads: no addition is lost, whatever is shared, and an error changes nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import ndgrad
from ndgrad import Value
from ndgrad.optim import SGD

PASSES = 4_000


@pytest.fixture(autouse=True)
def _threads_change_often() -> Iterator[None]:
    """Let Python switch threads every microsecond, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(*works: Callable[[], None]) -> None:
    """Run each function in a thread of its own, and raise its exceptions here."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("shape", [(), (3,)])
def test_graphs_that_share_a_leaf_lose_no_addition(shape: tuple[int, ...]) -> None:
    """Two threads with graphs of their own on one leaf lose no addition."""
    leaf = Value(np.ones(shape))

    def work() -> None:
        for _ in range(PASSES):
            (leaf * 1.0).sum().backward()

    in_threads(work, work)
    assert leaf.grad.tolist() == np.full(shape, 2.0 * PASSES).tolist()


def test_one_graph_is_walked_by_several_threads() -> None:
    """The gradients of leaves are those of all passes, and those of inner nodes belong to one of them."""
    x, w = Value([1.0, 2.0]), Value(3.0)
    inner = x * w
    y = (inner * inner).sum()

    def work() -> None:
        for _ in range(PASSES // 2):
            y.backward()

    in_threads(work, work, work)
    assert x.grad.tolist() == [18.0 * 1.5 * PASSES, 36.0 * 1.5 * PASSES]
    assert w.grad == 30.0 * 1.5 * PASSES
    assert inner.grad.tolist() == [6.0, 12.0]


def test_passes_that_record_lose_no_addition() -> None:
    """Recorded gradients, and passes from several Values at once, are added up as well."""
    leaf = Value([1.0, -1.0])

    def recorded() -> None:
        for _ in range(PASSES // 8):
            (leaf**2).sum().backward(create_graph=True)

    def several() -> None:
        for _ in range(PASSES // 8):
            ndgrad.backward([leaf * 2, leaf.sum()])

    in_threads(recorded, several)
    grad = leaf.grad.data if isinstance(leaf.grad, Value) else leaf.grad
    assert grad.tolist() == [5.0 * PASSES / 8, 1.0 * PASSES / 8]


def test_a_zeroing_is_never_undone() -> None:
    """After `zero_grad()` the gradient is missing, or that of a later addition; an earlier one does not undo it."""
    leaf, done, undone = Value(1.0), [0], []

    def add() -> None:
        for _ in range(PASSES):
            (leaf * 1.0).backward()
            done[0] += 1
        done[0] = -1

    def zero() -> None:
        while (before := done[0]) >= 0:
            leaf.zero_grad()
            added = leaf.grad.item()
            if added > done[0] - before + 1 and done[0] >= 0:
                undone.append(added)

    in_threads(add, zero)
    assert undone == []


def test_writes_in_several_threads_are_all_noticed() -> None:
    """The time of the latest write never decreases: a graph that was overwritten is an error, whoever wrote last."""

    def work() -> None:
        for _ in range(PASSES // 4):
            x = Value([1.0, 2.0])
            y = x * x
            x.data = [3.0, 4.0]
            with pytest.raises(RuntimeError, match="changed after it was used"):
                y.sum().backward()

    in_threads(work, work, work)


def test_networks_trained_side_by_side() -> None:
    """Each thread trains its network with the same bits as alone."""

    def trained(seed: int) -> list[list[float]]:
        network = ndgrad.MLP(2, [4, 1], rng=seed)
        optimizer = SGD(network.parameters(), lr=0.1)
        for _ in range(60):
            network.zero_grad()
            (network([[1.0, -1.0], [0.5, 2.0]]) ** 2).sum().backward()
            optimizer.step()
        return [p.data.ravel().tolist() for p in network.parameters()]

    alone = [trained(seed) for seed in range(3)]
    together: dict[int, list[list[float]]] = {}
    in_threads(*(lambda seed=seed: together.update({seed: trained(seed)}) for seed in range(3)))
    assert [together[seed] for seed in range(3)] == alone
