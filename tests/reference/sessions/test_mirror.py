"""PyTorch's half: gradients of the numbers that there were, passes and steps that are disturbed and change nothing."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch

from ndgrad import Value
from reference.engines import Noise
from reference.engines.torch import Disturbance, mirror
from reference.ops import OPS
from reference.sessions.mirror import Graph, OptimizerPair, Pair

Tensor = torch.Tensor


def tensor(*numbers: float, grad: bool = True) -> Tensor:
    """A leaf in double precision."""
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=grad)


def multiplied(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    """A product, recorded."""
    return graph.record(torch.multiply, [a, b], {})


def test_what_is_overwritten_is_copied_first() -> None:
    """A pass gives the gradient of the numbers that there were, and says that it has read them."""
    graph, a, b = Graph(), tensor(1.0, 2.0), tensor(3.0, 4.0)
    y = multiplied(graph, a, b)
    graph.overwrite(b)
    with torch.no_grad():
        b.mul_(100)
    gradients = graph.pass_back([(y, torch.ones_like(y))], [a, b])
    assert [g.tolist() for g in gradients if g is not None] == [[3.0, 4.0], [1.0, 2.0]]
    assert graph.read_overwritten


def test_what_is_not_read_may_be_overwritten() -> None:
    """Of a sum, and where the one that needs it wants no gradient."""
    graph, a, b = Graph(), tensor(1.0), tensor(2.0, grad=False)
    for y in (graph.record(torch.add, [a, b], {}), multiplied(graph, a, b)):
        graph.overwrite(a)
        graph.pass_back([(y, torch.ones_like(y))], [a])
        assert not graph.read_overwritten


def test_a_result_that_is_kept_is_known_by_its_memory() -> None:
    """An exponential keeps what it gave, which may be overwritten as an operand may."""
    graph, a = Graph(), tensor(0.0)
    y = graph.record(torch.exp, [a], {})
    graph.overwrite(y)
    with torch.no_grad():
        y.fill_(5.0)
    (gradient,) = graph.pass_back([(y, torch.ones_like(y))], [a])
    assert gradient is not None
    assert gradient.tolist() == [1.0]
    assert graph.read_overwritten


@pytest.mark.parametrize("op", ["positive", "reshape", "transpose", "broadcast_to", "astype"])
def test_results_have_memory_of_their_own(op: str) -> None:
    """Also where PyTorch gives a view, or the operand itself; and the gradient goes through."""
    options: dict[str, dict[str, Any]] = {
        "reshape": {"shape": (2, 1)}, "transpose": {"axes": None}, "broadcast_to": {"shape": (2,)},
        "astype": {"dtype": "float64"},
    }  # fmt: skip
    graph, a = Graph(), tensor(1.0, 2.0)
    y = graph.record(mirror(OPS[op]), [a], options.get(op, {}))
    assert y.untyped_storage().data_ptr() != a.untyped_storage().data_ptr()
    (gradient,) = graph.pass_back([(y, torch.ones_like(y))], [a])
    assert gradient is not None
    assert gradient.tolist() == [1.0, 1.0]


def test_a_copy_of_an_operand_stands_for_it() -> None:
    """Where PyTorch lays operands out anew and keeps that, another engine keeps the operand, and may miss it."""
    a, b = tensor(1.0, 2.0), tensor(3.0, 5.0)

    def product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * (y + 0.0)

    graph = Graph()
    c = graph.record(product, [a, b], {})
    graph.pass_back([(c, torch.ones_like(c))], [a])
    assert not graph.read_overwritten
    graph.overwrite(b)
    (gradient,) = graph.pass_back([(c, torch.ones_like(c))], [a])
    assert gradient is not None
    assert gradient.tolist() == [3.0, 5.0]
    assert graph.read_overwritten


def test_a_result_that_is_written_into_still_has_its_gradient() -> None:
    """Also where PyTorch made it as a view, as it does of some products; it forgets whose gradient a view's is."""
    graph, a = Graph(), torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    y = graph.record(torch.matmul, [a, torch.ones(2, 3, 1, dtype=torch.float64)], {})
    z = graph.record(torch.negative, [y], {})
    graph.overwrite(y)
    with torch.no_grad():
        y.mul_(2.0)
    (gradient,) = graph.pass_back([(z, torch.ones_like(z))], [y])
    assert gradient is not None
    assert torch.equal(gradient, -torch.ones_like(gradient))


def test_a_disturbed_pass_moves_by_its_condition() -> None:
    """By about the disturbance, in each number; and the next pass is undisturbed."""
    graph, a, b = Graph(), tensor(0.5, -0.25), tensor(1.0, 2.0)
    y = graph.record(torch.tanh, [multiplied(graph, a, b)], {})
    exact, disturbed, again = (
        graph.pass_back([(y, torch.ones_like(y))], [a, b], disturbance)[0]
        for disturbance in (None, Disturbance(Noise(2.0**-20, 0)), None)
    )
    assert exact is not None
    assert disturbed is not None
    moved = ((disturbed - exact) / exact).abs()
    assert bool((moved > 0).all())
    assert bool((moved < 2.0**-16).all())
    assert again is not None
    assert torch.equal(exact, again)


def pair(name: str, *numbers: float) -> Pair:
    """A leaf on both sides; ndgrad's is not looked at."""
    return Pair(name, tensor(*numbers), weakref.ref(Value(0.0)))


def test_leaves_add_up_and_inner_nodes_show_the_latest() -> None:
    """What arrives twice is twice as much in a leaf, and as much in a node; what does not arrive changes nothing."""
    leaf = pair("a", 1.0)
    inner = Pair("b", leaf.tensor * 2.0, weakref.ref(Value(0.0)), (leaf,))
    for p in (leaf, inner):
        assert p.gradient is None
        for gradient in (tensor(3.0), None, tensor(3.0)):
            p.arrived(gradient)
    assert leaf.gradient is not None
    assert inner.gradient is not None
    assert (leaf.gradient.item(), inner.gradient.item()) == (6.0, 3.0)
    assert (leaf.is_leaf, inner.is_leaf) == (True, False)


def test_all_that_a_value_is_made_of() -> None:
    """Each once, however often it is used."""
    a = pair("a", 1.0)
    b = Pair("b", a.tensor * a.tensor, weakref.ref(Value(0.0)), (a, a))
    c = Pair("c", b.tensor * a.tensor, weakref.ref(Value(0.0)), (b, a))
    assert sorted(p.name for p in c.made_of()) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_disturbed_step_changes_nothing(kind: str) -> None:
    """It says how far numbers and states move, and all is as it was before; also of a parameter without a gradient."""
    params = (pair("a", 1.0, 2.0), pair("b", 3.0))
    momentum = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    optimizer = OptimizerPair("opt", kind, params, {"lr": 0.1, **momentum})
    for _ in range(2):
        params[0].tensor.grad = tensor(0.5, -0.25, grad=False)
        before = optimizer.held()
        optimizer.theirs.step()
        after = {name: np.array(x.detach().numpy()) for name, x in optimizer.parts()}
        disturbed = optimizer.stepped_from(before, Disturbance(Noise(2.0**-20, 1)))
        assert {name: x.tolist() for name, x in optimizer.parts()} == {name: x.tolist() for name, x in after.items()}
        assert disturbed.keys() == after.keys()
        for name in ("value of a", *(name for name in after if "state[0]" in name and "step" not in name)):
            moved = np.abs(disturbed[name] - after[name])
            assert (moved > 0).all(), name
            assert (moved < 2.0**-16).all(), name
    assert not optimizer.theirs.state.get(params[1].tensor)
